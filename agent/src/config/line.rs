//! The command line: Go's notation, made fit for clap.

use clap::builder::{PossibleValuesParser, StringValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::ETCD_VERSION;
use super::error::ConfigError;
use super::flags::{self, Flag, Group, Kind, Status};
use super::settings::{Settings, Source};

/// The flag that names the configuration file.
pub(super) const CONFIG_FILE: &str = "config-file";

const HELP: &str = "help";
const VERSION: &str = "version";
const REST: &str = "rest";

/// Subcommands of etcd that are not here yet; `etcd gateway start` is one.
const SUBCOMMANDS_LATER: [(&str, &str); 2] = [
    ("gateway", "the TCP gateway is not available in this release yet"),
    ("grpc-proxy", "the gRPC proxy is not available in this release yet"),
];

/// What a command line comes to.
pub(super) enum Line {
    Print(String),
    Settings(Settings),
}

/// Reads the arguments.
pub(super) fn parse(args: &[String]) -> Result<Line, ConfigError> {
    let normalised = normalise(args)?;
    let mut command = command();
    let matches = match command.try_get_matches_from_mut(normalised) {
        Ok(matches) => matches,
        Err(error) => return Err(translate(&error)),
    };
    if matches.get_flag(HELP) {
        return Ok(Line::Print(command.render_long_help().to_string()));
    }
    if matches.get_one::<String>(VERSION).is_some_and(|text| text != "false") {
        return Ok(Line::Print(version()));
    }
    if let Some(word) = matches.get_many::<String>(REST).and_then(|mut words| words.next()) {
        return Err(positional(word));
    }
    let mut settings = Settings::default();
    for name in flags::all().map(|flag| flag.name).chain([CONFIG_FILE]) {
        if let Some(text) = matches.get_one::<String>(name) {
            settings.insert(name, text.clone(), Source::Line(name));
        }
    }
    Ok(Line::Settings(settings))
}

fn positional(word: &str) -> ConfigError {
    match SUBCOMMANDS_LATER.iter().find(|(name, _)| *name == word) {
        Some((name, reason)) => ConfigError::Unavailable {
            place: format!("command {name}"),
            reason: (*reason).to_owned(),
        },
        None => ConfigError::Positional {
            word: word.to_owned(),
            // Go reads `--pre-vote false` as a flag without a value and a stray word.
            hint: match word {
                "true" | "false" => "; join it to its flag, as in --pre-vote=false",
                _ => "",
            },
        },
    }
}

/// The first line is etcd's, because tools parse it.
fn version() -> String {
    format!("etcd Version: {ETCD_VERSION}\nquorate Version: {}\n", env!("CARGO_PKG_VERSION"))
}

/// Gives single-dash flags their second dash and joins values to their flags, as Go reads them:
/// the argument after a flag that needs a value is its value whatever it looks like, and the
/// first word that is neither ends the flags.
fn normalise(args: &[String]) -> Result<Vec<String>, ConfigError> {
    let mut normalised = vec!["quorate".to_owned()];
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).unwrap_or_default();
        if name.is_empty() {
            let words = rest.as_slice().iter().cloned();
            let first = (arg != "--").then(|| arg.clone());
            normalised.push("--".into());
            normalised.extend(first.into_iter().chain(words));
            break;
        }
        if !needs_value(name) {
            normalised.push(format!("--{name}"));
            continue;
        }
        let value = rest.next().ok_or_else(|| ConfigError::MissingValue(name.to_owned()))?;
        normalised.push(format!("--{name}={value}"));
    }
    Ok(normalised)
}

/// Whether the flag's value is the next argument.
fn needs_value(name: &str) -> bool {
    let takes_one = |flag: &Flag| flag.kind != Kind::Bool;
    name == CONFIG_FILE || flags::find(name).is_some_and(takes_one)
}

fn command() -> Command {
    let mut command = Command::new("quorate")
        .about("An etcd-compatible key-value store.")
        .long_about(ABOUT)
        .override_usage(
            "quorate [flags]\n       quorate check [flags]\n       quorate admin [command]",
        )
        .after_long_help(AFTER)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .term_width(100);
    for group in Group::ALL {
        let flags = flags::all().filter(|flag| flag.group == group);
        command = command.args(flags.map(argument));
        if group == Group::General {
            command = command.args(general());
        }
    }
    command.arg(Arg::new(REST).num_args(0..).hide(true))
}

fn argument(flag: &'static Flag) -> Arg {
    let arg = Arg::new(flag.name)
        .long(flag.name)
        .help_heading(flag.group.title())
        .value_name(flag.kind.name())
        .value_parser(StringValueParser::new())
        .require_equals(true)
        .help(sentence(flag));
    match flag.kind {
        Kind::Bool => arg.num_args(0..=1).default_missing_value("true"),
        _ => arg.num_args(1),
    }
}

/// `--config-file`, `--version` and `--help` are not settings of a member.
fn general() -> [Arg; 3] {
    let heading = Group::General.title();
    let file = Arg::new(CONFIG_FILE)
        .long(CONFIG_FILE)
        .value_name("path")
        .require_equals(true)
        .help("YAML or JSON file with the settings; flags and variables are then ignored.");
    let version = Arg::new(VERSION)
        .long(VERSION)
        .require_equals(true)
        .num_args(0..=1)
        .default_missing_value("true")
        .value_parser(PossibleValuesParser::new(["true", "false"]))
        .hide_possible_values(true)
        .help("Print the version and stop; the first line is the etcd release it behaves like.");
    let help = Arg::new(HELP)
        .long(HELP)
        .short('h')
        .alias("h")
        .action(ArgAction::SetTrue)
        .help("Print this text and stop.");
    [file, version, help].map(|arg| arg.help_heading(heading))
}

/// The flag's help with what a reader must know beside it.
pub(super) fn sentence(flag: &Flag) -> String {
    let note = match flag.status {
        Status::Works | Status::AliasOf(_) => String::new(),
        Status::Later(_) => " Not yet.".to_owned(),
        Status::Refused(reason) => format!(" Refused: {reason}."),
        Status::Ignored(reason) => format!(" No effect: {reason}."),
    };
    let choices = match flag.kind {
        Kind::Choice(words) => format!(" One of: {}.", words.join(" ").trim()),
        _ => String::new(),
    };
    let default = match flag.default {
        "" => String::new(),
        text => format!(" [default: {text}]"),
    };
    format!("{}{choices}{note}{default}", flag.help)
}

/// clap's error as one line of ours.
fn translate(error: &clap::Error) -> ConfigError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let flag = text(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let similar = text(ContextKind::SuggestedArg);
            let hint = if similar.is_empty() {
                String::new()
            } else {
                format!("; did you mean {similar}?")
            };
            ConfigError::UnknownFlag { flag, hint }
        }
        kind => ConfigError::Usage(format!(
            "{flag}: {}; quorate --help lists the flags",
            kind.as_str().unwrap_or("not understood")
        )),
    }
}

const ABOUT: &str = "\
An etcd-compatible key-value store: one member of a cluster.

Without flags it is a cluster of one on 127.0.0.1:2379 (peers on 2380) with its data in
default.etcd. Flags, variables and configuration files of etcd work unchanged:

  quorate --name a --data-dir /var/lib/quorate
  ETCD_NAME=a ETCD_DATA_DIR=/var/lib/quorate quorate
  quorate --config-file /etc/quorate.yaml

With the word check in front, the settings are read and checked and nothing is started. quorate
admin asks a running member over its admin socket: quorate admin --help.

Each flag --some-flag is also the variable ETCD_SOME_FLAG and the file key some-flag. Giving a
flag and its variable at once is an error. With a configuration file, flags and variables are
ignored.";

const AFTER: &str = "\
Durations have a unit (100ms, 5s, 1h30m); in a configuration file a number is nanoseconds.
Flags marked \"Not yet\" are accepted with their default value only; giving one says why.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_value_may_look_like_a_flag() {
        let args = ["-name", "-x", "--pre-vote", "--data-dir=d"].map(str::to_owned);
        let expected = ["quorate", "--name=-x", "--pre-vote", "--data-dir=d"];
        assert_eq!(normalise(&args), Ok(expected.map(str::to_owned).to_vec()));
    }
}
