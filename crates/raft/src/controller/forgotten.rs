//! Finding out from the seeds that this member is no more, when no member it knows of can say so:
//! it was admitted and taken out again before it first ran, or everybody else has moved.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::join::SeedSource;
use crate::node::Shared;
use crate::peer::{Discovered, REMOVED, discover_at};
use crate::url::host_and_port;

/// Pause between two rounds of questions.
const ASK_PAUSE: Duration = Duration::from_secs(2);

/// Seeds asked in one round.
const SEEDS_MAX: usize = 64;

/// Asks the seeds for as long as nothing is heard of a leader.
pub(crate) async fn ask_seeds_when_forgotten(shared: Arc<Shared>, seeds: SeedSource) {
    loop {
        tokio::time::sleep(ASK_PAUSE).await;
        let hears = shared.local.silence() < 2 * shared.election_timeout;
        if hears || shared.leadership.borrow().is_self {
            continue;
        }
        let seeds = tokio::task::block_in_place(|| seeds());
        let asked = seeds.iter().filter_map(|url| host_and_port(url)).take(SEEDS_MAX);
        let asked = asked.map(|address| async move { discover_at(&address).await.ok() });
        let answers = join_all(asked).await;
        if answers.into_iter().flatten().any(|found| is_buried(&shared, &found)) {
            if shared.local.learn_of_removal() {
                shared.stopped(REMOVED);
            }
            return;
        }
    }
}

fn is_buried(shared: &Shared, found: &Discovered) -> bool {
    found.cluster == shared.local.cluster && found.removed.contains(&shared.local.member)
}
