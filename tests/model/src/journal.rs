//! What has been run, and what is to go wrong on purpose.

/// One hook or action that was run.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Unit it ran on.
    pub unit: String,
    /// Hook name (`cluster-relation-joined`), or `action:<name>`.
    pub hook: String,
    /// Remote unit, remote application for app-level hooks, or storage id; empty otherwise.
    pub about: String,
    /// `JUJU_DEPARTING_UNIT`, empty otherwise.
    pub departing: String,
    /// How it ended.
    pub end: End,
    /// Hook tools and system tools it called.
    pub tool_calls: u32,
    /// What it printed: standard output, then standard error.
    pub output: String,
}

/// How a hook or action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Exit 0, everything it wrote was committed.
    Done,
    /// The charm has no such hook: counts as success.
    Missing,
    /// Not exit 0, or killed: nothing was committed. The text says which.
    Failed(String),
    /// Exit 0, but the commit was refused: nothing was committed.
    Refused(String),
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.unit, self.hook)?;
        if !self.about.is_empty() {
            write!(f, " {}", self.about)?;
        }
        if !self.departing.is_empty() {
            write!(f, " departing={}", self.departing)?;
        }
        match &self.end {
            End::Done => Ok(()),
            End::Missing => write!(f, " (missing)"),
            End::Failed(why) => write!(f, " FAILED: {why}"),
            End::Refused(why) => write!(f, " REFUSED: {why}"),
        }
    }
}

/// Something that goes wrong once, in the middle of a hook or action.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Unit whose hook it is.
    pub unit: String,
    /// Hook or action name; none: the next one, whichever it is.
    pub hook: Option<String>,
    /// Tools that are still answered; the fault comes before the next one. Hook tools and the
    /// stand-ins for `systemctl` and its like count.
    pub after_tool_calls: u32,
    /// What happens.
    pub what: FaultKind,
}

/// What happens in the middle of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// SIGKILL to the hook.
    KillHook,
    /// Leadership moves to this unit; nobody is told.
    MoveLeader(String),
    /// The machine loses power; its services and the hook die.
    KillMachine,
}
