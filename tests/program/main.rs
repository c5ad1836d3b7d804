//! The program `heavytail`: what a script gets, and what a person sees.

mod files;
mod runs;
