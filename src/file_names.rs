//! Names of layers and runs as names of files.

use std::collections::HashSet;

/// Makes names that every system accepts, each another.
///
/// ```
/// let mut names = heavytail::file_names::FileNames::default();
/// assert_eq!(names.unique("fc1.weight"), "fc1.weight");
/// assert_eq!(names.unique("a:b"), "a_b");
/// assert_eq!(names.unique("a_b"), "a_b-2");
/// ```
#[derive(Debug, Clone, Default)]
pub struct FileNames {
    /// In lower case: some disks do not tell the cases apart.
    taken: HashSet<String>,
}

/// Longer names keep their end, which says most, within this many bytes.
const LONGEST: usize = 100;

/// Names that Windows keeps for devices, with any ending.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

impl FileNames {
    /// A file name for this name: without an ending, of ASCII letters, digits, `-`, `_` and `.`, and unlike all before.
    pub fn unique(&mut self, name: &str) -> String {
        let plain = plain(name);
        let mut unique = plain.clone();
        let mut number = 2;
        while !self.taken.insert(unique.to_lowercase()) {
            unique = format!("{plain}-{number}");
            number += 1;
        }
        unique
    }
}

fn plain(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut plain: String = name
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect();
    if plain.len() > LONGEST {
        // ASCII by now.
        plain = format!("_{}", &plain[plain.len() - LONGEST + 1..]);
    }
    // Windows drops a dot at the end; `.` and `..` are folders.
    let kept = plain.trim_end_matches('.').len();
    plain.replace_range(kept.., &"_".repeat(plain.len() - kept));
    let stem = plain.split('.').next().unwrap_or_default().to_lowercase();
    let device = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = ["com", "lpt"].contains(&device) && stem.len() == 4;
    if plain.is_empty() || numbered || RESERVED.contains(&stem.as_str()) {
        plain.insert(0, '_');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_takes_them() {
        for (name, file) in [
            ("fc1.weight", "fc1.weight"),
            ("../../etc/a b", ".._.._etc_a_b"),
            ("", "_"),
            ("..", "__"),
            ("end.", "end_"),
            ("CON", "_CON"),
            ("nul.weight", "_nul.weight"),
            ("com1", "_com1"),
            ("company", "company"),
            ("第一次", "___"),
        ] {
            assert_eq!(FileNames::default().unique(name), file, "{name}");
        }
        let long = FileNames::default().unique(&format!("{}.fc1.weight", "x".repeat(300)));
        assert!(
            long.len() == LONGEST && long.ends_with(".fc1.weight"),
            "{long}"
        );
    }

    #[test]
    fn each_is_another() {
        let mut names = FileNames::default();
        let made = ["a_b", "a:b", "A_B", "a_b-2", "λ", "μ"].map(|name| names.unique(name));
        assert_eq!(made, ["a_b", "a_b-2", "A_B-3", "a_b-2-2", "_", "_-2"]);
        let long = |i: usize| format!("{i}{}", "y".repeat(300));
        assert_ne!(names.unique(&long(1)), names.unique(&long(2)));
    }
}
