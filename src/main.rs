//! The `volley` program: a shell over [`volley::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    volley::cli::main()
}
