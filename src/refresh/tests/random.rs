//! The pure table under anything that may happen, in any order.

use std::sync::atomic::AtomicUsize;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::time::Instant;

use super::super::answer::{BatchResult, Spent};
use super::super::departure::Departure;
use super::super::row::Place;
use super::super::table::{Now, Table};
use super::world::*;
use super::*;
use crate::digest::{DigestKey, Domain};
use crate::provider::Fetched;
use crate::secret_bytes::SecretBytes;

#[derive(Debug, Clone)]
enum Act {
    Subscribe(u8, Vec<(u8, u8)>, u8),
    Unsubscribe(u8),
    Join(u8, Option<u64>, bool),
    Cancel(u8),
    Look(u8),
    Apply(u8),
    Wait(u32),
    /// The wall clock is set, by minutes.
    Jump(i16),
    Depart,
    Arrive(Index, Answered),
}

#[derive(Debug, Clone)]
enum Answered {
    Each(Vec<Option<Class>>),
    Batch(Class),
    Identity(Class),
}

/// A table, its clocks, and the calls that are under way.
struct Bench {
    table: Table,
    key: DigestKey,
    origins: Vec<Arc<Origin>>,
    now: Now,
    travelling: Vec<Departure>,
    held: Arc<AtomicUsize>,
}

// === impl Bench ===

impl Bench {
    fn new() -> Self {
        let world = World::new();
        let clouds = ["a", "b"].map(|name| world.cloud(name));
        *clouds[0].per_second.lock().unwrap() = Some(50);
        let origins = vec![
            world.origin_as(&clouds[0], "x"),
            world.origin_as(&clouds[1], "x"),
            world.origin_as(&clouds[0], "y"),
        ];
        let key = world.key.clone();
        let limits = Limits {
            in_flight_per_group: 3,
            in_flight: 7,
            held_bytes: 200,
            quota_share: 0.2,
        };
        let table = Table::new(key.clone(), limits);
        Self {
            held: Arc::clone(&table.held),
            table,
            key,
            origins,
            now: Now {
                wall: Timestamp::from_second(1_700_000_000).unwrap(),
                at: Instant::now() + HOUR,
            },
            travelling: Vec::new(),
        }
    }

    fn act(&mut self, act: Act) {
        let name = |n: u8| ObjectKey::new(["shop", "mall"][usize::from(n % 2)], &format!("o{n}"));
        let now = self.now;
        match act {
            Act::Subscribe(object, keys, interval) => {
                let origin = |n: u8| &self.origins[usize::from(n) % 3];
                let interval = SECOND * (10 + u32::from(interval));
                let keys = keys.into_iter();
                let needs = keys.map(|(o, key)| need(origin(o), &format!("k{key}"), interval));
                self.table.subscribe(&name(object), needs.collect(), now);
            }
            Act::Unsubscribe(object) => self.table.unsubscribe(&name(object), now),
            Act::Join(object, anew, retry) => {
                let before = self.table.rows_of(&name(object));
                let joined = self.table.join(&name(object), Join { anew, retry }, now);
                if let Joined::Ready(answers) = joined {
                    let rows = before.map(|(_, rows)| rows.len());
                    assert_eq!(answers.len(), rows.unwrap_or(0), "one for each need");
                }
            }
            Act::Cancel(object) => self.table.cancel(&name(object)),
            Act::Look(object) => drop(self.table.look(&name(object))),
            Act::Apply(object) => {
                let views = self.table.look(&name(object));
                let digest = |view: &View| match view {
                    View::Fresh(seen) => Some(seen.digest),
                    _ => None,
                };
                let digests: Vec<_> = views.iter().map(digest).collect();
                self.table.applied(&name(object), &digests);
            }
            Act::Wait(millis) => self.wait(Duration::from_millis(millis.into())),
            Act::Jump(minutes) => {
                self.now.wall += SignedDuration::from_mins(minutes.into());
            }
            Act::Depart => self.depart(),
            Act::Arrive(index, answered) => {
                if !self.travelling.is_empty() {
                    let departure = self.travelling.remove(index.index(self.travelling.len()));
                    self.arrive(departure, answered);
                }
            }
        }
        self.table.check();
        for row in self.table.rows.values() {
            let latest = self.now.at + Duration::from(row.interval) * 11 / 10;
            if row.failure().is_none() && row.place == Place::Resting {
                assert!(
                    row.due.is_some_and(|due| due <= latest),
                    "whatever the clock says"
                );
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now.at += time;
        self.now.wall += time;
    }

    fn depart(&mut self) {
        while let Some(departure) = self.table.depart(self.now) {
            assert!(!departure.keys.is_empty() && departure.keys.len() <= 10);
            assert_eq!(departure.keys.len(), departure.batch.len());
            self.travelling.push(departure);
            self.table.check();
        }
        if self.table.is_full() {
            let mut holding: Vec<_> = self.table.holders(self.now.at).collect();
            assert!(holding.iter().all(|holder| !holder.stuck), "too long");
            holding.sort_by_key(|holder| holder.namespace.clone());
            holding.dedup_by_key(|holder| holder.namespace.clone());
            assert_eq!(holding.len(), self.table.holders(self.now.at).count());
        }
        let leaves_later = |time| time > self.now.at;
        assert!(self.table.next_time(self.now.at).is_none_or(leaves_later));
    }

    fn arrive(&mut self, departure: Departure, answered: Answered) {
        let error = |class| CallError::new(class, "Scripted");
        let result: BatchResult = match answered {
            Answered::Batch(class) => Err(CallFailure::Call(error(class))),
            Answered::Identity(class) => Err(CallFailure::Identity(error(class))),
            Answered::Each(classes) => {
                let class = |n: usize| *classes.get(n % classes.len().max(1)).unwrap_or(&None);
                let each = departure.keys.iter().enumerate();
                Ok(each
                    .map(|(n, key)| match class(n) {
                        Some(class) => Err(error(class)),
                        None => Ok(self.value(key, departure.sent)),
                    })
                    .collect())
            }
        };
        self.table
            .arrive(departure, result, Spent::default(), self.now);
    }

    fn value(&self, key: &RemoteKey, sent: Instant) -> Arc<Held> {
        let digest = self.key.digest(Domain::Value, &[key.key.as_bytes()]);
        let fetched = Fetched::new(SecretBytes::from(vec![0; 20]), None);
        Arc::new(Held::new(fetched, digest, sent, &self.held))
    }

    fn serve(&mut self, object: &ObjectKey) {
        let request = Join {
            anew: None,
            retry: true,
        };
        for _ in 0..60 {
            if let Joined::Ready(_) = self.table.join(object, request, self.now) {
                return;
            }
            self.depart();
            for departure in std::mem::take(&mut self.travelling) {
                self.arrive(departure, Answered::Each(Vec::new()));
            }
            // A budget may want a moment.
            self.wait(SECOND / 5);
        }
        panic!("{object} waits for ever");
    }

    /// From now on everything works: all that waits must be served, and all rows be read.
    fn recover(&mut self) {
        for _ in 0..90 {
            for departure in std::mem::take(&mut self.travelling) {
                self.arrive(departure, Answered::Each(Vec::new()));
            }
            self.depart();
            self.wait(MINUTE);
        }
        let objects: Vec<ObjectKey> = self.table.object_ids.keys().cloned().collect();
        for object in &objects {
            // The first may collect what was answered long ago.
            for _ in 0..2 {
                self.serve(object);
            }
            let fresh = |view: &View| matches!(view, View::Fresh(_));
            assert!(self.table.look(object).iter().all(fresh), "{object}");
        }
        assert!(self.table.identities.values().all(|s| s.park.is_none()));
        assert!(
            self.table
                .groups
                .values()
                .all(|g| g.searches.is_empty() && !g.dark)
        );
        for object in &objects {
            self.table.unsubscribe(object, self.now);
        }
        for departure in std::mem::take(&mut self.travelling) {
            self.arrive(departure, Answered::Each(Vec::new()));
        }
        assert_eq!(self.table.in_flight, 0);
        assert!(self.table.rows.is_empty() && self.table.groups.is_empty());
        assert_eq!(self.held.load(std::sync::atomic::Ordering::Relaxed), 0);
        self.table.check();
    }
}

fn class() -> impl Strategy<Value = Class> {
    proptest::sample::select(&Class::ALL[..])
}

fn answered() -> impl Strategy<Value = Answered> {
    let each = proptest::collection::vec(proptest::option::weighted(0.3, class()), 0..4);
    prop_oneof![
        4 => each.prop_map(Answered::Each),
        3 => class().prop_map(Answered::Batch),
        1 => class().prop_map(Answered::Identity),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let keys = || proptest::collection::vec((0_u8..3, 0_u8..40), 0..8);
    let object = || 0_u8..8;
    let token = proptest::option::of(0_u64..3);
    prop_oneof![
        4 => (object(), keys(), 0_u8..3).prop_map(|(o, k, i)| Act::Subscribe(o, k, i * 50)),
        1 => object().prop_map(Act::Unsubscribe),
        4 => (object(), token, any::<bool>()).prop_map(|(o, t, r)| Act::Join(o, t, r)),
        1 => object().prop_map(Act::Cancel),
        1 => object().prop_map(Act::Look),
        1 => object().prop_map(Act::Apply),
        4 => (0_u32..60_000).prop_map(Act::Wait),
        1 => any::<i16>().prop_map(Act::Jump),
        6 => Just(Act::Depart),
        8 => (any::<Index>(), answered()).prop_map(|(i, a)| Act::Arrive(i, a)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn no_row_is_lost_and_nobody_waits_for_ever(acts in proptest::collection::vec(act(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _guard = runtime.enter();
        let mut bench = Bench::new();
        for act in acts {
            bench.act(act);
        }
        bench.recover();
    }
}
