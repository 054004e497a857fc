//! Runs a request where it arrived, if it can be answered at once.

use std::pin::pin;
use std::task::{Context, Waker};

use hyper::rt::Executor;

/// Polls each new stream once on the task of its connection and spawns only what has to wait.
///
/// A read that is answered from memory then needs no task, no queue and no wake-up of another
/// thread: the request was read from the socket whole and its answer leaves with the same write.
/// The first poll gets a waker that does nothing; that is sound because a spawned task is polled
/// again before anything is expected to wake it.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineFirst;

impl<F> Executor<F> for InlineFirst
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let mut future = Box::pin(future);
        let mut context = Context::from_waker(Waker::noop());
        if pin!(&mut future).poll(&mut context).is_pending() {
            tokio::spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_is_ready_runs_before_execute_returns() {
        let ran = Arc::new(AtomicBool::new(false));
        let flag = ran.clone();
        InlineFirst.execute(async move { flag.store(true, Ordering::SeqCst) });
        assert!(ran.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn what_waits_is_carried_on_by_a_task() {
        let (answer, wait) = tokio::sync::oneshot::channel::<u8>();
        let (done, finished) = tokio::sync::oneshot::channel();
        InlineFirst.execute(async move {
            let _ = done.send(wait.await);
        });
        answer.send(7).expect("the future waits");
        assert_eq!(finished.await.expect("it finishes"), Ok(7));
    }
}
