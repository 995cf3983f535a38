//! The shell around the table: it waits for the next due time, sends batches, and wakes objects.

use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::{BatchResult, Spent};
use super::call::{CallFailure, Caller, TRIES, What};
use super::departure::Departure;
use super::reference;
use super::row::Held;
use super::schedule::Gap;
use super::table::{Limits, Now, Table};
use super::{Join, Joined, MOST_REGIONS, Need, ObjectKey, Origin, View};
use crate::clock::Clock;
use crate::credential::IdentityId;
use crate::digest::{Digest, DigestKey, Domain};
use crate::provider::{CallError, Class, Fetched, RemoteKey};

/// The refresh hub: cheap to share, safe to call from any task.
pub struct Hub {
    table: Mutex<Table>,
    changed: Notify,
    caller: Caller,
    clock: Arc<dyn Clock>,
    key: DigestKey,
    held: Arc<AtomicUsize>,
    wakes: mpsc::UnboundedSender<ObjectKey>,
    outages: watch::Sender<u64>,
}

/// What the hub looks like at one moment, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubFigures {
    /// Distinct references.
    pub rows: usize,
    /// Rows that are due or wanted and have not left yet.
    pub due: usize,
    /// How long the oldest of them has been due.
    pub oldest_overdue: Duration,
    /// How long something has been due, and its budget allowed a call, while nothing of that budget
    /// left or came back. Rows whose identity or endpoint failed are not due.
    pub stalled: Duration,
    /// Bytes of values that wait to be applied.
    pub held_bytes: usize,
    /// Identities that failed and are probed.
    pub parked: usize,
    /// Endpoints that answer nobody.
    pub outages: usize,
    /// Budgets that a cloud asked less of.
    pub slowed: usize,
}

// === impl Hub ===

impl Hub {
    /// A hub, and the stream of objects it wakes.
    pub fn new(
        caller: Caller,
        clock: Arc<dyn Clock>,
        key: DigestKey,
        limits: Limits,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<ObjectKey>) {
        let (wakes, woken) = mpsc::unbounded_channel();
        let table = Table::new(key.clone(), limits);
        let held = Arc::clone(&table.held);
        let changed = Notify::new();
        let hub = Self {
            table: Mutex::new(table),
            changed,
            caller,
            clock,
            key,
            held,
            wakes,
            outages: watch::Sender::default(),
        };
        (Arc::new(hub), woken)
    }

    /// Replaces what `object` needs; says whether these are other references than before.
    pub fn subscribe(&self, object: &ObjectKey, needs: Vec<Need>) -> bool {
        let now = self.now();
        self.with(|table| table.subscribe(object, needs, now))
    }

    /// Forgets `object` and what only it needed, in whichever region.
    pub fn unsubscribe(&self, object: &ObjectKey) {
        self.leave(object, 0);
    }

    /// Forgets what `object` needs of its regions from the `rank`-th on.
    pub fn leave(&self, object: &ObjectKey, rank: u8) {
        let now = self.now();
        self.with(|table| {
            for rank in rank..MOST_REGIONS {
                table.unsubscribe(&object.elsewhere(rank), now);
            }
        });
    }

    /// What is known of the object's references, in the order of its needs.
    pub fn look(&self, object: &ObjectKey) -> Vec<View> {
        // Looking makes nothing due and wakes nobody.
        self.lock().look(object)
    }

    /// Whether a value was read that is not in the object's Secret.
    pub fn behind(&self, object: &ObjectKey) -> bool {
        self.lock().behind(object)
    }

    /// Asks for the values of all the object's references.
    pub fn join(&self, object: &ObjectKey, request: Join) -> Joined {
        let now = self.now();
        self.with(|table| table.join(object, request, now))
    }

    /// Gives up a join.
    pub fn cancel(&self, object: &ObjectKey) {
        self.with(|table| table.cancel(object));
    }

    /// Notes what the object's Secret holds now, in the order of its needs.
    pub fn applied(&self, object: &ObjectKey, digests: &[Option<Digest>]) {
        self.with(|table| table.applied(object, digests));
    }

    /// The identities that somebody reads with.
    pub fn identities(&self) -> HashSet<IdentityId> {
        let table = self.lock();
        let groups = table.groups.values();
        groups.map(|group| group.origin.identity.id()).collect()
    }

    /// Notes whose the identity is, which shares that account's budgets from then on.
    pub fn learn_account(&self, identity: IdentityId, account: &str) {
        let now = Instant::now();
        self.with(|table| table.learn_account(identity, account, now));
    }

    /// Why `host` answers nobody, if that is so.
    pub fn outage(&self, host: &str) -> Option<Arc<CallError>> {
        self.lock().outage(host)
    }

    /// The routes where nobody is answered, and since when.
    pub fn hosts_out(&self) -> BTreeSet<(Arc<str>, Instant)> {
        self.lock().hosts_out()
    }

    /// How often an endpoint went out of reach or came back.
    pub fn outages(&self) -> watch::Receiver<u64> {
        self.outages.subscribe()
    }

    /// The hub's figures.
    pub fn figures(&self) -> HubFigures {
        let now = Instant::now();
        let held_bytes = self.held.load(Ordering::Relaxed);
        let table = self.lock();
        HubFigures {
            held_bytes,
            ..table.figures(now)
        }
    }

    /// Says that nobody read anything since `since`: what was due after that is made up for.
    pub fn nobody_read_since(&self, since: Timestamp) {
        let until = self.clock.now();
        self.lock().gap = Some(Gap { since, until });
    }

    /// Since when something is due and was not read or not applied yet, for whoever goes on from here.
    pub fn backlog(&self) -> Option<Timestamp> {
        let now = self.now();
        self.lock().backlog(now)
    }

    /// Sends what is due until `shutdown` ends, or this future is dropped, and with it every call
    /// that is under way.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut calls = JoinSet::new();
        loop {
            let changed = self.changed.notified();
            let next = self.send_due(&mut calls);
            while let Some(ended) = calls.try_join_next() {
                if ended.is_err_and(|error| error.is_panic()) {
                    // The table may be half changed: whoever runs the hub starts it afresh.
                    tracing::error!("the hub panicked");
                    return;
                }
            }
            let sleep = async {
                match next {
                    Some(time) => tokio::time::sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = sleep => {}
                () = &mut shutdown => return,
            }
        }
    }

    fn send_due(self: &Arc<Self>, calls: &mut JoinSet<()>) -> Option<Instant> {
        let now = self.now();
        let mut table = self.lock();
        while let Some(departure) = table.depart(now) {
            calls.spawn(Arc::clone(self).travel(departure));
        }
        // What came due under a failed identity has failed, and nothing left that would come back.
        let wakes = table.take_wakes();
        let next = table.next_time(now.at);
        drop(table);
        self.wake(wakes);
        next
    }

    async fn travel(self: Arc<Self>, departure: Departure) {
        // A call that only finds out whether calls work again is made once.
        let finds_out = departure.probe || departure.knocks;
        let tries = if finds_out { 1 } else { TRIES };
        let mut spent = Spent::default();
        let (origin, keys) = (&departure.origin, &departure.keys);
        let what = match keys.as_slice() {
            [key] if departure.learns => What::Learn(key),
            keys => What::Read(keys),
        };
        let call = self.caller.call(origin, what, tries, &mut spent);
        let result = AssertUnwindSafe(call)
            .catch_unwind()
            .await
            .unwrap_or_else(|_panic| {
                tracing::error!(
                    provider = departure.origin.provider.name(),
                    "a call panicked"
                );
                Err(CallFailure::Call(CallError::new(
                    Class::Protocol,
                    "Panicked",
                )))
            });
        let result: BatchResult = result.map(|answers| {
            let keys = departure.keys.iter();
            let hold = |(key, fetched): (&RemoteKey, Fetched)| {
                self.hold(&departure.origin, key, fetched, departure.asked)
            };
            keys.zip(answers)
                .map(|(key, answer)| answer.map(|fetched| hold((key, fetched))))
                .collect()
        });
        let now = self.now();
        self.with(|table| table.arrive(departure, result, spent, now));
    }

    fn hold(&self, origin: &Origin, key: &RemoteKey, fetched: Fetched, sent: Instant) -> Arc<Held> {
        let reference = reference::parts(origin, key);
        let mut parts: Vec<&[u8]> = reference.iter().map(Vec::as_slice).collect();
        parts.push(fetched.value.expose());
        let digest = self.key.digest(Domain::Value, &parts);
        Arc::new(Held::new(fetched, digest, sent, &self.held))
    }

    /// Runs `act` on the table, wakes whom it woke, and has the schedule looked at again.
    fn with<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        let result = act(&mut table);
        let wakes = table.take_wakes();
        let outages = table.outages;
        drop(table);
        self.outages.send_if_modified(|known| {
            let news = *known != outages;
            *known = outages;
            news
        });
        self.wake(wakes);
        self.changed.notify_one();
        result
    }

    fn wake(&self, objects: Vec<ObjectKey>) {
        for object in objects {
            // The receiver is gone only when the process is stopping.
            let _ = self.wakes.send(object);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now {
            wall: self.clock.now(),
            at: Instant::now(),
        }
    }
}
