//! Which thread serves which client connection.
//!
//! The first thread also runs raft and applies the log; a lone client is served there, so that its
//! write crosses no thread but the log's. Each further thread has a runtime of its own, and a new
//! connection goes to the thread with the fewest: nothing is stolen, no lock is shared between
//! them, and a busy machine uses all its cores. Measured on two cores against one runtime with two
//! work-stealing threads: docs/decisions/0007-one-runtime-per-thread.md.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};

/// The threads that serve client connections.
pub struct ConnectionThreads {
    /// The first one is the caller's own; the others are kept alive here.
    threads: Vec<Thread>,
}

struct Thread {
    handle: Handle,
    runtime: Option<Runtime>,
    open: Arc<AtomicUsize>,
}

impl ConnectionThreads {
    /// The thread of the runtime this is called from, and `more` of their own.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(more: usize) -> io::Result<Self> {
        let own = Thread { handle: Handle::current(), runtime: None, open: Arc::default() };
        let others = (0..more).map(|_| {
            let runtime = runtime()?;
            let handle = runtime.handle().clone();
            Ok(Thread { handle, runtime: Some(runtime), open: Arc::default() })
        });
        let threads = std::iter::once(Ok(own)).chain(others).collect::<io::Result<_>>()?;
        Ok(Self { threads })
    }

    /// Serves an accepted connection on the thread with the fewest, the first one among equals.
    pub fn spawn<S, F>(&self, stream: TcpStream, serve: S)
    where
        S: FnOnce(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let Some(thread) = self.threads.iter().min_by_key(|it| it.open.load(Ordering::Relaxed))
        else {
            return;
        };
        // Its readiness must be reported to the thread that serves it.
        let Ok(stream) = stream.into_std() else { return };
        let counted = Counted::new(thread.open.clone());
        thread.handle.spawn(async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(stream).await;
            }
            drop(counted);
        });
    }
}

/// One thread that runs tasks, with its own sockets and timers.
///
/// # Errors
/// When the thread cannot be started.
pub fn runtime() -> io::Result<Runtime> {
    // The runtime of one thread cannot hand its tasks to another while one of them waits for the
    // disk (`block_in_place`); this one can.
    Builder::new_multi_thread().worker_threads(1).thread_name("quorate").enable_all().build()
}

impl Drop for ConnectionThreads {
    /// What still runs then belongs to connections that did not end in time.
    fn drop(&mut self) {
        self.threads
            .drain(..)
            .filter_map(|thread| thread.runtime)
            .for_each(Runtime::shutdown_background);
    }
}

/// Keeps a thread's count of connections right, however the connection ends.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn connections_are_spread_evenly_and_counted_out_again() {
        let threads = ConnectionThreads::start(1).expect("a thread");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (ended, mut endings) = mpsc::unbounded_channel();
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(TcpStream::connect(address).await.expect("listening"));
            let (stream, _) = listener.accept().await.expect("a client");
            let ended = ended.clone();
            threads.spawn(stream, move |stream| async move {
                while stream.readable().await.is_ok() {
                    if matches!(stream.try_read(&mut [0]), Ok(0)) {
                        break;
                    }
                }
                ended.send(()).expect("the test waits");
            });
        }
        let open = || threads.threads.iter().map(|it| it.open.load(Ordering::Relaxed));
        assert_eq!(open().collect::<Vec<_>>(), [2, 2]);
        clients.clear();
        for _ in 0..4 {
            endings.recv().await.expect("every connection ends");
        }
        while open().sum::<usize>() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
