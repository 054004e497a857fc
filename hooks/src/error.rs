//! Why a hook fails: surprises only, never something a person typed or a member that is down.

/// A surprise; Juju shows the unit in error and runs the hook again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment is not Juju's.
    #[error(transparent)]
    Environment(#[from] juju::EnvironmentError),
    /// A hook tool failed.
    #[error(transparent)]
    Tool(#[from] juju::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] crate::files::FileError),
    /// A program could not be run.
    #[error(transparent)]
    Command(#[from] crate::command::CommandError),
    /// The agent could not be asked.
    #[error(transparent)]
    Agent(#[from] crate::agent::AgentError),
    /// A release could not be put in place.
    #[error(transparent)]
    Release(#[from] release::ReleaseError),
    /// Juju is too old.
    #[error(
        "this charm needs leader election: Juju 2.9 or later (the tool is-leader is missing here)"
    )]
    NoLeaderElection,
}
