//! Tests that need a tool of someone else: a browser, or a Python with certain modules.

/// Say that a test is skipped for want of a tool. It fails where `HEAVYTAIL_REQUIRE_TOOLS` names
/// the tool, since a skipped test counts as passed. The gate names the tools that it has installed.
pub fn skip(tool: &str, why: &str) {
    let required = std::env::var("HEAVYTAIL_REQUIRE_TOOLS").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name == tool),
        "HEAVYTAIL_REQUIRE_TOOLS names {tool}, but {why}"
    );
    println!("SKIPPED: {why}");
}
