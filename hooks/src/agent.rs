//! The agent of this unit, asked over its admin socket.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::{self, CommandError};
use crate::paths::Paths;

/// Exit code of `quorate admin` when nobody listens.
const NOT_ANSWERING: i32 = 3;

/// How long a question may take.
const ASK_MAX: Duration = Duration::from_secs(15);

/// How long leaving may take: the agent takes up to 60 s.
const LEAVE_MAX: Duration = Duration::from_secs(75);

/// How long work on the whole database may take.
const WORK_MAX: Duration = Duration::from_secs(300);

/// What the program adds to its own limit before we stop it.
const SLACK: Duration = Duration::from_secs(5);

/// Who makes the requests to the agent.
#[derive(Debug, Clone)]
pub struct Agent {
    program: PathBuf,
    socket: PathBuf,
}

/// What an agent says about itself and its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AgentStatus {
    /// Name of the member.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The etcd version it is compatible with; an agent that does not tell leaves it empty.
    pub etcd_version: String,
    /// Where it stands.
    pub state: State,
    /// One line that says why the state lasts; may be empty.
    pub reason: String,
    /// The cluster, as 16 hex digits; `None` before it has one.
    pub cluster_id: Option<String>,
    /// The member, as 16 hex digits; `None` before it is one.
    pub member_id: Option<String>,
    /// The raft leader, if it knows one.
    pub leader: Option<String>,
    /// True for the raft leader.
    pub is_leader: bool,
    /// True while it has no vote.
    pub is_learner: bool,
    /// True when it answers requests that need a majority.
    pub is_ready: bool,
    /// Revision of the store.
    pub revision: u64,
    /// The members it knows.
    pub members: Vec<Member>,
    /// Alarms that are raised.
    pub alarms: Vec<Alarm>,
}

impl AgentStatus {
    /// The version that clients go by.
    pub fn workload_version(&self) -> &str {
        if self.etcd_version.is_empty() { &self.version } else { &self.etcd_version }
    }
}

/// Where an agent stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Asks for membership.
    Joining,
    /// Has a place and does not serve yet.
    Starting,
    /// Serves.
    Member,
    /// About to leave.
    Leaving,
    /// Has left by itself.
    Left,
    /// Cannot start.
    Refused,
    /// A word of a newer agent.
    #[default]
    #[serde(other)]
    Unknown,
}

impl State {
    /// As the databag spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Starting => "starting",
            Self::Member => "member",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A member of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Member {
    /// 16 hex digits.
    pub id: String,
    /// Empty until it has started.
    pub name: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// True while it has no vote.
    pub is_learner: bool,
    /// True for the raft leader.
    pub is_leader: bool,
    /// `None` when the one that was asked cannot tell.
    pub is_alive: Option<bool>,
}

/// An alarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Alarm {
    /// The member it is about.
    pub member: String,
    /// `NOSPACE` or `CORRUPT`.
    pub alarm: String,
}

/// A request to the agent was not done.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody listens: the service is down or not there yet.
    #[error("the agent does not answer: {0}")]
    NotAnswering(String),
    /// The agent said no.
    #[error("{error}")]
    Refused {
        /// Kebab-case code.
        code: String,
        /// One line.
        error: String,
        /// The whole answer.
        answer: Value,
    },
    /// The answer makes no sense.
    #[error("the agent answered something this charm does not understand: {0}")]
    NotUnderstood(String),
    /// The program that asks could not be run.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl AgentError {
    /// The code of a refusal; empty for everything else.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "",
        }
    }
}

impl Agent {
    /// The agent of the unit that has these paths.
    pub fn new(paths: &Paths) -> Self {
        Self { program: paths.carried_agent(), socket: paths.admin_socket() }
    }

    /// What it says; `None` when it does not answer, which is a fact and no error.
    ///
    /// # Errors
    ///
    /// When the program that asks is missing.
    pub fn status(&self) -> Result<Option<AgentStatus>, AgentError> {
        match self.ask(&["status"], ASK_MAX) {
            Ok(answer) => serde_json::from_value(answer)
                .map(Some)
                .map_err(|error| AgentError::NotUnderstood(error.to_string())),
            Err(AgentError::Command(CommandError::NotRun { program, source })) => {
                Err(CommandError::NotRun { program, source }.into())
            }
            Err(_) => Ok(None),
        }
    }

    /// Gives up this member's place in the cluster.
    ///
    /// # Errors
    ///
    /// Code `last-voter` for the only one, `no-quorum` without a majority.
    pub fn leave(&self) -> Result<(), AgentError> {
        self.ask(&["leave"], LEAVE_MAX).map(drop)
    }

    /// Removes another member, by name.
    ///
    /// # Errors
    ///
    /// Codes `not-found`, `unsafe`, `last-voter`, `no-quorum`.
    pub fn remove(&self, name: &str) -> Result<(), AgentError> {
        self.ask(&["remove", name, "--reason", "scale-in"], ASK_MAX).map(drop)
    }

    /// Takes the turn called `name` for `ttl`; taking one's own again renews it.
    ///
    /// # Errors
    ///
    /// Code `taken` when another member has it.
    pub fn take_turn(&self, name: &str, ttl: Duration) -> Result<(), AgentError> {
        let ttl_s = ttl.as_secs().to_string();
        self.ask(&["turn", "take", name, "--ttl-s", &ttl_s], ASK_MAX).map(drop)
    }

    /// Gives the turn back.
    ///
    /// # Errors
    ///
    /// When the agent does not do it; the turn then ends by itself.
    pub fn release_turn(&self, name: &str) -> Result<(), AgentError> {
        self.ask(&["turn", "release", name], ASK_MAX).map(drop)
    }

    /// Forgets history up to `revision`, or the current one.
    ///
    /// # Errors
    ///
    /// As the agent says.
    pub fn compact(&self, revision: Option<u64>, is_physical: bool) -> Result<Value, AgentError> {
        let revision = revision.map(|revision| revision.to_string());
        let mut words = vec!["compact"];
        if let Some(revision) = &revision {
            words.extend(["--revision", revision]);
        }
        words.extend(is_physical.then_some("--physical"));
        self.ask(&words, WORK_MAX)
    }

    /// Gives unused space of the database back to the file system.
    ///
    /// # Errors
    ///
    /// As the agent says.
    pub fn defragment(&self) -> Result<Value, AgentError> {
        self.ask(&["defragment"], WORK_MAX)
    }

    /// Clears the alarms.
    ///
    /// # Errors
    ///
    /// As the agent says.
    pub fn disarm(&self) -> Result<Value, AgentError> {
        self.ask(&["disarm"], ASK_MAX)
    }

    fn ask(&self, words: &[&str], time_max: Duration) -> Result<Value, AgentError> {
        let mut command = Command::new(&self.program);
        command.env_clear().arg("admin").arg("--socket").arg(&self.socket);
        command.args(["--timeout-s", &time_max.as_secs().to_string()]).args(words);
        let finished = command::run(command, time_max + SLACK)?;
        let answer = || {
            serde_json::from_str::<Value>(&finished.stdout).map_err(|error| {
                AgentError::NotUnderstood(format!("{error}: {}", finished.reason()))
            })
        };
        match finished.code {
            Some(0) => answer(),
            Some(NOT_ANSWERING) => Err(AgentError::NotAnswering(finished.reason())),
            _ => Err(refusal(answer()?)),
        }
    }
}

fn refusal(answer: Value) -> AgentError {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    AgentError::Refused { code: text("code"), error: text("error"), answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn agent(script: &str) -> (tempfile::TempDir, Agent) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("quorate");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let agent = Agent { program, socket: dir.path().join("admin.sock") };
        (dir, agent)
    }

    #[test]
    fn an_agent_that_does_not_answer_is_a_fact() {
        let (_dir, agent) = agent("echo 'quorate: nobody listens' >&2; exit 3");
        assert_eq!(agent.status().unwrap(), None);
        assert!(matches!(agent.leave(), Err(AgentError::NotAnswering(_))));
    }

    #[test]
    fn a_missing_program_is_a_surprise() {
        let (dir, agent) = agent("");
        std::fs::remove_file(dir.path().join("quorate")).unwrap();
        assert!(agent.status().is_err());
    }

    #[test]
    fn a_refusal_has_its_code() {
        let (_dir, agent) = agent(r#"echo '{"error":"only voter","code":"last-voter"}'; exit 1"#);
        let error = agent.leave().unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), ("last-voter", "only voter"));
    }

    #[test]
    fn words_of_a_newer_agent_do_not_hurt() {
        let json = r#"{"name":"a","state":"dreaming","news":1,"cluster_id":null,"members":[{"id":"1","is_alive":null}]}"#;
        let status: AgentStatus = serde_json::from_str(json).unwrap();
        assert_eq!(status.state, State::Unknown);
        assert_eq!(status.members[0].is_alive, None);
    }

    #[test]
    fn the_command_line_is_the_documented_one() {
        let (dir, agent) = agent(r#"printf '%s\n' "$*" > "$0.args"; echo '{"revision":7}'"#);
        agent.compact(Some(7), true).unwrap();
        let line = std::fs::read_to_string(dir.path().join("quorate.args")).unwrap();
        assert!(line.ends_with("--timeout-s 300 compact --revision 7 --physical\n"), "{line}");
        assert!(line.starts_with("admin --socket /"), "{line}");
    }
}
