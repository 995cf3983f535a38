//! Who needs a row, and how often.

use std::num::NonZeroU64;
use std::time::Duration;

use super::row::ObjectId;
use crate::digest::Digest;

/// How often a row is read, in whole milliseconds: half the size of a `Duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interval(NonZeroU64);

/// What one object wants of one row.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub object: ObjectId,
    pub interval: Interval,
    /// The digest that is in the object's Secret.
    pub applied: Option<Digest>,
    /// The row's epoch when the object last looked.
    pub seen_epoch: u32,
    /// It waits for the row's next answer.
    pub waits: bool,
}

/// The subscribers of one row, sorted by object. Most rows have one.
#[derive(Debug)]
pub(super) enum Subscribers {
    None,
    One(Subscriber),
    /// Apart, so that the others take no more than one.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Subscriber>>),
}

// === impl Interval ===

impl Interval {
    pub const MAX: Self = Self(NonZeroU64::MAX);
}

impl From<Duration> for Interval {
    /// Rounds up to a millisecond and down to whole ones.
    fn from(interval: Duration) -> Self {
        let millis = u64::try_from(interval.as_millis()).ok();
        millis.map_or(Self::MAX, |millis| {
            Self(NonZeroU64::new(millis).unwrap_or(NonZeroU64::MIN))
        })
    }
}

impl From<Interval> for Duration {
    fn from(interval: Interval) -> Self {
        Self::from_millis(interval.0.get())
    }
}

// === impl Subscribers ===

impl Subscribers {
    pub fn as_slice(&self) -> &[Subscriber] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub fn get(&self, object: ObjectId) -> Option<&Subscriber> {
        let at = self.position(object).ok()?;
        self.as_slice().get(at)
    }

    pub fn get_mut(&mut self, object: ObjectId) -> Option<&mut Subscriber> {
        let at = self.position(object).ok()?;
        match self {
            Self::None => None,
            Self::One(one) => Some(one),
            Self::Many(many) => many.get_mut(at),
        }
    }

    pub fn as_mut_slice(&mut self) -> &mut [Subscriber] {
        match self {
            Self::None => &mut [],
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }

    /// Adds a subscriber; one of the same object is not among them.
    pub fn add(&mut self, new: Subscriber) {
        match self {
            Self::None => *self = Self::One(new),
            Self::One(_) => {
                if let Self::One(old) = std::mem::replace(self, Self::None) {
                    let mut both = vec![old, new];
                    both.sort_unstable_by_key(|subscriber| subscriber.object);
                    *self = Self::Many(Box::new(both));
                }
            }
            Self::Many(many) => {
                let at = many.partition_point(|known| known.object < new.object);
                many.insert(at, new);
            }
        }
    }

    /// Takes out the subscriber of `object`.
    pub fn remove(&mut self, object: ObjectId) -> Option<Subscriber> {
        let at = self.position(object).ok()?;
        let Self::Many(many) = self else {
            return match std::mem::replace(self, Self::None) {
                Self::One(left) => Some(left),
                Self::None | Self::Many(_) => None,
            };
        };
        let left = many.remove(at);
        if many.len() == 1
            && let Some(last) = many.pop()
        {
            *self = Self::One(last);
        }
        Some(left)
    }

    fn position(&self, object: ObjectId) -> Result<usize, usize> {
        self.as_slice()
            .binary_search_by_key(&object, |subscriber| subscriber.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber(object: u64) -> Subscriber {
        Subscriber {
            object: ObjectId(object),
            interval: Interval::MAX,
            applied: None,
            seen_epoch: 0,
            waits: false,
        }
    }

    fn objects(all: &Subscribers) -> Vec<u64> {
        all.as_slice().iter().map(|s| s.object.0).collect()
    }

    #[test]
    fn subscribers_come_and_go_in_order() {
        let mut all = Subscribers::None;
        for (object, after) in [(2, vec![2]), (3, vec![2, 3]), (1, vec![1, 2, 3])] {
            all.add(subscriber(object));
            assert_eq!(objects(&all), after);
            assert!(all.get_mut(ObjectId(object)).is_some());
        }
        assert!(all.remove(ObjectId(4)).is_none());
        for (object, after) in [(2, vec![1, 3]), (3, vec![1]), (1, vec![])] {
            assert_eq!(all.remove(ObjectId(object)).unwrap().object.0, object);
            assert_eq!(objects(&all), after);
            assert!(all.get(ObjectId(object)).is_none());
        }
    }

    #[test]
    fn an_interval_is_kept_to_the_millisecond() {
        let kept = |interval: Duration| Duration::from(Interval::from(interval));
        let day = Duration::from_secs(86_400);
        assert_eq!(kept(day), day);
        assert_eq!(kept(Duration::from_micros(1_900)), Duration::from_millis(1));
        assert_eq!(kept(Duration::ZERO), Duration::from_millis(1));
        assert_eq!(Interval::from(Duration::MAX), Interval::MAX);
    }
}
