//! The signals that end a member.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, from now on. One value for the whole life of the process: a signal that comes
/// while nobody waits is not lost.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on these signals end nothing by themselves.
    ///
    /// # Errors
    /// When signals cannot be received at all.
    pub fn receive() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one and names it. Giving up the wait loses nothing.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Somebody who asks twice does not want to wait for an orderly end.
    pub fn exit_on_the_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            eprintln!("quorate: stopped at once by a second signal");
            std::process::exit(1);
        });
    }
}
