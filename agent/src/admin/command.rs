//! `quorate admin` as it is typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use crate::config::ConfigError;

/// One question to a running member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Where the member is asked.
    pub socket: PathBuf,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// How.
    pub method: Method,
    /// What.
    pub path: String,
    /// With which words; none for what only reads or takes back.
    pub body: Option<Value>,
}

/// What an admin line comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Print this and stop.
    Help(String),
    /// Ask this.
    Command(Command),
}

#[derive(Parser)]
#[command(
    name = "quorate admin",
    bin_name = "quorate admin",
    about = "Asks a running member over its admin socket, and has it do things.",
    after_help = AFTER,
    disable_version_flag = true,
    disable_help_subcommand = true,
    term_width = 100
)]
struct Line {
    /// The member's --admin-socket; the variable ETCD_ADMIN_SOCKET names it too.
    #[arg(long, global = true, value_name = "path")]
    socket: Option<PathBuf>,
    /// How long to wait for the answer, in seconds; what was started may go on after that.
    #[arg(
        long,
        global = true,
        value_name = "seconds",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    timeout_s: u64,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Tell everything the member knows: its state, the members, the leader, alarms.
    Status,
    /// Hand leadership over and give up this member's place; its process stays, idle.
    Leave,
    /// Take another member out of the cluster, if the others can do without it.
    Remove {
        /// Its id (16 hex digits) or name, as in status.
        member: String,
        /// What the cluster remembers as the reason.
        #[arg(long, value_enum, default_value_t = Reason::Operator)]
        reason: Reason,
    },
    /// Give up history below a revision.
    Compact {
        /// The oldest revision that stays; without it, the current one.
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
        revision: Option<i64>,
        /// Wait until the rows are gone from this member's database.
        #[arg(long)]
        physical: bool,
    },
    /// Have everything written to disk and tell how much room the database takes.
    Defragment,
    /// Take all alarms back.
    Disarm,
    /// One member at a time: take and give back turns that all members agree on.
    #[command(subcommand, disable_help_subcommand = true)]
    Turn(Turn),
}

#[derive(Subcommand)]
enum Turn {
    /// Take a turn for this member, or keep the one it has longer.
    Take {
        /// What the turn is for, such as restart.
        name: String,
        /// The turn ends by itself after this many seconds.
        #[arg(long, default_value_t = 120)]
        ttl_s: u32,
    },
    /// Give this member's turn back.
    Release {
        /// What the turn was for.
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Reason {
    ScaleIn,
    Operator,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::ScaleIn => "scale-in",
            Self::Operator => "operator",
        }
    }
}

const AFTER: &str = "\
Every command prints the member's answer, one line of JSON. It ends with 0; with 1 and one line on
stderr when the member says no (the JSON then says why); with 3 when no member listens there.

  export ETCD_ADMIN_SOCKET=/run/quorate/admin.sock
  quorate admin status
  quorate admin turn take restart --ttl-s 60 && systemctl restart quorate
  quorate admin remove 8e9e05c52164694d";

/// Reads the words after `admin`. `socket` is the variable's.
///
/// # Errors
/// A line that says what is wrong with the words.
pub fn parse(args: &[String], socket: Option<&str>) -> Result<Parsed, ConfigError> {
    let words = std::iter::once("quorate admin").chain(args.iter().map(String::as_str));
    let line = match Line::try_parse_from(words) {
        Ok(line) => line,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return Ok(Parsed::Help(error.render().to_string()));
        }
        Err(error) => return Err(ConfigError::Usage(one_line(&error))),
    };
    let socket = line.socket.or(socket.map(PathBuf::from)).ok_or_else(|| {
        let text = "which member? name its socket with --socket or ETCD_ADMIN_SOCKET";
        ConfigError::Usage(text.to_owned())
    })?;
    let timeout = Duration::from_secs(line.timeout_s);
    let (method, path, body) = request(line.verb);
    Ok(Parsed::Command(Command { socket, timeout, method, path, body }))
}

fn request(verb: Verb) -> (Method, String, Option<Value>) {
    let post = |path: &str, body| (Method::POST, path.to_owned(), Some(body));
    match verb {
        Verb::Status => (Method::GET, "/v1/status".to_owned(), None),
        Verb::Leave => post("/v1/leave", json!({})),
        Verb::Remove { member, reason } => {
            post("/v1/remove", json!({ "member": member, "reason": reason.as_str() }))
        }
        Verb::Compact { revision: Some(revision), physical } => {
            post("/v1/compact", json!({ "revision": revision, "physical": physical }))
        }
        Verb::Compact { revision: None, physical } => {
            post("/v1/compact", json!({ "physical": physical }))
        }
        Verb::Defragment => post("/v1/defragment", json!({})),
        Verb::Disarm => post("/v1/alarms/disarm", json!({})),
        Verb::Turn(Turn::Take { name, ttl_s }) => {
            post("/v1/turn", json!({ "name": name, "ttl_s": ttl_s }))
        }
        Verb::Turn(Turn::Release { name }) => {
            (Method::DELETE, format!("/v1/turn?name={name}"), None)
        }
    }
}

/// clap's first paragraph, as one line of ours.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "which command? quorate admin --help lists them".to_owned();
    }
    let text = error.render().to_string();
    let paragraph = text.lines().take_while(|line| !line.trim().is_empty());
    let words: Vec<&str> = paragraph.map(str::trim).collect();
    let words = words.join(" ");
    format!("{}; quorate admin --help", words.strip_prefix("error: ").unwrap_or(&words))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str, socket: Option<&str>) -> Result<Parsed, ConfigError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words, socket)
    }

    fn asked(line: &str) -> (String, String, Option<Value>) {
        match parsed(line, Some("/s")) {
            Ok(Parsed::Command(command)) => {
                (command.method.to_string(), command.path, command.body)
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn every_command_is_a_request() {
        for (line, method, path, body) in [
            ("status", "GET", "/v1/status", None),
            ("leave", "POST", "/v1/leave", Some(json!({}))),
            (
                "remove etcd-1",
                "POST",
                "/v1/remove",
                Some(json!({ "member": "etcd-1", "reason": "operator" })),
            ),
            (
                "remove etcd-1 --reason scale-in",
                "POST",
                "/v1/remove",
                Some(json!({ "member": "etcd-1", "reason": "scale-in" })),
            ),
            ("compact", "POST", "/v1/compact", Some(json!({ "physical": false }))),
            (
                "compact --revision 7 --physical",
                "POST",
                "/v1/compact",
                Some(json!({ "revision": 7, "physical": true })),
            ),
            ("defragment", "POST", "/v1/defragment", Some(json!({}))),
            ("disarm", "POST", "/v1/alarms/disarm", Some(json!({}))),
            (
                "turn take restart --ttl-s 5",
                "POST",
                "/v1/turn",
                Some(json!({ "name": "restart", "ttl_s": 5 })),
            ),
            ("turn release restart", "DELETE", "/v1/turn?name=restart", None),
        ] {
            assert_eq!(asked(line), (method.to_owned(), path.to_owned(), body), "{line}");
        }
    }

    #[test]
    fn the_socket_and_the_time_stand_anywhere_and_the_flag_counts_before_the_variable() {
        for line in ["--socket /a --timeout-s 5 status", "status --timeout-s=5 --socket=/a"] {
            let Ok(Parsed::Command(command)) = parsed(line, Some("/b")) else { panic!("{line}") };
            assert_eq!(command.socket, PathBuf::from("/a"));
            assert_eq!(command.timeout, Duration::from_secs(5));
        }
        let Ok(Parsed::Command(command)) = parsed("status", Some("/b")) else { panic!("no") };
        assert_eq!((command.socket, command.timeout.as_secs()), (PathBuf::from("/b"), 30));
    }

    #[test]
    fn each_mistake_gets_one_line() {
        let cases = [
            ("", "which command? quorate admin --help lists them"),
            ("turn", "which command? quorate admin --help lists them"),
            ("stats", "unrecognized subcommand 'stats'; quorate admin --help"),
            (
                "remove",
                "the following required arguments were not provided: <MEMBER>; quorate admin --help",
            ),
            (
                "remove a --reason x",
                "invalid value 'x' for '--reason <REASON>' [possible values: scale-in, operator]; \
                 quorate admin --help",
            ),
            ("status --bad", "unexpected argument '--bad' found; quorate admin --help"),
        ];
        for (line, expected) in cases {
            let error = parsed(line, Some("/s")).expect_err(line);
            assert_eq!((error.to_string(), error.exit_code()), (expected.to_owned(), 2), "{line}");
        }
        let error = parsed("status", None).expect_err("no socket");
        assert!(error.to_string().contains("ETCD_ADMIN_SOCKET"), "{error}");
    }

    #[test]
    fn help_teaches_by_example() {
        for line in ["--help", "-h", "turn --help", "remove -h"] {
            let Ok(Parsed::Help(text)) = parsed(line, None) else { panic!("{line}") };
            assert!(text.contains("Usage: quorate admin"), "{text}");
        }
        let Ok(Parsed::Help(text)) = parsed("--help", None) else { panic!("help") };
        assert!(text.contains("quorate admin turn take restart"), "{text}");
    }
}
