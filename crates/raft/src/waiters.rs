//! Who waits on this member for the outcome of which command.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use api::Error;
use parking_lot::Mutex;
use rand::Rng;
use store::{CommandId, MemberId, Outcome};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Proposals of this member's clients that may be on their way at once. etcd answers "too many
/// requests" when the gap between committed and applied passes 5,000; we bound what is in flight.
pub(crate) const PROPOSALS_IN_FLIGHT_MAX: usize = 20_000;

/// How often clients are looked through whose time is over, while there are any: how late they hear
/// of it. Short beside the shortest time allowed, five seconds.
const EXPIRY_PAUSE: Duration = Duration::from_millis(250);

const SHARDS: usize = 16;

/// What a waiting client is told.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The command was applied here.
    Applied(Outcome),
    /// The command did not enter the log, for certain: it may be proposed again.
    NotProposed,
    /// Nothing was heard of it in time.
    TimedOut,
}

/// A client's end.
struct Waiter {
    sender: oneshot::Sender<Signal>,
    deadline: Instant,
}

type Shard = Mutex<HashMap<u64, Waiter>>;

/// The clients' ends, by the sequence number of their command.
pub(crate) struct Waiters {
    member: MemberId,
    next: AtomicU64,
    in_flight: AtomicUsize,
    /// Somebody waits: one permit, however many they are.
    some: Notify,
    shards: [Shard; SHARDS],
}

impl Waiters {
    /// For the clients of `member`. Sequence numbers start at a random place, so that an entry an
    /// earlier process of this member proposed is not taken for one of ours.
    pub(crate) fn new(member: MemberId) -> Self {
        let next = AtomicU64::new(u64::from(rand::rng().random::<u32>()) << 32);
        Self {
            member,
            next,
            in_flight: AtomicUsize::new(0),
            some: Notify::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// A name for the next command.
    pub(crate) fn next_id(&self) -> CommandId {
        CommandId { member: self.member, sequence: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// Registers interest in a command before it is proposed, until about `deadline`.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when [`PROPOSALS_IN_FLIGHT_MAX`] wait already.
    pub(crate) fn register(&self, id: CommandId, deadline: Instant) -> Result<Waiting<'_>, Error> {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= PROPOSALS_IN_FLIGHT_MAX {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::TooManyRequests);
        }
        let (sender, receiver) = oneshot::channel();
        self.shard(id.sequence).lock().insert(id.sequence, Waiter { sender, deadline });
        self.some.notify_one();
        Ok(Waiting { waiters: self, sequence: id.sequence, receiver })
    }

    /// Hands an outcome to whoever waits for it here; most commands are other members'.
    pub(crate) fn complete(&self, id: CommandId, outcome: Outcome) {
        if id.member == self.member {
            self.signal(id.sequence, Signal::Applied(outcome));
        }
    }

    /// Tells the client that its command was turned away before it entered the log.
    pub(crate) fn not_proposed(&self, sequence: u64) {
        self.signal(sequence, Signal::NotProposed);
    }

    fn signal(&self, sequence: u64, signal: Signal) {
        if let Some(waiter) = self.shard(sequence).lock().remove(&sequence) {
            // The client may have given up in this very moment.
            let _ = waiter.sender.send(signal);
        }
    }

    /// Ends the waiting of clients whose time is over, within [`EXPIRY_PAUSE`] of it, for ever. One
    /// timer for all of them: a timer each would wake the runtime's poller with every proposal.
    pub(crate) async fn expire(&self) {
        loop {
            self.some.notified().await;
            while self.in_flight() > 0 {
                tokio::time::sleep(EXPIRY_PAUSE).await;
                self.expire_at(Instant::now());
            }
        }
    }

    fn expire_at(&self, now: Instant) {
        for shard in &self.shards {
            let late = |_: &u64, waiter: &mut Waiter| waiter.deadline <= now;
            for (_, waiter) in shard.lock().extract_if(late) {
                // The client may have given up in this very moment.
                let _ = waiter.sender.send(Signal::TimedOut);
            }
        }
    }

    /// Raft has ended: nothing that waits now will be told any more what became of it.
    pub(crate) fn give_up(&self) {
        self.shards.iter().for_each(|shard| shard.lock().clear());
    }

    /// Proposals waiting now.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn shard(&self, sequence: u64) -> &Shard {
        &self.shards[(sequence % SHARDS as u64) as usize]
    }
}

/// A registered interest; dropping it gives the interest up.
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    sequence: u64,
    /// Resolves when the command has been applied here, or refused.
    pub(crate) receiver: oneshot::Receiver<Signal>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.shard(self.sequence).lock().remove(&self.sequence);
        self.waiters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use store::Reply;

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_and_nobody_else() {
        let waiters = Waiters::new(MemberId(1));
        let soon = Instant::now() + Duration::from_secs(7);
        let mut late = waiters.register(waiters.next_id(), soon).expect("room");
        let mut patient = waiters.register(waiters.next_id(), later()).expect("room");
        let told = tokio::select! {
            () = waiters.expire() => unreachable!("it never ends"),
            told = &mut late.receiver => told,
        };
        assert!(matches!(told, Ok(Signal::TimedOut)));
        assert!(soon <= Instant::now() && Instant::now() <= soon + EXPIRY_PAUSE);
        assert!(patient.receiver.try_recv().is_err());
    }

    #[tokio::test]
    async fn an_outcome_finds_its_waiter_and_only_that_one() {
        let waiters = Waiters::new(MemberId(1));
        let (first, second) = (waiters.next_id(), waiters.next_id());
        let mut waiting_first = waiters.register(first, later()).expect("room");
        let waiting_second = waiters.register(second, later()).expect("room");
        let foreign = CommandId { member: MemberId(2), sequence: first.sequence };
        waiters.complete(foreign, Ok(Reply::Empty));
        assert!(waiting_first.receiver.try_recv().is_err());
        waiters.complete(first, Ok(Reply::Empty));
        assert!((&mut waiting_first.receiver).await.is_ok());
        assert_eq!(waiters.in_flight(), 2);
        drop((waiting_first, waiting_second));
        assert_eq!(waiters.in_flight(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_raft_that_has_ended() {
        let waiters = Waiters::new(MemberId(1));
        let mut waiting = waiters.register(waiters.next_id(), later()).expect("room");
        waiters.give_up();
        assert!((&mut waiting.receiver).await.is_err());
        drop(waiting);
        assert_eq!(waiters.in_flight(), 0);
    }

    #[test]
    fn what_is_in_flight_is_bounded() {
        let waiters = Waiters::new(MemberId(1));
        let held: Vec<_> = (0..PROPOSALS_IN_FLIGHT_MAX)
            .map(|_| waiters.register(waiters.next_id(), later()).expect("below the bound"))
            .collect();
        assert_eq!(
            waiters.register(waiters.next_id(), later()).err(),
            Some(Error::TooManyRequests)
        );
        drop(held);
        assert!(waiters.register(waiters.next_id(), later()).is_ok());
    }
}
