//! Converts a scene to inline SVG. The page's style has the colours of its roles.

use std::fmt::Write;

use minijinja::HtmlEscape;

use crate::scene::timeline::Tile;
use crate::scene::{Anchor, Role, Shape};

/// The scene as SVG of this size in pixels. `name` is its label for screen readers.
pub(super) fn svg(shapes: &[Shape], (width, height): (f64, f64), name: &str) -> String {
    let (width, height) = (width.ceil(), height.ceil());
    let mut svg = format!(
        "<svg class=\"still\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">\n",
        HtmlEscape(name)
    );
    for shape in shapes {
        // Writing to a string cannot fail.
        let _ = write(&mut svg, shape);
    }
    svg.push_str("</svg>");
    svg
}

fn write(svg: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Rect(a, b, role) => {
            let class = class(*role);
            let (x, y) = (short(a.0), short(a.1));
            let (width, height) = (short(b.0 - a.0), short(b.1 - a.1));
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
            )
        }
        Shape::Line(a, b, role) => {
            let class = class(*role);
            let [x1, y1, x2, y2] = [a.0, a.1, b.0, b.1].map(short);
            writeln!(
                svg,
                "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
            )
        }
        Shape::Text {
            at,
            text,
            em,
            bold,
            anchor,
            role,
        } => {
            let class = class(*role);
            let bold = if *bold { " bold" } else { "" };
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let (x, y, em) = (short(at.0), short(at.1), short(*em));
            let text = HtmlEscape(text);
            writeln!(
                svg,
                "<text class=\"{class}{bold}\" x=\"{x}\" y=\"{y}\"{anchor} style=\"font-size:{em}px\">{text}</text>"
            )
        }
    }
}

/// Rounds to a hundredth of a pixel, which is invisible.
fn short(v: f64) -> f64 {
    (100.0 * v).round() / 100.0
}

fn class(role: Role) -> String {
    match role {
        Role::Ink => "ink".to_owned(),
        Role::Muted => "muted".to_owned(),
        Role::Tile(Tile::Unclassified) => "tile ph--".to_owned(),
        Role::Tile(Tile::Determinate(phase)) => format!("tile ph-{}", phase.letter()),
        Role::Tile(Tile::Indeterminate(phase)) => format!("tile ph-{} unsure", phase.letter()),
        Role::OnTile(Tile::Unclassified) => "on--".to_owned(),
        Role::OnTile(Tile::Determinate(phase)) => format!("on-{}", phase.letter()),
        Role::OnTile(Tile::Indeterminate(_)) => "on-unsure".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::Phase;

    #[test]
    fn roles_are_classes_and_texts_are_no_markup() {
        let tile = Tile::Indeterminate(Phase::HeavyTailed);
        let shapes = [
            Shape::Rect((1.0, 2.0), (4.004, 6.0), Role::Tile(tile)),
            Shape::Text {
                at: (2.5, 4.0),
                text: "<b>&\"".to_owned(),
                em: 14.0,
                bold: true,
                anchor: Anchor::Middle,
                role: Role::OnTile(tile),
            },
        ];
        let text = svg(&shapes, (9.5, 8.0), "a < b");
        let wanted = [
            "aria-label=\"a &lt; b\" viewBox=\"0 0 10 8\"",
            "<rect class=\"tile ph-H unsure\" x=\"1\" y=\"2\" width=\"3\" height=\"4\"/>",
            "<text class=\"on-unsure bold\" x=\"2.5\" y=\"4\" text-anchor=\"middle\"",
            ">&lt;b&gt;&amp;&quot;</text>",
        ];
        for part in wanted {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
