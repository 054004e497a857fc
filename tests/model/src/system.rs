//! Stand-ins for the system's tools a hook runs. They act on the machine's root directory only.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::{At, Error, Result};
use crate::init::control;
use crate::server::SYSTEM_TOOL;
use crate::wire::{Request, call};

/// Names on the hooks' PATH.
pub(crate) const TOOLS: &[&str] = &["systemctl", "systemd-sysusers", "systemd-tmpfiles"];

/// The system-tool executable: does what the tool it was called as does, on the machine of
/// `QUORATE_CHARM_ROOT`.
pub fn system_tool() -> ExitCode {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let called = args.next().unwrap_or_default();
    let tool = called.rsplit('/').next().unwrap_or_default().to_owned();
    let args: Vec<String> = args.collect();
    announce(&tool);
    let Some(root) = std::env::var_os("QUORATE_CHARM_ROOT").map(PathBuf::from) else {
        eprintln!(
            "{tool}: QUORATE_CHARM_ROOT is not set: this stand-in never touches the real system"
        );
        return ExitCode::FAILURE;
    };
    let done = match tool.as_str() {
        "systemctl" => return systemctl(&root, &args),
        "systemd-sysusers" => {
            files(&root, &args).and_then(|files| files.iter().try_for_each(|file| sysusers(file)))
        }
        "systemd-tmpfiles" => files(&root, &args)
            .and_then(|files| files.iter().try_for_each(|file| tmpfiles(&root, file))),
        _ => Err(Error::new("unknown tool")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{tool}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts as a step of the hook, where a fault can strike.
fn announce(tool: &str) {
    let (Ok(context), Ok(socket)) =
        (std::env::var("JUJU_CONTEXT_ID"), std::env::var("JUJU_AGENT_SOCKET_ADDRESS"))
    else {
        return;
    };
    let request = Request {
        context,
        dir: String::new(),
        tool: format!("{SYSTEM_TOOL}{tool}"),
        args: Vec::new(),
        stdin: None,
    };
    if call(&socket, &request).is_err() {
        // The hook was killed: what it would have done does not happen.
        std::process::exit(1);
    }
}

fn systemctl(root: &Path, args: &[String]) -> ExitCode {
    match control::ask(root, args) {
        Ok(answer) => {
            print!("{}", answer.stdout);
            eprint!("{}", answer.stderr);
            ExitCode::from(answer.code)
        }
        Err(error) => {
            eprintln!("Failed to connect to bus: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The configuration files named; all of them have to be on the machine.
fn files(root: &Path, args: &[String]) -> Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> =
        args.iter().filter(|arg| !arg.starts_with('-')).map(PathBuf::from).collect();
    if files.is_empty() {
        return Err(Error::new("no file given: without one the whole system would be meant"));
    }
    match files.iter().find(|file| !is_inside(root, file)) {
        Some(file) => {
            Err(Error::new(format!("{}: not on this machine ({})", file.display(), root.display())))
        }
        None => Ok(files),
    }
}

fn is_inside(root: &Path, path: &Path) -> bool {
    path.starts_with(root) && !path.components().any(|part| part == std::path::Component::ParentDir)
}

fn lines(file: &Path) -> Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(file).at(file.display())?;
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
}

/// Checks the lines; users of the real system stay as they are.
fn sysusers(file: &Path) -> Result<()> {
    for line in lines(file)? {
        let is_known = ["u", "u!", "g", "m", "r"].contains(&line[0].as_str());
        if !is_known || line.len() < 2 {
            return Err(Error::new(format!("{}: bad line \"{}\"", file.display(), line.join(" "))));
        }
    }
    Ok(())
}

/// Makes directories and sets modes; owners stay as they are.
fn tmpfiles(root: &Path, file: &Path) -> Result<()> {
    for line in lines(file)? {
        let (kind, path) = (
            line[0].trim_end_matches(['!', '+', '-', '=', '~', '^', '$']),
            line.get(1).map_or("", String::as_str),
        );
        let path = Path::new(path);
        if !is_inside(root, path) {
            return Err(Error::new(format!(
                "{}: {} is not on this machine",
                file.display(),
                path.display()
            )));
        }
        let mode = line.get(2).map(String::as_str).unwrap_or("-").trim_start_matches(['~', ':']);
        match kind {
            "d" | "D" | "v" | "q" | "Q" => std::fs::create_dir_all(path).at(path.display())?,
            "f" if !path.exists() => {
                std::fs::write(path, line.get(6).map_or("", String::as_str)).at(path.display())?
            }
            "f" | "z" | "Z" | "x" | "X" | "h" | "H" | "a" | "A" => {}
            other => {
                return Err(Error::new(format!(
                    "{}: type \"{other}\" is not known to the stand-in",
                    file.display()
                )));
            }
        }
        if let (Ok(mode), true) = (u32::from_str_radix(mode, 8), path.exists()) {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
                .at(path.display())?;
        }
    }
    Ok(())
}
