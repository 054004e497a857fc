//! Runs the services of one machine of the stand-in.

fn main() -> std::process::ExitCode {
    model::machine_init()
}
