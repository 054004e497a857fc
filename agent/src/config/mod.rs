//! What a member is told at its start: command line, environment and file, checked and typed.
//!
//! The three sources are reduced to [`settings::Settings`], flag name to text; [`build`] turns
//! those into a [`Config`] and checks what depends on more than one flag. The flags themselves are
//! data ([`flags`]). Everything but [`Config::from_process`] is pure.
//!
//! Precedence is etcd's: with `--config-file` (or `ETCD_CONFIG_FILE`) the file alone counts;
//! otherwise a setting comes from a flag or from a variable, and both at once is an error.

mod bootstrap;
mod build;
mod document;
mod duration;
mod environment;
mod error;
mod file;
pub mod flags;
mod line;
mod memory;
mod settings;
mod types;
mod url;
mod value;

use std::ffi::OsString;
use std::io;
use std::path::Path;

pub use self::document::flags_markdown;
pub use self::error::ConfigError;
pub use self::types::{
    AutoCompaction, ClusterState, Config, FoundingMember, JoinSeeds, Keepalive, Limits, LogConfig,
    LogFormat, LogLevel, LogOutput, Quota, SlowRequests, Timing, Tuning, Urls,
};
pub use self::url::{Scheme, Url};
use crate::admin;

/// The word that makes this process ask a member instead of being one.
const ADMIN: &str = "admin";

/// The word that makes this process read its settings and stop.
const CHECK: &str = "check";

/// The etcd release whose behaviour this release has; what `/version` and `Status` report.
pub const ETCD_VERSION: &str = "3.7.1";

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Print this text and stop: help or version.
    Print(String),
    /// Run a member.
    Start(Box<Config>),
    /// Say whether a member could run with this, and stop: `quorate check`.
    Check(Box<Config>),
    /// Ask a running member: `quorate admin`.
    Admin(admin::Command),
}

/// Reads a file as text; the only way the parser touches the machine.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

impl Config {
    /// Reads the arguments and environment of this process, and the files they name.
    ///
    /// # Errors
    /// On anything malformed, contradictory or not available: one line that names the flag,
    /// variable or key. [`ConfigError::exit_code`] is etcd's.
    pub fn from_process() -> Result<Request, ConfigError> {
        let args = std::env::args_os().skip(1).map(|arg| utf8(arg, "an argument"));
        let args: Vec<String> = args.collect::<Result<_, _>>()?;
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("ETCD_"))?;
            let value = utf8(value, &format!("environment variable {name}"));
            Some(value.map(|value| (name, value)))
        });
        let environment: Vec<(String, String)> = environment.collect::<Result<_, _>>()?;
        parse(&args, &environment, &|path| std::fs::read_to_string(path))
    }
}

fn utf8(text: OsString, what: &str) -> Result<String, ConfigError> {
    text.into_string().map_err(|text| {
        ConfigError::Usage(format!("{what} is not UTF-8: {:?}", text.to_string_lossy()))
    })
}

/// Reads arguments (without the program's name) and environment.
///
/// # Errors
/// See [`Config::from_process`].
pub fn parse(
    args: &[String],
    environment: &[(String, String)],
    read_file: ReadFile<'_>,
) -> Result<Request, ConfigError> {
    let (args, is_check) = match args.split_first() {
        Some((word, rest)) if word == ADMIN => return admin_request(rest, environment),
        Some((word, rest)) if word == CHECK => (rest, true),
        _ => (args, false),
    };
    let line = match line::parse(args)? {
        line::Line::Print(text) => return Ok(Request::Print(text)),
        line::Line::Settings(settings) => settings,
    };
    let settings =
        match config_file(&line, environment) {
            Some(path) => {
                let mut settings = file::parse(&path, read_file)?;
                let ignored = line.names().filter(|name| *name != line::CONFIG_FILE);
                settings.warnings.extend(ignored.map(|name| {
                    format!("flag --{name} is ignored: all settings come from {path}")
                }));
                settings
            }
            None => environment::merge(line, environment)?,
        };
    let config = Box::new(build::build(settings, read_file)?);
    Ok(if is_check { Request::Check(config) } else { Request::Start(config) })
}

/// The socket's variable is the member's own, so that both are told by the same environment file.
fn admin_request(
    args: &[String],
    environment: &[(String, String)],
) -> Result<Request, ConfigError> {
    let variable = flags::find("admin-socket").map(flags::Flag::variable);
    let socket = environment.iter().find(|(name, _)| Some(name) == variable.as_ref());
    let socket = socket.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
    match admin::parse(args, socket)? {
        admin::Parsed::Help(text) => Ok(Request::Print(text)),
        admin::Parsed::Command(command) => Ok(Request::Admin(command)),
    }
}

/// Where the file is named: etcd looks at the flag first, then at the variable.
fn config_file(line: &settings::Settings, environment: &[(String, String)]) -> Option<String> {
    let from_line = line.text(line::CONFIG_FILE).map(str::to_owned);
    let variable = || {
        let found = environment.iter().find(|(name, _)| name == "ETCD_CONFIG_FILE");
        found.map(|(_, value)| value.clone())
    };
    from_line.or_else(variable).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests;
