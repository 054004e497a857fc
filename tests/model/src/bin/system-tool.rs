//! `systemctl`, `systemd-sysusers` and `systemd-tmpfiles` on a machine of the stand-in.

fn main() -> std::process::ExitCode {
    model::system_tool()
}
