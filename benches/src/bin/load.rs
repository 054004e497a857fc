//! See `quorate_benches`: the program is a thin face of the library.

use std::process::ExitCode;

/// The generator shares its cores with the server under test, so its allocations must be cheap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match quorate_benches::load_main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}"); // the causes in one line, whatever RUST_BACKTRACE says
            ExitCode::FAILURE
        }
    }
}
