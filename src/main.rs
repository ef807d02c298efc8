//! The program as it is: with the library's own spaces, strategies and objectives.

fn main() -> std::process::ExitCode {
    sgas::program::main()
}
