//! Formats texts and times for a terminal.

use ratatui::text::Span;

/// The width of a text in cells.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text without characters that control the terminal or reorder the line.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_control() => '\u{FFFD}',
        // Invisible characters, and characters that change the direction of writing.
        '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' => '\u{FFFD}',
        '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}' => '\u{FFFD}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

/// The beginning of a text in exactly `cells` cells.
pub fn left(text: &str, cells: usize) -> String {
    let mut kept = String::new();
    if width(text) <= cells {
        kept.push_str(text);
    } else if cells > 0 {
        for c in text.chars() {
            kept.push(c);
            if width(&kept) > cells - 1 {
                kept.pop();
                break;
            }
        }
        kept.push('…');
    }
    kept.extend(std::iter::repeat_n(' ', cells.saturating_sub(width(&kept))));
    kept
}

/// The end of a text in exactly `cells` cells. Names of layers differ at their ends.
pub fn tail(text: &str, cells: usize) -> String {
    if width(text) <= cells || cells == 0 {
        return left(text, cells);
    }
    let mut start = text.len();
    for (i, _) in text.char_indices().rev() {
        if width(&text[i..]) > cells - 1 {
            break;
        }
        start = i;
    }
    left(&format!("…{}", &text[start..]), cells)
}

/// A text aligned to the right in exactly `cells` cells. A text that is too long is cut at its end.
pub fn right(text: &str, cells: usize) -> String {
    let room = cells.saturating_sub(width(text));
    left(&(" ".repeat(room) + text), cells)
}

/// A time in seconds, shown with few digits in a suitable unit.
pub fn seconds(s: f64) -> String {
    match s {
        s if s < 0.00995 => format!("{:.1} ms", 1e3 * s),
        s if s < 0.9995 => format!("{:.0} ms", 1e3 * s),
        s if s < 10.0 && s.fract() > 0.0 => format!("{s:.2} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// The last values as blocks, scaled to the range between their smallest and their largest. A
/// missing value is a dot.
pub fn sparkline(values: &[Option<f64>], cells: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = &values[values.len().saturating_sub(cells)..];
    let (low, high) = last
        .iter()
        .flatten()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| {
            (l.min(v), h.max(v))
        });
    let block = |value: &Option<f64>| match value {
        None => '·',
        Some(v) if high > low => BLOCKS[(7.0 * (v - low) / (high - low)).round() as usize],
        Some(_) => BLOCKS[3],
    };
    last.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_width_that_was_asked_for() {
        for text in [
            "",
            "a",
            "layers.0.attention",
            "層の名前です",
            "a\u{0301}e\u{0301}",
        ] {
            for cells in 0..12 {
                for made in [left(text, cells), tail(text, cells), right(text, cells)] {
                    assert_eq!(width(&made), cells, "{text:?} {cells} {made:?}");
                }
            }
        }
        assert_eq!(tail("layers.10.weight", 10), "…10.weight");
        assert_eq!(left("layers.10", 5), "laye…");
        assert_eq!(right("3.2", 5), "  3.2");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let hostile = "a\u{1b}[2J\u{7}\r\nb\u{9b}31m\u{202e}c\u{200b}\t";
        assert_eq!(
            clean(hostile),
            "a\u{FFFD}[2J\u{FFFD}\u{FFFD}\u{FFFD}b\u{FFFD}31m\u{FFFD}c\u{FFFD}\u{FFFD}"
        );
    }

    #[test]
    fn sparklines_span_their_values() {
        let values = [Some(9.0), Some(1.0), None, Some(2.0), Some(8.0)];
        assert_eq!(sparkline(&values, 4), "▁·▂█");
        assert_eq!(sparkline(&[Some(2.0), Some(2.0)], 9), "▄▄");
        assert_eq!(sparkline(&[], 9), "");
    }

    #[test]
    fn times_have_few_digits() {
        assert_eq!(seconds(0.0012), "1.2 ms");
        assert_eq!(seconds(59.4), "59 s");
    }
}
