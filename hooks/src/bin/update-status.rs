//! Every few minutes: what changed without a hook is noticed here.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::UpdateStatus)
}
