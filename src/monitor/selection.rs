//! Selects the layers to analyse, by regular expressions.

use regex_lite::Regex;

use crate::error::{Error, Result};
use crate::matrix::{Layout, SkipReason, cut_layout};

/// Selects the layers to analyse, by their dotted path.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl Selection {
    /// Selects layers that match one of `include` and none of `exclude`. An empty `include` matches
    /// every layer.
    ///
    /// # Errors
    ///
    /// If a pattern is not a regular expression.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let compile = |patterns: &[String], option| {
            patterns
                .iter()
                .map(|pattern| {
                    Regex::new(pattern).map_err(|e| Error::Config {
                        option,
                        cause: format!("`{pattern}`: {e}"),
                    })
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            include: compile(include, "include")?,
            exclude: compile(exclude, "exclude")?,
        })
    }

    /// The layout of a tensor that is analysed.
    ///
    /// # Errors
    ///
    /// The reason why the tensor is left out.
    pub fn layout(
        &self,
        name: &str,
        layout: Option<Layout>,
        shape: &[usize],
    ) -> Result<Layout, SkipReason> {
        let layout = cut_layout(layout, shape)?;
        if self.includes(name) {
            Ok(layout)
        } else {
            Err(SkipReason::Excluded)
        }
    }

    /// Whether the patterns select this name.
    pub fn includes(&self, name: &str) -> bool {
        let hit = |patterns: &[Regex]| patterns.iter().any(|p| p.is_match(name));
        (self.include.is_empty() || hit(&self.include)) && !hit(&self.exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_and_say_why_not() {
        let s = Selection::new(&["^fc".into()], &["2".into()]).unwrap();
        assert_eq!(s.layout("fc1.weight", None, &[4, 3]), Ok(Layout::Matrix));
        assert_eq!(
            s.layout("fc2.weight", None, &[4, 3]),
            Err(SkipReason::Excluded)
        );
        assert_eq!(
            s.layout("conv.weight", None, &[4, 3]),
            Err(SkipReason::Excluded)
        );
        assert_eq!(s.layout("fc1.bias", None, &[4]), Err(SkipReason::Vector));
        let error = Selection::new(&["(".into()], &[]).unwrap_err().to_string();
        assert!(
            error.contains("include") && error.contains("`(`"),
            "{error}"
        );
    }
}
