//! The program as it is: with the library's own spaces, strategies and objectives.

#![deny(clippy::print_stdout, clippy::print_stderr)]

#[global_allocator]
static ALLOCATOR: sgas::tensor::bridge::allocator::Telling = sgas::tensor::bridge::allocator::Telling;

fn main() -> std::process::ExitCode {
    sgas::program::main()
}
