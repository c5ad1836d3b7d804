//! A minimal writer of SVG for tables and curves, without a plotting library.

use std::fmt::{Display, Write};

use heavytail::palette::{BLUE, GREEN, ORANGE, Rgb, SKY, VERMILLION};

/// The colours of lines.
pub const COLOURS: [Rgb; 5] = [SKY, GREEN, BLUE, ORANGE, VERMILLION];

/// An SVG image.
pub struct Sheet {
    width: f64,
    height: f64,
    body: String,
}

#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

impl Sheet {
    pub fn new(width: f64, height: f64) -> Self {
        let mut sheet = Self {
            width,
            height,
            body: String::new(),
        };
        sheet.rect(0.0, 0.0, width, height, "#ffffff");
        sheet
    }

    pub fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, fill: impl Display) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="{fill}"/>"#
        );
    }

    pub fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        anchor: Anchor,
        fill: impl Display,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">{}</text>"#,
            escape(text)
        );
    }

    pub fn line(&mut self, points: &[(f64, f64)], colour: impl Display, width: f64, dashes: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dashes}"/>"#,
            points.join(" ")
        );
    }

    pub fn dot(&mut self, x: f64, y: f64, radius: f64, fill: impl Display) {
        let _ = writeln!(
            self.body,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}"/>"#
        );
    }

    pub fn finish(self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" font-family=\"sans-serif\">\n{}</svg>\n",
            self.body,
            w = self.width,
            h = self.height
        )
    }
}

/// The axes of a panel, which map data to pixels. `x` and `y` are the ranges of the data.
pub struct Axes {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: (f64, f64),
    pub y: (f64, f64),
}

impl Axes {
    /// The pixel of a data point.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (
            self.left + (x - self.x.0) / (self.x.1 - self.x.0) * self.width,
            self.top + (1.0 - (y - self.y.0) / (self.y.1 - self.y.0)) * self.height,
        )
    }

    /// Draws the axes with ticks, the title and the names of the axes.
    pub fn draw(
        &self,
        sheet: &mut Sheet,
        title: &str,
        names: (&str, &str),
        xs: &[(f64, String)],
        ys: &[(f64, String)],
    ) {
        let (l, t, r, b) = (
            self.left,
            self.top,
            self.left + self.width,
            self.top + self.height,
        );
        sheet.line(&[(l, t), (l, b), (r, b)], "#333333", 1.0, "");
        sheet.text(l, t - 26.0, 13.0, Anchor::Start, "#111111", title);
        for (x, name) in xs {
            let (px, _) = self.at(*x, self.y.0);
            sheet.line(&[(px, b), (px, b + 4.0)], "#333333", 1.0, "");
            sheet.text(px, b + 16.0, 11.0, Anchor::Middle, "#333333", name);
        }
        for (y, name) in ys {
            let (_, py) = self.at(self.x.0, *y);
            sheet.line(&[(l, py), (r, py)], "#e5e5e5", 1.0, "");
            sheet.text(l - 6.0, py + 4.0, 11.0, Anchor::End, "#333333", name);
        }
        sheet.text(
            (l + r) / 2.0,
            b + 32.0,
            12.0,
            Anchor::Middle,
            "#111111",
            names.0,
        );
        sheet.text(l - 20.0, t - 9.0, 11.0, Anchor::Start, "#555555", names.1);
    }
}
