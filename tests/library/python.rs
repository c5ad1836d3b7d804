//! Readers of other people, where they are installed.

use std::path::Path;
use std::process::Command;

use crate::required::skip;

/// An interpreter that has what a test needs.
pub struct Python(String);

/// `$PYTHON`, or `python3`, if it can import the modules; the test is skipped otherwise.
pub fn python(modules: &str) -> Option<Python> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = format!("import {modules}");
    let output = Command::new(&python).args(["-c", &import]).output();
    if output.is_ok_and(|o| o.status.success()) {
        return Some(Python(python));
    }
    skip(
        "python",
        &format!("`{python}` cannot `{import}`; set PYTHON to one that can"),
    );
    None
}

impl Python {
    pub fn run(&self, script: &str, paths: &[&Path]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let output = Command::new(&self.0)
            .arg(script)
            .args(paths)
            .output()
            .unwrap();
        let (said, errors) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
        println!("{}", String::from_utf8_lossy(said));
        assert!(output.status.success(), "{errors}");
    }
}
