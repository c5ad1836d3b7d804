//! What heavytail promises while burn trains, and every example in short form.

mod attach;
mod examples;
mod loops;
mod run;
#[path = "../../examples/support/mod.rs"]
mod support;
mod sweep;
