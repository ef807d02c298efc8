//! The program: parse, run, print one error with its hint, exit code.
fn main() {}
