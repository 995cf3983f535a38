//! Who has a place where there are fewer than are wanted. Pure.
//!
//! The places are those that namespaces would get if they took one after another by turns, in the order of
//! their names, each for the first of what is its own by rank. So a namespace never loses a place to one
//! that has as many, and what has a place keeps it until the namespace's share is smaller than its rank.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// So many places, and who has them. No more is ever held, whatever is offered.
pub(super) struct Places<R, T> {
    most: usize,
    taken: usize,
    namespaces: HashMap<Arc<str>, BTreeMap<R, T>>,
    /// The namespaces by how many places they have.
    sizes: BTreeSet<(usize, Arc<str>)>,
}

// === impl Places ===

impl<R: Ord, T> Places<R, T> {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            taken: 0,
            namespaces: HashMap::new(),
            sizes: BTreeSet::new(),
        }
    }

    /// Gives a place to `thing`, of which its namespace has no other with that rank. Returns who has
    /// none, or none any more, because of that.
    pub fn offer(&mut self, namespace: &str, rank: R, thing: T) -> Option<(Arc<str>, R)> {
        let known = self.namespaces.get_key_value(namespace);
        let namespace = known.map_or_else(|| namespace.into(), |(known, _)| Arc::clone(known));
        let things = self.namespaces.entry(Arc::clone(&namespace)).or_default();
        self.sizes.remove(&(things.len(), Arc::clone(&namespace)));
        things.insert(rank, thing);
        self.sizes.insert((things.len(), namespace));
        if self.taken < self.most {
            self.taken += 1;
            return None;
        }
        let (size, largest) = self.sizes.pop_last()?;
        let things = self.namespaces.get_mut(&largest)?;
        let (rank, _) = things.pop_last()?;
        if things.is_empty() {
            self.namespaces.remove(&largest);
        } else {
            self.sizes.insert((size - 1, Arc::clone(&largest)));
        }
        Some((largest, rank))
    }

    /// All that has a place.
    pub fn into_all(self) -> impl Iterator<Item = (Arc<str>, R, T)> {
        self.namespaces.into_iter().flat_map(|(namespace, things)| {
            let things = things.into_iter();
            things.map(move |(rank, thing)| (Arc::clone(&namespace), rank, thing))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many each namespace wants, or has.
    type Shares = &'static [(&'static str, u32)];

    /// Who has a place, by namespace and rank, and how many have none.
    fn dealt(most: usize, offers: &[(&str, u32)]) -> (Vec<(String, u32)>, usize) {
        let mut places = Places::new(most);
        let refused = offers
            .iter()
            .filter_map(|(namespace, rank)| places.offer(namespace, *rank, ()));
        let refused = refused.count();
        let all = places.into_all();
        let mut all: Vec<_> = all
            .map(|(place, rank, ())| (place.to_string(), rank))
            .collect();
        all.sort();
        (all, refused)
    }

    /// As many of each namespace as it has places, in the order of ranks.
    fn of(shares: Shares) -> Vec<(String, u32)> {
        let each = |&(namespace, share): &(&str, u32)| {
            let namespace = namespace.to_owned();
            (0..share).map(move |rank| (namespace.clone(), rank))
        };
        shares.iter().flat_map(each).collect()
    }

    /// Offers in an order that has nothing to do with ranks, another one for each seed.
    fn shuffled(shares: Shares, seed: u64) -> Vec<(&'static str, u32)> {
        let each = |&(namespace, share)| (0..share).map(move |rank| (namespace, rank));
        let mut all: Vec<_> = shares.iter().flat_map(each).collect();
        let mut state = seed;
        for i in (1..all.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let other = usize::try_from(state >> 33).unwrap() % (i + 1);
            all.swap(i, other);
        }
        all
    }

    #[test]
    fn places_are_dealt_by_turns_in_whatever_order_they_are_asked_for() {
        // What is asked for, and what is given of ten places.
        let cases: &[(Shares, Shares)] = &[
            (&[], &[]),
            (&[("a", 10)], &[("a", 10)]),
            (&[("a", 11)], &[("a", 10)]),
            (&[("a", 4), ("b", 6)], &[("a", 4), ("b", 6)]),
            (&[("a", 500), ("b", 2)], &[("a", 8), ("b", 2)]),
            (&[("a", 2), ("b", 500)], &[("a", 2), ("b", 8)]),
            (&[("a", 500), ("b", 500)], &[("a", 5), ("b", 5)]),
            (
                &[("a", 5), ("b", 5), ("c", 5)],
                &[("a", 4), ("b", 3), ("c", 3)],
            ),
            (
                &[("a", 9), ("b", 1), ("c", 3), ("d", 90)],
                &[("a", 3), ("b", 1), ("c", 3), ("d", 3)],
            ),
        ];
        for (wanted, given) in cases {
            for seed in 0..50 {
                let offers = shuffled(wanted, seed);
                let (all, refused) = dealt(10, &offers);
                assert_eq!(all, of(given), "{wanted:?}, seed {seed}");
                assert_eq!(refused, offers.len() - all.len());
            }
        }
    }

    #[test]
    fn with_fewer_places_than_namespaces_the_first_by_name_have_one() {
        let offers = [("d", 0), ("c", 0), ("a", 0), ("b", 0), ("a", 1)];
        let (all, refused) = dealt(2, &offers);
        assert_eq!(all, of(&[("a", 1), ("b", 1)]));
        assert_eq!(refused, 3);
    }
}
