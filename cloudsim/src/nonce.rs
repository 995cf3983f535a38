//! Which nonces were used, for the quarter of an hour in which a request may be replayed.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use jiff::{SignedDuration, Timestamp};

const GENERATION: SignedDuration = SignedDuration::from_mins(15);

/// A set of used nonces that forgets: a nonce is remembered for 15 to 30 minutes.
///
/// It keeps keyed 64-bit hashes in two generations, so that millions of requests cost little memory and
/// forgetting costs nothing.
#[derive(Debug)]
pub(crate) struct NonceCache {
    hasher: RandomState,
    since: Timestamp,
    young: HashSet<u64>,
    old: HashSet<u64>,
}

// === impl NonceCache ===

impl NonceCache {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            hasher: RandomState::new(),
            since: now,
            young: HashSet::new(),
            old: HashSet::new(),
        }
    }

    /// Takes the nonce of an access key; `false` if it was taken before.
    pub(crate) fn take(&mut self, now: Timestamp, key_id: &str, nonce: &str) -> bool {
        let age = now.duration_since(self.since);
        if age >= GENERATION {
            let young = std::mem::take(&mut self.young);
            self.old = if age >= GENERATION * 2 {
                HashSet::new()
            } else {
                young
            };
            self.since = now;
        }
        let hash = self.hasher.hash_one((key_id, nonce));
        !self.old.contains(&hash) && self.young.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_by_each_key() {
        let now = Timestamp::UNIX_EPOCH;
        let mut cache = NonceCache::new(now);
        assert!(cache.take(now, "a", "n"));
        assert!(!cache.take(now, "a", "n"));
        assert!(cache.take(now, "b", "n"));
    }

    #[test]
    fn a_nonce_is_remembered_for_fifteen_minutes_and_forgotten_after_thirty() {
        let start = Timestamp::UNIX_EPOCH;
        let mut cache = NonceCache::new(start);
        let late = start + SignedDuration::from_mins(14);
        assert!(cache.take(late, "a", "n"));
        assert!(!cache.take(late + SignedDuration::from_mins(14), "a", "n"));
        assert!(cache.take(late + SignedDuration::from_mins(60), "a", "n"));
    }
}
