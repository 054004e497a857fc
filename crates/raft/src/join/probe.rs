//! Asking the seeds who they are, and one of them for a membership.

use std::io;
use std::time::Duration;

use futures::future::join_all;

use crate::codec::Wire;
use crate::controller::{Claim, ClaimAnswer};
use crate::peer::{Discovered, Kind, ask, discover_at};
use crate::url::host_and_port;

/// Seeds asked in one round.
const SEEDS_MAX: usize = 64;

/// One round, however slow some are. Each connection and each answer has a limit of its own.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a claim may take: it goes to the leader and through the log a few times.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(15);

/// What a seed said.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// `host:port`.
    pub(super) address: String,
    pub(super) found: Discovered,
}

/// Asks all seeds at once; those that answered in time, in the order of the seeds.
pub(super) async fn probe(seeds: &[String], own: &[String]) -> Vec<Answer> {
    let mut addresses: Vec<String> = Vec::new();
    for address in
        seeds.iter().filter(|url| !own.contains(url)).filter_map(|url| host_and_port(url))
    {
        if !addresses.contains(&address) && addresses.len() < SEEDS_MAX {
            addresses.push(address);
        }
    }
    let asked = addresses.into_iter().map(|address| async move {
        let asking = tokio::time::timeout(PROBE_TIMEOUT, discover_at(&address)).await;
        match asking.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(found) => Some(Answer { address, found }),
            Err(error) => {
                tracing::debug!(address, %error, "a seed does not answer");
                None
            }
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Makes the claim at one member, which passes it to the leader.
pub(super) async fn claim_at(address: &str, claim: &Claim) -> io::Result<ClaimAnswer> {
    let mut payload = ask(address, Kind::Claim, claim.to_bytes(), CLAIM_TIMEOUT).await?;
    ClaimAnswer::parse(&mut payload).map_err(io::Error::other)
}
