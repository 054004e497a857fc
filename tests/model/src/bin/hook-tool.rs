//! Every hook tool of the stand-in for Juju, by the name it is called.

fn main() -> std::process::ExitCode {
    model::hook_tool()
}
