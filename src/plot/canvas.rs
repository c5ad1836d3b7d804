//! A figure as a list of shapes, and its output as SVG and PNG. Figures are built without a
//! plotters backend, so both formats come from the same description. Nothing that plotters rejects
//! can reach it.

use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBAColor, ShapeStyle};

use super::style::{self, HEADING, LINE_HEIGHT, Marker, TITLE};
use super::table::Table;
use crate::error::{Error, Result};
pub(super) use crate::scene::Point;
use crate::scene::{self, Anchor};

/// Style of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextStyle {
    /// Font size in pixels.
    pub(super) em: f64,
    pub(super) bold: bool,
    pub(super) color: RGBAColor,
    pub(super) anchor: Anchor,
    /// Whether the text runs upwards.
    pub(super) upright: bool,
}

impl TextStyle {
    pub(super) fn new(em: f64, color: impl Color) -> Self {
        Self {
            em,
            bold: false,
            color: color.to_rgba(),
            anchor: Anchor::Start,
            upright: false,
        }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn upright(self) -> Self {
        Self {
            upright: true,
            ..self
        }
    }

    pub(super) fn middle(self) -> Self {
        Self {
            anchor: Anchor::Middle,
            ..self
        }
    }

    pub(super) fn end(self) -> Self {
        Self {
            anchor: Anchor::End,
            ..self
        }
    }
}

#[derive(Debug)]
enum Shape {
    Path(Vec<Point>, RGBAColor, f64),
    Polygon(Vec<Point>, RGBAColor),
    Rect(Point, Point, RGBAColor),
    Disc(Point, f64, RGBAColor),
    Text(Point, String, TextStyle),
}

/// A figure: its shapes in the order of painting, and its numbers.
#[derive(Debug)]
pub(super) struct Figure {
    width: f64,
    height: f64,
    shapes: Vec<Shape>,
    pub(super) table: Table,
}

/// Number of SVG units in a pixel. plotters has integer coordinates only.
const SVG_GRID: f64 = 8.0;

impl Figure {
    pub(super) fn new(width: f64, height: f64, table: Table) -> Self {
        Self {
            width: width.ceil(),
            height: height.ceil(),
            shapes: Vec::new(),
            table,
        }
    }

    pub(super) fn path(&mut self, points: Vec<Point>, color: impl Color, width: f64) {
        if points.len() > 1 {
            self.shapes
                .push(Shape::Path(points, color.to_rgba(), width));
        }
    }

    /// A dashed path: dashes of `on` pixels, gaps of `off` pixels.
    pub(super) fn dashed(
        &mut self,
        points: &[Point],
        color: impl Color,
        width: f64,
        (on, off): (f64, f64),
    ) {
        let (mut drawn, mut left) = (true, on);
        let mut dash: Vec<Point> = points.first().copied().into_iter().collect();
        for pair in points.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let length = (b.0 - a.0).hypot(b.1 - a.1);
            let mut at = 0.0;
            while length - at > left {
                at += left;
                let f = at / length;
                let turn = (a.0 + f * (b.0 - a.0), a.1 + f * (b.1 - a.1));
                if drawn {
                    dash.push(turn);
                    self.path(std::mem::take(&mut dash), color.to_rgba(), width);
                } else {
                    dash = vec![turn];
                }
                drawn = !drawn;
                left = if drawn { on } else { off };
            }
            left -= length - at;
            if drawn {
                dash.push(b);
            }
        }
        if drawn {
            self.path(dash, color, width);
        }
    }

    pub(super) fn polygon(&mut self, points: Vec<Point>, color: impl Color) {
        if points.len() > 2 {
            self.shapes.push(Shape::Polygon(points, color.to_rgba()));
        }
    }

    pub(super) fn rect(&mut self, a: Point, b: Point, color: impl Color) {
        self.shapes.push(Shape::Rect(
            (a.0.min(b.0), a.1.min(b.1)),
            (a.0.max(b.0), a.1.max(b.1)),
            color.to_rgba(),
        ));
    }

    pub(super) fn text(&mut self, at: Point, text: impl AsRef<str>, kind: TextStyle) {
        // Control characters, U+FFFE and U+FFFF are not valid in XML, and no font has them.
        let text: String = text
            .as_ref()
            .chars()
            .map(|c| match c {
                '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
                c if c.is_control() => ' ',
                c => c,
            })
            .collect();
        if !text.is_empty() {
            self.shapes.push(Shape::Text(at, text, kind));
        }
    }

    /// Adds the shapes of a scene that the HTML report also uses.
    pub(super) fn scene(&mut self, shapes: &[scene::Shape]) {
        for shape in shapes {
            match shape {
                scene::Shape::Rect(a, b, role) => self.rect(*a, *b, style::role(*role)),
                scene::Shape::Line(a, b, role) => {
                    self.path(vec![*a, *b], style::role(*role), 1.0);
                }
                scene::Shape::Text {
                    at,
                    text,
                    em,
                    bold,
                    anchor,
                    role,
                } => {
                    let kind = TextStyle {
                        bold: *bold,
                        anchor: *anchor,
                        ..TextStyle::new(*em, style::role(*role))
                    };
                    self.text(*at, text, kind);
                }
            }
        }
    }

    /// Adds the figure's title and the run's name.
    pub(super) fn heading(&mut self, title: &str, run: &str) {
        let at = 20.0 + style::text_width(title, TITLE, true) + 16.0;
        self.text(
            (20.0, 26.0),
            title,
            TextStyle::new(TITLE, style::INK).bold(),
        );
        if !run.is_empty() {
            let run = style::truncate_start(&format!("run {run}"), HEADING, self.width - at - 20.0);
            self.text((at, 27.0), run, TextStyle::new(HEADING, style::MUTED));
        }
    }

    /// Adds a data point. A hollow one marks a missing value.
    pub(super) fn marker(
        &mut self,
        at: Point,
        marker: Marker,
        radius: f64,
        color: impl Color,
        hollow: bool,
    ) {
        self.filled_marker(at, marker, radius, color.to_rgba());
        if hollow {
            self.filled_marker(at, marker, radius - 1.5, style::PAPER.to_rgba());
        }
    }

    /// Adds an arrow head with its tip at `at`.
    pub(super) fn arrow(&mut self, at: Point, up: bool, color: impl Color) {
        let base = at.1 + if up { 9.0 } else { -9.0 };
        self.polygon(vec![at, (at.0 - 5.0, base), (at.0 + 5.0, base)], color);
    }

    fn filled_marker(&mut self, at: Point, marker: Marker, radius: f64, color: RGBAColor) {
        // Number of corners, rotation in quarter turns from the top, and size. The sizes give all
        // markers about the same area.
        let (corners, turn, size) = match marker {
            Marker::Circle => {
                self.shapes.push(Shape::Disc(at, radius, color));
                return;
            }
            Marker::Square => (4, 0.5, 1.25),
            Marker::Triangle => (3, 0.0, 1.35),
            Marker::Diamond => (4, 0.0, 1.3),
            Marker::TriangleDown => (3, 2.0, 1.35),
            Marker::Pentagon => (5, 0.0, 1.2),
        };
        let points = (0..corners)
            .map(|i| {
                let angle = std::f64::consts::FRAC_PI_2
                    * (turn + 4.0 * f64::from(i) / f64::from(corners) - 1.0);
                let r = radius * size;
                (at.0 + r * angle.cos(), at.1 + r * angle.sin())
            })
            .collect();
        self.polygon(points, color);
    }

    /// Writes the figure (`.svg`, `.png`) or its numbers (`.csv`).
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let extension = path
            .extension()
            .map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("svg") => {
                let text = self.svg().map_err(|source| backend_error(path, source))?;
                std::fs::write(path, text).map_err(|e| Error::io(path, e))
            }
            Some("png") => {
                let bytes = self.png().map_err(|source| backend_error(path, source))?;
                std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
            }
            Some("csv") => self.table.save(path),
            _ => Err(plot_error(path, "the name must end in .svg, .png or .csv")),
        }
    }

    fn svg(&self) -> Result<String, BackendError> {
        let mut text = String::new();
        let (w, h) = self.pixels(SVG_GRID);
        {
            let area = SVGBackend::with_string(&mut text, (w, h)).into_drawing_area();
            // plotters centres a text by half its x-height, a little above the middle of the
            // capitals.
            let kind = Backend {
                grid: SVG_GRID,
                line: 1.24,
                v: VPos::Center,
                down: 0.1,
            };
            self.render(&area, &kind)?;
            area.present()?;
        }
        // Replace the root element by one with the size in pixels and the finer grid as its view
        // box.
        let body = text
            .split_once('>')
            .map(|(_, body)| body)
            .ok_or("the SVG backend wrote no root element")?;
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
             viewBox=\"0 0 {w} {h}\" stroke-linejoin=\"round\">{body}",
            self.width, self.height
        ))
    }

    /// The bytes of a PNG file. The picture is drawn at twice the file's size, and the mean of four
    /// pixels smooths the edges.
    fn png(&self) -> Result<Vec<u8>, BackendError> {
        // Use two pixels per unit, unless the file would be too large.
        let density = if self.width * self.height > 4e6 {
            1.0
        } else {
            2.0
        };
        let (w, h) = self.pixels(density);
        let fine = (2 * w, 2 * h);
        let mut pixels = vec![0u8; 3 * fine.0 as usize * fine.1 as usize];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, fine).into_drawing_area();
            // plotters places the baseline half a line below the top.
            let kind = Backend {
                grid: 2.0 * density,
                line: LINE_HEIGHT,
                v: VPos::Top,
                down: -0.2175,
            };
            self.render(&area, &kind)?;
            area.present()?;
        }
        let smooth = downsample(&pixels, fine.0 as usize);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, w, h);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&smooth)?;
        writer.finish()?;
        Ok(bytes)
    }

    fn pixels(&self, scale: f64) -> (u32, u32) {
        ((self.width * scale) as u32, (self.height * scale) as u32)
    }

    fn render<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        kind: &Backend,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        area.fill(&style::PAPER)?;
        let grid = kind.grid;
        let place = |&(x, y): &Point| ((x * grid).round() as i32, (y * grid).round() as i32);
        let places = |points: &[Point]| points.iter().map(place).collect::<Vec<_>>();
        for shape in &self.shapes {
            match shape {
                Shape::Path(points, color, width) => area.draw(&PathElement::new(
                    places(points),
                    ShapeStyle {
                        color: *color,
                        filled: false,
                        stroke_width: (width * grid).round().max(1.0) as u32,
                    },
                ))?,
                Shape::Polygon(points, color) => {
                    area.draw(&Polygon::new(places(points), color.filled()))?;
                }
                Shape::Rect(a, b, color) => {
                    area.draw(&Rectangle::new([place(a), place(b)], color.filled()))?;
                }
                Shape::Disc(at, radius, color) => {
                    let radius = (radius * grid).round().max(1.0) as i32;
                    area.draw(&Circle::new(place(at), radius, color.filled()))?;
                }
                Shape::Text(at, text, look) => {
                    let down = kind.down * look.em;
                    let at = if look.upright {
                        (at.0 + down, at.1)
                    } else {
                        (at.0, at.1 + down)
                    };
                    let mut font = style::font(look.em * grid * kind.line, look.bold);
                    if look.upright {
                        font = font.transform(FontTransform::Rotate270);
                    }
                    let h = match look.anchor {
                        Anchor::Start => HPos::Left,
                        Anchor::Middle => HPos::Center,
                        Anchor::End => HPos::Right,
                    };
                    let text_style = font.color(&look.color).pos(Pos::new(h, kind.v));
                    area.draw(&Text::new(text.as_str(), place(&at), text_style))?;
                }
            }
        }
        Ok(())
    }
}

/// The differences between plotters' backends.
struct Backend {
    /// Number of coordinates in a pixel.
    grid: f64,
    /// Ratio of the backend's font size to the em.
    line: f64,
    /// The vertical anchor that is passed to the backend.
    v: VPos,
    /// Shift in ems that puts the middle of the capitals at the text's position.
    down: f64,
}

/// Halves the size of a picture. Each pixel is the mean of four.
fn downsample(pixels: &[u8], width: usize) -> Vec<u8> {
    let row = 3 * width;
    let mut out = Vec::with_capacity(pixels.len() / 4);
    for rows in pixels.chunks_exact(2 * row) {
        let (upper, lower) = rows.split_at(row);
        for (a, b) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            for c in 0..3 {
                let sum = [a[c], a[c + 3], b[c], b[c + 3]]
                    .into_iter()
                    .map(u16::from)
                    .sum::<u16>();
                out.push(((sum + 2) / 4) as u8);
            }
        }
    }
    out
}

pub(super) fn plot_error(path: &Path, cause: impl Into<String>) -> Error {
    Error::Plot {
        path: path.to_owned(),
        cause: cause.into(),
        source: None,
    }
}

/// An error of plotters or of the PNG encoder.
type BackendError = Box<dyn std::error::Error + Send + Sync>;

fn backend_error(path: &Path, source: BackendError) -> Error {
    Error::Plot {
        path: path.to_owned(),
        cause: "it cannot be drawn".to_owned(),
        source: Some(source),
    }
}
