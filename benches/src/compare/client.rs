//! The few calls the benchmark itself makes, each blocking and bounded.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use api::etcdserverpb::StatusRequest;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::load::requests;
use crate::wire::{Channel, Fields, Keep, Method, encode};

/// Pause between two questions to a server that is not ready.
const POLL: Duration = Duration::from_millis(2);

/// One question may take this long.
const CALL_MAX: Duration = Duration::from_millis(500);

/// A snapshot may take this long.
const SNAPSHOT_MAX: Duration = Duration::from_secs(300);

/// Runs `future` on a runtime of its own; connections made in it end with it.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(LocalSet::new().block_on(&runtime, future))
}

/// Waits until every endpoint answers a linearizable read; `alive` is asked in between.
///
/// # Errors
/// When `alive` says no, or the time is over.
pub fn wait_healthy(
    endpoints: &[String],
    max: Duration,
    alive: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let deadline = Instant::now() + max;
    block_on(async {
        for endpoint in endpoints {
            let channel = Channel::new(endpoint)?;
            while !answers(&channel).await {
                alive()?;
                if Instant::now() > deadline {
                    bail!("{endpoint} is not healthy after {max:?}");
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    })?
}

/// Which of the endpoints leads.
///
/// # Errors
/// When none says so within 10 s.
pub fn leader(endpoints: &[String]) -> Result<usize> {
    let deadline = Instant::now() + Duration::from_secs(10);
    block_on(async {
        while Instant::now() < deadline {
            for (index, endpoint) in endpoints.iter().enumerate() {
                if leads(&Channel::new(endpoint)?).await == Some(true) {
                    return Ok(index);
                }
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("no member of {endpoints:?} says that it leads")
    })?
}

/// Streams a snapshot to nowhere but a counter and `sink`; returns its bytes.
///
/// # Errors
/// When the stream fails or `sink` does.
pub fn snapshot(endpoint: &str, sink: &mut dyn std::io::Write) -> Result<u64> {
    /// SnapshotResponse.blob.
    const BLOB: u64 = 3;
    let stream = async {
        let channel = Channel::new(endpoint)?;
        let mut stream = channel.stream(Method::Snapshot).await?;
        stream.send(encode(&StatusRequest {}))?; // SnapshotRequest has no fields either
        stream.finish()?;
        let mut bytes = 0;
        while let Some(message) = stream.next().await? {
            let blob = Fields::bytes(&message, BLOB).unwrap_or_default();
            sink.write_all(blob)?;
            bytes += blob.len() as u64;
        }
        Ok(bytes)
    };
    block_on(async { timeout(SNAPSHOT_MAX, stream).await })?
        .context("the snapshot took too long")?
}

async fn answers(channel: &Channel) -> bool {
    let read = requests::get("health".into(), false);
    matches!(timeout(CALL_MAX, channel.call(Method::Range, read, Keep::Head)).await, Ok(Ok(_)))
}

async fn leads(channel: &Channel) -> Option<bool> {
    /// ResponseHeader.member_id and StatusResponse.leader.
    const MEMBER_ID: u64 = 2;
    const LEADER: u64 = 4;
    let call = channel.call(Method::Status, encode(&StatusRequest {}), Keep::Whole);
    let reply = timeout(CALL_MAX, call).await.ok()?.ok()?;
    let member = Fields::number(Fields::bytes(&reply.message, 1)?, MEMBER_ID)?;
    Some(Fields::number(&reply.message, LEADER)? == member)
}
