//! Safe file names from the names of layers, models and runs, which may contain any character.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

/// Longest name that stays complete, in bytes. With a prefix such as `model-esd-loglog-`, a number
/// and an extension, the file name stays below the 255 bytes that file systems allow.
const MAX_BYTES: usize = 100;

/// Gives each file of a folder a name that is valid on every system and unique in the folder.
///
/// - Every character other than ASCII letters, digits, `-`, `_` and `.` becomes `_`. So does every
///   dot at the end.
/// - A name that Windows reserves, such as `CON` or `nul.txt`, gets the prefix `_`. An empty name
///   becomes `_`.
/// - A name of more than 100 bytes becomes eight digits of its hash, `-` and the end of the name.
/// - A name that another file already has, in upper or lower case, gets a number: `a_b-2`.
///
/// ```
/// use heavytail::FileNames;
///
/// let mut names = FileNames::default();
/// assert_eq!(names.stems("esd-", ["a:b", "a_b", "A_B"]), ["esd-a_b-2", "esd-a_b", "esd-A_B-3"]);
/// ```
#[derive(Debug, Default)]
pub struct FileNames {
    /// Names in lower case, because some systems ignore case.
    taken: HashSet<String>,
    /// The next number to try for each name, in lower case.
    next: HashMap<String, usize>,
}

impl FileNames {
    /// The file name of each of `names`, in the same order: the prefix, the safe name, and a number
    /// if it is taken. It has no extension. Names that are already safe take precedence, so they
    /// stay unchanged. The prefix itself must be safe.
    pub fn stems<'a>(
        &mut self,
        prefix: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Vec<String> {
        let names: Vec<&str> = names.into_iter().collect();
        let safe_name: Vec<String> = names.iter().map(|name| safe_name(name)).collect();
        let mut stems = vec![None; names.len()];
        for (i, name) in safe_name.iter().enumerate() {
            let stem = format!("{prefix}{name}");
            if name == names[i] && self.taken.insert(stem.to_ascii_lowercase()) {
                stems[i] = Some(stem);
            }
        }
        let stems = stems.into_iter().zip(&safe_name);
        stems
            .map(|(stem, name)| stem.unwrap_or_else(|| self.unique(format!("{prefix}{name}"))))
            .collect()
    }

    /// The stem if it is unique, else the stem with the first number that is unique.
    fn unique(&mut self, stem: String) -> String {
        let lower = stem.to_ascii_lowercase();
        if self.taken.insert(lower.clone()) {
            return stem;
        }
        let number = self.next.entry(lower.clone()).or_insert(2);
        while !self.taken.insert(format!("{lower}-{number}")) {
            *number += 1;
        }
        format!("{stem}-{number}")
    }
}

/// The name with characters and a length that every system accepts.
fn safe_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let mut safe_name: String = name.chars().map(plain).collect();
    // `.` and `..` are other folders, and Windows removes dots at the end.
    let kept = safe_name.trim_end_matches('.').len();
    let dots = safe_name.len() - kept;
    safe_name.replace_range(kept.., &"_".repeat(dots));
    if safe_name.is_empty() || is_reserved(&safe_name) {
        safe_name.insert(0, '_');
    }
    if safe_name.len() <= MAX_BYTES {
        return safe_name;
    }
    // The hash is of the original name, so names that differ only in replaced or removed parts
    // differ.
    let hash = Sha256::digest(name);
    let hash: String = hash.iter().take(4).map(|b| format!("{b:02x}")).collect();
    let end = safe_name.len() - (MAX_BYTES - hash.len() - 1);
    format!("{hash}-{}", &safe_name[end..])
}

/// Whether Windows treats the name as a device. It ignores case and extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.to_ascii_uppercase();
    match stem.as_bytes() {
        b"CON" | b"PRN" | b"AUX" | b"NUL" => true,
        [b'C', b'O', b'M', digit] | [b'L', b'P', b'T', digit] => digit.is_ascii_digit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems<const N: usize>(names: [&str; N]) -> Vec<String> {
        FileNames::default().stems("", names)
    }

    #[test]
    fn safe_names_stay_as_they_are() {
        let names = ["fc1.weight", "a_b-2", ".hidden", "CONV", "com10", "x"];
        assert_eq!(stems(names), names);
        let longest = "x".repeat(MAX_BYTES);
        assert_eq!(stems([&longest]), [longest.as_str()]);
        // A safe name stays unchanged behind another that becomes the same.
        assert_eq!(stems(["a:b", "a_b"]), ["a_b-2", "a_b"]);
    }

    #[test]
    fn names_differ_whatever_the_case() {
        assert_eq!(stems(["A", "a", "a-2", "a"]), ["A", "a-3", "a-2", "a-4"]);
        assert_eq!(stems(["第一次", "第二次"]), ["___", "___-2"]);
        let mut names = FileNames::default();
        assert_eq!(names.stems("esd-", ["loglog-x"]), ["esd-loglog-x"]);
        assert_eq!(names.stems("esd-loglog-", ["x"]), ["esd-loglog-x-2"]);
    }

    #[test]
    fn no_name_is_a_folder_or_a_device() {
        assert_eq!(stems([".", "..", "...", ""]), ["_", "__", "___", "_-2"]);
        assert_eq!(stems(["a.", "../../etc/a b"]), ["a_", ".._.._etc_a_b"]);
        let devices = ["CON", "nul", "aux.weight", "Com1", "LPT9.a.b"];
        let wanted = ["_CON", "_nul", "_aux.weight", "_Com1", "_LPT9.a.b"];
        assert_eq!(stems(devices), wanted);
    }

    #[test]
    fn long_names_keep_their_end() {
        let names = ["a", "b"].map(|start| format!("{start}{}.weight", "λ/x".repeat(100)));
        let [a, b] = [&names[0], &names[1]];
        let short = stems([a, b, a]);
        for stem in &short {
            assert!(stem.len() <= MAX_BYTES + 2 && stem.is_ascii(), "{stem}");
            assert!(
                stem.trim_end_matches("-2").ends_with("__x.weight"),
                "{stem}"
            );
        }
        assert_ne!(short[0], short[1]);
        assert_eq!(short[2], format!("{}-2", short[0]));
    }
}
