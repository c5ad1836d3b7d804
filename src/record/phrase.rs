//! A sentence that stores its numbers as numbers, so that a view can round or align them.

use std::borrow::Cow;
use std::fmt;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Fixed notation with this many decimals.
    Fixed(usize),
    /// Scientific notation with this many decimals.
    Exponent(usize),
}

/// A part of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text.
    Text(Cow<'static, str>),
    /// A finite number and its format.
    Number(f64, Format),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Text(text) => f.write_str(text),
            Piece::Number(value, Format::Fixed(digits)) => write!(f, "{value:.digits$}"),
            Piece::Number(value, Format::Exponent(digits)) => write!(f, "{value:.digits$e}"),
        }
    }
}

/// A sentence as a sequence of text and numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Phrase(Vec<Piece>);

impl Phrase {
    /// A sentence that begins with this text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self::default().text(text)
    }

    /// Add text.
    pub fn text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }

    /// Add an integer.
    pub fn count(self, count: usize) -> Self {
        self.fixed(count as f64, 0)
    }

    /// Add a number in fixed notation with `digits` decimals.
    pub fn fixed(self, value: f64, digits: usize) -> Self {
        self.number(value, Format::Fixed(digits))
    }

    /// Add a number in scientific notation with `digits` decimals.
    pub fn exponent(self, value: f64, digits: usize) -> Self {
        self.number(value, Format::Exponent(digits))
    }

    /// Add `p = …`. A p-value that underflows to 0 is written as an upper bound.
    pub fn p_value(self, p: f64) -> Self {
        if p < 1e-300 {
            self.text("p < 1e-300")
        } else {
            self.text("p = ").exponent(p, 1)
        }
    }

    /// Add the parts of another sentence.
    pub fn then(mut self, other: Phrase) -> Self {
        self.0.extend(other.0);
        self
    }

    fn number(mut self, value: f64, format: Format) -> Self {
        self.0.push(if value.is_finite() {
            Piece::Number(value, format)
        } else {
            Piece::Text(value.to_string().into())
        });
        self
    }

    /// Its parts, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

impl From<&'static str> for Phrase {
    fn from(text: &'static str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| piece.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_their_format_says() {
        let phrase = Phrase::new("D = ")
            .fixed(0.12345, 3)
            .text(", ")
            .p_value(3.21e-9)
            .text(", ")
            .p_value(0.0)
            .text(", ")
            .fixed(f64::INFINITY, 2)
            .text(", ")
            .count(7);
        assert_eq!(
            phrase.to_string(),
            "D = 0.123, p = 3.2e-9, p < 1e-300, inf, 7"
        );
        assert_eq!(phrase.pieces().len(), 11);
    }
}
