//! The program as it is: with the library's own spaces, strategies and objectives.

#![deny(clippy::print_stdout, clippy::print_stderr)]

fn main() -> std::process::ExitCode {
    sgas::program::main()
}
