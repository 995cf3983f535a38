//! What this process remembers of an object between two reconciles. All of it may be lost: a new
//! process starts with nothing and only works a little more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::forced::Forced;
use crate::backoff::doubling;
use crate::controller::guard;
use crate::refresh::ObjectKey;

/// The shortest time between two repairs of one Secret; it doubles while they go on.
const REPAIR_PAUSE: Duration = Duration::from_secs(10);
/// The longest time between two repairs.
const LONGEST_REPAIR_PAUSE: Duration = Duration::from_mins(5);
/// After this long without a repair the pause starts over.
const REPAIRS_FORGOTTEN: Duration = Duration::from_mins(10);

/// Refusals of a Secret that are not told yet: an API server that has just started refuses what it
/// allows a moment later.
const QUIET_REFUSALS: u32 = 2;

/// One object's memory.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    /// The object's UID; another object of the same name starts afresh.
    pub uid: Option<Box<str>>,
    /// Its references were subscribed before.
    pub subscribed: bool,
    /// Its references changed and were not read since.
    pub moved: bool,
    /// The version of the Secret that is known to hold what was written.
    pub verified: Option<Arc<str>>,
    /// The Secret's data was seen to differ from what was written.
    pub drifted: bool,
    /// A Secret of the target's name that carries no label of ours stands in the way.
    pub blocked: bool,
    /// Other regions are being asked for what the first did not answer.
    pub asking_elsewhere: bool,
    /// The refreshes that people ask for.
    pub forced: Option<Box<Forced>>,
    /// Reconciles that failed in a row.
    pub failures: u32,
    /// The turn for a look at the Secret.
    pub look_at: Option<Instant>,
    repairs: u32,
    last_repair: Option<Instant>,
    refusals: u32,
}

/// The memories of all objects.
#[derive(Debug, Default)]
pub struct Memories(Mutex<HashMap<ObjectKey, Box<Memory>>>);

// === impl Memory ===

impl Memory {
    /// How long a repair of the Secret has to wait.
    pub fn repair_wait(&self, now: Instant) -> Option<Duration> {
        let last = self.last_repair?;
        if now.saturating_duration_since(last) >= REPAIRS_FORGOTTEN {
            return None;
        }
        let pause = doubling(REPAIR_PAUSE, LONGEST_REPAIR_PAUSE, self.repairs);
        let wait = (last + pause).saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes that the API server refused the Secret. Says how long to wait when that is to be told,
    /// and nothing while it may pass in a moment.
    pub fn refused(&mut self) -> Option<Duration> {
        self.refusals = self.refusals.saturating_add(1);
        (self.refusals > QUIET_REFUSALS).then(|| guard::wait(self.refusals))
    }

    /// Notes that the API server took the Secret.
    pub fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// Notes a repair.
    pub fn repaired(&mut self, now: Instant) {
        let forgotten = self
            .last_repair
            .is_none_or(|last| now.saturating_duration_since(last) >= REPAIRS_FORGOTTEN);
        self.repairs = if forgotten {
            1
        } else {
            self.repairs.saturating_add(1)
        };
        self.last_repair = Some(now);
    }
}

// === impl Memories ===

impl Memories {
    /// Works on the memory of `object`, starting it afresh if its UID is another.
    pub fn with<T>(&self, object: &ObjectKey, uid: &str, act: impl FnOnce(&mut Memory) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = all.entry(object.clone()).or_default();
        if memory.uid.as_deref() != Some(uid) {
            **memory = Memory {
                uid: Some(uid.into()),
                ..Memory::default()
            };
        }
        act(memory)
    }

    /// Keeps `memory`, unless the object was forgotten meanwhile.
    pub fn keep(&self, object: &ObjectKey, memory: Memory) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(object).filter(|known| known.uid == memory.uid) {
            let failures = known.failures;
            **known = Memory { failures, ..memory };
        }
    }

    /// Forgets `object`.
    pub fn forget(&self, object: &ObjectKey) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object);
    }

    /// The objects that are remembered.
    pub fn objects(&self) -> Vec<ObjectKey> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_are_ten_seconds_apart_and_then_rarer() {
        let start = Instant::now();
        let mut memory = Memory::default();
        assert_eq!(memory.repair_wait(start), None, "the first is made at once");
        memory.repaired(start);
        assert_eq!(memory.repair_wait(start), Some(Duration::from_secs(10)));
        let later = start + Duration::from_secs(10);
        assert_eq!(memory.repair_wait(later), None);
        memory.repaired(later);
        assert_eq!(memory.repair_wait(later), Some(Duration::from_secs(20)));
        for _ in 0..40 {
            memory.repaired(later);
        }
        assert_eq!(memory.repair_wait(later), Some(Duration::from_mins(5)));
        assert_eq!(
            memory.repair_wait(later + REPAIRS_FORGOTTEN),
            None,
            "calm is forgiven"
        );
    }

    #[test]
    fn a_refusal_is_told_when_it_lasts_and_tried_again_ever_more_rarely() {
        let mut memory = Memory::default();
        let waits: Vec<_> = (0..4).map(|_| memory.refused()).collect();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(waits, [None, None, seconds(4), seconds(8)]);
        memory.accepted();
        assert_eq!(memory.refused(), None);
    }

    #[test]
    fn another_object_of_the_same_name_starts_afresh() {
        let memories = Memories::default();
        let key = ObjectKey::new("shop", "db");
        memories.with(&key, "1", |memory| memory.drifted = true);
        assert!(memories.with(&key, "1", |memory| memory.drifted));
        assert!(!memories.with(&key, "2", |memory| memory.drifted));
    }
}
