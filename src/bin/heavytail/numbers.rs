//! Formats numbers for people in few characters.

/// A number with about four digits. It has at most seven characters, or eight with a sign.
pub fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_owned(),
        a if !(1e-3..1e5).contains(&a) => format!("{x:.1e}"),
        a if a < 1.0 => format!("{x:.4}"),
        a if a < 10.0 => format!("{x:.3}"),
        a if a < 100.0 => format!("{x:.2}"),
        a if a < 1000.0 => format!("{x:.1}"),
        _ => format!("{x:.0}"),
    }
}

/// A number with at most five characters, for values that are usually between 1 and 1000.
pub fn short(x: f64) -> String {
    match x.abs() {
        a if a < 99.995 => format!("{x:.2}"),
        a if a < 9999.0 => format!("{x:.0}"),
        _ => format!("{x:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_rounded_to_nothing() {
        for (x, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1e-320, "1.0e-320"),
            (7.158e-4, "7.2e-4"),
            (-1e-10, "-1.0e-10"),
            (0.00123, "0.0012"),
            (3.14259, "3.143"),
            (-42.42, "-42.42"),
            (421.7, "421.7"),
            (98765.4, "98765"),
            (1.5e7, "1.5e7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(x), text);
            assert!(text.len() <= 8);
        }
        for (x, text) in [
            (3.14259, "3.14"),
            (-42.42, "-42.42"),
            (421.7, "422"),
            (98765.4, "1e5"),
        ] {
            assert_eq!(short(x), text);
        }
    }
}
