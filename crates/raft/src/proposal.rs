//! How openraft reports what became of a proposal.

use openraft::raft::responder::Responder;

use crate::types::TypeConfig;

/// Runs a closure with the result of a proposal.
///
/// The outcome of an applied command does not come this way: it goes straight from the state
/// machine to whoever waits on this member. This one is here for proposals that never get there.
pub(crate) struct ProposalResponder<T>(Box<dyn FnOnce(T) + Send>);

impl<T> ProposalResponder<T> {
    pub(crate) fn new(finish: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(finish))
    }
}

impl<T> Responder<TypeConfig, T> for ProposalResponder<T>
where
    T: openraft::OptionalSend + 'static,
{
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
