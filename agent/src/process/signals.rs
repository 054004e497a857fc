//! The signals that end a member.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT and names it.
///
/// # Errors
/// When signals cannot be received at all.
pub async fn first() -> io::Result<&'static str> {
    let (mut terminate, mut interrupt) = both()?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Somebody who asks twice does not want to wait for an orderly end.
pub fn exit_on_the_next() {
    tokio::spawn(async {
        if let Ok((mut terminate, mut interrupt)) = both() {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            eprintln!("quorate: stopped at once by a second signal");
            std::process::exit(1);
        }
    });
}

fn both() -> io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}
