//! Values that objects collect and cannot use yet, for they wait for others: where room is short they
//! are given back, by those first who hold the most, and read again when the last has come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::row::ObjectId;
use super::table::{Object, Table};

/// How long a join keeps its values although room is short, if no other of its namespace is older.
const STUCK: Duration = Duration::from_secs(30);

/// A join that holds values.
pub(super) struct Holder {
    object: ObjectId,
    pub namespace: Arc<str>,
    pub stuck: bool,
    began: Instant,
    bytes: usize,
}

// === impl Holder ===

impl Holder {
    fn age(&self) -> (Instant, ObjectId) {
        (self.began, self.object)
    }
}

// === impl Table ===

impl Table {
    /// Whether no more values may be held.
    pub(super) fn is_full(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= self.limits.held_bytes
    }

    /// Has joins give values back until there is room: those of the namespace that holds the most, in
    /// it first those that are stuck, then the youngest. The oldest of each namespace goes on.
    pub(super) fn reclaim(&mut self, now: Instant) {
        if !self.is_full() {
            return;
        }
        let mut holders: Vec<Holder> = self.holders(now).collect();
        let mut sums: HashMap<Arc<str>, usize> = HashMap::new();
        let mut oldest: HashMap<Arc<str>, (Instant, ObjectId)> = HashMap::new();
        for holder in &holders {
            let namespace = || Arc::clone(&holder.namespace);
            *sums.entry(namespace()).or_default() += holder.bytes;
            let first = oldest.entry(namespace()).or_insert(holder.age());
            *first = holder.age().min(*first);
        }
        holders
            .retain(|holder| holder.stuck || oldest.get(&holder.namespace) != Some(&holder.age()));
        while self.is_full() {
            let order = |at: &usize| {
                let holder = &holders[*at];
                (sums.get(&holder.namespace), holder.stuck, holder.age())
            };
            let most = (0..holders.len()).max_by_key(order);
            let Some(holder) = most.map(|at| holders.swap_remove(at)) else {
                return;
            };
            if let Some(sum) = sums.get_mut(&holder.namespace) {
                *sum -= holder.bytes;
            }
            self.give_back(holder.object);
        }
    }

    /// The joins that hold values and cannot use them now.
    pub(super) fn holders(&self, now: Instant) -> impl Iterator<Item = Holder> {
        let holder = move |(id, object): (&ObjectId, &Object)| {
            let waiting = object.waiting.as_ref()?;
            let bytes = waiting.bytes();
            let stuck = waiting.idle_since() + STUCK <= now;
            // Whoever has everything is about to use it.
            (bytes > 0 && (stuck || !waiting.is_complete())).then(|| Holder {
                object: *id,
                namespace: Arc::clone(&object.key.namespace),
                stuck,
                began: waiting.began,
                bytes,
            })
        };
        self.objects.iter().filter_map(holder)
    }

    fn give_back(&mut self, object: ObjectId) {
        let object = self.objects.get_mut(&object);
        let Some(waiting) = object.and_then(|object| object.waiting.as_mut()) else {
            return;
        };
        for row in waiting.give_back() {
            if let Some(row) = self.rows.get_mut(&row) {
                row.drop_value();
            }
        }
    }
}
