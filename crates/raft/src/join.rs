//! How a member comes to its membership by itself: from what is in its directory and what the seeds
//! say, to a directory that a node can start from.
//!
//! - [`directory`]: what state the directory is in, a pure function of what was found there.
//! - [`mod@decide`]: what to do, a pure function of that state and of the answers.
//! - [`mod@probe`]: asking the seeds, and making the claim.

mod decide;
mod directory;
mod probe;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng;
use storage::{DataDir, DataDirError, Identity};
use store::MemberId;
use tokio::sync::watch;
use tokio::time::Instant;

use self::decide::{Action, Situation, decide};
use self::directory::{DirectoryState, state_of};
use self::probe::{Answer, claim_at, probe};
use crate::config::Config;
use crate::controller::{Claim, ClaimAnswer, ClaimKind};
use crate::machine::blocking;
use crate::start::{StartError, founder_identity};

/// The first pause between two rounds; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The shortest pause a leader may ask for.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// How long another process may keep the directory: the one before this may be ending.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Where to look for members: called before every round, on a thread that may wait for a file.
pub type SeedSource = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What a member needs to come to its membership by itself.
#[derive(Clone)]
pub struct JoinSettings {
    /// Its name, by which a member whose disk is gone is known again.
    pub name: String,
    /// Where clients will reach it.
    pub client_urls: Vec<String>,
    /// Peer URLs of members, as far as known.
    pub seeds: SeedSource,
}

impl fmt::Debug for JoinSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSettings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How far joining has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinProgress {
    /// The directory is being looked at.
    Inspecting,
    /// Nothing can be done now; it is tried again.
    Waiting {
        /// Why, in one line.
        reason: String,
    },
    /// A claim is being made.
    Claiming {
        /// To whom, in one line.
        reason: String,
    },
    /// It is a member; the node can start.
    Granted {
        /// The cluster.
        cluster: u64,
        /// The member it is there.
        member: MemberId,
    },
    /// The member of this directory has left, and there are no seeds to join again.
    Left,
}

/// Brings an empty directory, or that of a member that was removed or has left, to where
/// [`crate::Node::start`] can go on. Returns at once for a valid one, and when `config.join` is
/// `None`. Otherwise it takes as long as it takes; dropped, it goes on from there the next time.
///
/// After [`JoinProgress::Left`] it returns as well, and the node must not be started.
///
/// # Errors
/// When the directory cannot be used, or the seeds belong to another cluster: things that only a
/// person can change.
pub async fn join(
    config: &Config,
    progress: &watch::Sender<JoinProgress>,
) -> Result<(), StartError> {
    let Some(settings) = &config.join else { return Ok(()) };
    let joiner = Joiner { config, settings, progress };
    let mut pause = PAUSE_FIRST;
    loop {
        match joiner.round().await? {
            Round::Done => return Ok(()),
            Round::AtOnce => pause = PAUSE_FIRST,
            Round::After { reason, hint } => {
                joiner.tell(JoinProgress::Waiting { reason });
                let wait = hint.unwrap_or(pause).clamp(PAUSE_MIN, PAUSE_MAX);
                tokio::time::sleep(about(wait)).await;
                pause = if hint.is_some() { PAUSE_FIRST } else { (2 * pause).min(PAUSE_MAX) };
            }
        }
    }
}

/// A fifth more or less, so that joiners started together do not ask together for ever.
fn about(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.8..1.2))
}

/// What came of one round.
enum Round {
    Done,
    AtOnce,
    After { reason: String, hint: Option<Duration> },
}

impl Round {
    fn after(reason: String) -> Self {
        Self::After { reason, hint: None }
    }
}

struct Joiner<'a> {
    config: &'a Config,
    settings: &'a JoinSettings,
    progress: &'a watch::Sender<JoinProgress>,
}

impl Joiner<'_> {
    async fn round(&self) -> Result<Round, StartError> {
        let directory = self.open().await?;
        let state = state_of(directory.identity().as_ref());
        let seeds = blocking(|| (self.settings.seeds)());
        let answers = if matches!(state, DirectoryState::New) {
            probe(&seeds, &self.config.advertise_peer_urls).await
        } else {
            Vec::new()
        };
        let action = decide(&Situation {
            state,
            may_found: !self.config.join_existing,
            founder: founder_identity(self.config),
            is_lone: self.config.initial_cluster.len() == 1,
            has_seeds: !seeds.is_empty(),
            past: blocking(|| directory.past())?,
            answers: &answers,
        });
        match action {
            Action::Resume | Action::Found => Ok(Round::Done),
            Action::StayAway => {
                self.tell(JoinProgress::Left);
                Ok(Round::Done)
            }
            Action::Archive => self.archive(directory),
            Action::Claim { cluster } => self.claim(&directory, cluster, &answers).await,
            Action::Wait(reason) => Ok(Round::after(reason)),
            Action::Refuse { found, own } => Err(StartError::OtherCluster { found, own }),
        }
    }

    /// Opens the directory, waiting a little for a process that is ending.
    async fn open(&self) -> Result<DataDir, StartError> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match blocking(|| DataDir::open(&self.config.data_dir)) {
                Err(DataDirError::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// Puts what is there aside: the member it was has been removed, or has left.
    fn archive(&self, directory: DataDir) -> Result<Round, StartError> {
        let archive = blocking(|| directory.archive(now_s()))?;
        let archive = archive.display();
        tracing::warn!(%archive, "the data of a member that is no more are put aside");
        Ok(Round::AtOnce)
    }

    /// Asks those that answered, one after the other, until the leader has been heard.
    async fn claim(
        &self,
        directory: &DataDir,
        cluster: u64,
        answers: &[Answer],
    ) -> Result<Round, StartError> {
        let claim = Claim {
            name: self.settings.name.clone(),
            peer_urls: self.config.advertise_peer_urls.clone(),
            client_urls: self.settings.client_urls.clone(),
            // Durable before anybody hears of it.
            incarnation: blocking(|| directory.claimant())?,
            kind: self.kind(answers),
        };
        let mut last = "nobody answers the claim".to_owned();
        for answer in answers.iter().filter(|answer| answer.found.cluster == cluster) {
            let reason = format!("claims membership of cluster {cluster:x} at {}", answer.address);
            self.tell(JoinProgress::Claiming { reason });
            match claim_at(&answer.address, &claim).await {
                Ok(ClaimAnswer::Granted { cluster: granted, member, members }) => {
                    if granted == cluster {
                        tracing::info!(members = members.len(), "the claim is granted");
                        return self.granted(directory, cluster, MemberId(member));
                    }
                    last = format!("the claim was granted by another cluster, {granted:x}");
                }
                Ok(ClaimAnswer::Wait { reason, after_ms }) => {
                    let hint = Some(Duration::from_millis(after_ms));
                    return Ok(Round::After { reason, hint });
                }
                // It may change: the namesake stops, or a place becomes free.
                Ok(ClaimAnswer::Refuse { reason }) => {
                    return Ok(Round::after(format!("the claim is refused: {reason}")));
                }
                Err(error) => {
                    last = format!("{} does not answer the claim: {error}", answer.address)
                }
            }
        }
        Ok(Round::after(last))
    }

    /// What it is to the members that answered.
    fn kind(&self, answers: &[Answer]) -> ClaimKind {
        let is_known = answers
            .iter()
            .flat_map(|answer| &answer.found.members)
            .flat_map(|member| &member.peer_urls)
            .any(|url| self.config.advertise_peer_urls.contains(url));
        if is_known { ClaimKind::ReplaceSelf } else { ClaimKind::Join }
    }

    fn granted(
        &self,
        directory: &DataDir,
        cluster: u64,
        member: MemberId,
    ) -> Result<Round, StartError> {
        let Identity { cluster_id: cluster, member_id: member, .. } =
            blocking(|| directory.create_identity(cluster, member))?;
        self.tell(JoinProgress::Granted { cluster, member });
        Ok(Round::Done)
    }

    fn tell(&self, progress: JoinProgress) {
        self.progress.send_if_modified(|known| {
            let is_news = *known != progress;
            if is_news {
                tracing::info!(?progress, "joining");
                *known = progress;
            }
            is_news
        });
    }
}

/// Seconds since 1970; a clock before that counts as 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
