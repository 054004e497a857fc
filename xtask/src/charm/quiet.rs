//! A command that nobody wants to see unless it fails.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs the command without showing what it prints.
///
/// # Errors
/// With the last line it wrote to its standard error.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed");
    bail!("{program}: {last}")
}
