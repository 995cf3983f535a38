//! By which calls a secret is read, as far as that was learned. Pure; the time is passed in.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::provider::{Caveat, RemoteKey};

/// The version of what SSM rotates itself, and the name of the first version of what was made without one.
pub(super) const CURRENT: &str = "SSM_Current";
/// How long it is believed that something may not be asked.
const HIDDEN: Duration = Duration::from_hours(1);
/// How long a version that was found to be the newest may be read as such.
const NEWEST: Duration = Duration::from_mins(1);
/// How many secrets are remembered; beyond, all are forgotten and learned again.
const MOST: usize = 20_000;

/// What a secret is, of which reading it depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its versions are named by people.
    Custom,
    /// Its versions come and go by themselves, and the live one has a fixed name.
    Managed,
    /// A pair of keys, which a call of its own reads.
    KeyPair,
}

/// The next call for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// What kind it is.
    Describe,
    /// Which of its versions is the newest.
    FindNewest,
    /// The value of a version.
    ReadVersion(String, Option<Caveat>),
    /// Both keys.
    ReadKeyPair,
}

/// What is known of secrets by their names.
#[derive(Debug, Default)]
pub(super) struct Ways(HashMap<String, Way>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// A kind, and of a custom one the newest version, if that was found and not read yet, and when.
    Of(Kind, Option<(String, Timestamp)>),
    /// What is missing may not be asked, as of then.
    Hidden(Caveat, Timestamp),
}

// === impl Ways ===

impl Ways {
    /// The next call for `key` at `now`.
    pub(super) fn step(&self, key: &RemoteKey, now: Timestamp) -> Step {
        self.step_if(key, |since, most| {
            now.duration_since(since).unsigned_abs() < most
        })
    }

    /// The next call for `key` where whatever was learned still does.
    pub(super) fn step_at_last(&self, key: &RemoteKey) -> Step {
        self.step_if(key, |_, _| true)
    }

    fn step_if(&self, key: &RemoteKey, lasts: impl Fn(Timestamp, Duration) -> bool) -> Step {
        if let Some(version) = &key.version {
            return Step::ReadVersion(version.clone(), None);
        }
        match self.0.get(&key.key) {
            Some(Way::Hidden(caveat, since)) if lasts(*since, HIDDEN) => {
                Step::ReadVersion(CURRENT.to_owned(), Some(*caveat))
            }
            Some(Way::Of(Kind::Managed, _)) => Step::ReadVersion(CURRENT.to_owned(), None),
            Some(Way::Of(Kind::KeyPair, _)) => Step::ReadKeyPair,
            Some(Way::Of(Kind::Custom, Some((version, since)))) if lasts(*since, NEWEST) => {
                Step::ReadVersion(version.clone(), None)
            }
            Some(Way::Of(Kind::Custom, _)) => Step::FindNewest,
            Some(Way::Hidden(..)) | None => Step::Describe,
        }
    }

    /// The secret `name` is of this kind.
    pub(super) fn is_of(&mut self, name: &str, kind: Kind) {
        self.put(name, Way::Of(kind, None));
    }

    /// The newest version of the custom secret `name` is this one.
    pub(super) fn has_newest(&mut self, name: &str, version: String, now: Timestamp) {
        self.put(name, Way::Of(Kind::Custom, Some((version, now))));
    }

    /// What was to be asked about `name` may not be asked.
    pub(super) fn is_hidden(&mut self, name: &str, caveat: Caveat, now: Timestamp) {
        self.put(name, Way::Hidden(caveat, now));
    }

    /// The secret was read: another version may be the newest next time.
    pub(super) fn was_read(&mut self, name: &str) {
        if let Some(Way::Of(Kind::Custom, newest)) = self.0.get_mut(name) {
            *newest = None;
        }
    }

    /// What is known may not be so any more: a secret of the name may have been deleted and made anew.
    pub(super) fn doubt(&mut self, name: &str) {
        if let Some(Way::Of(..)) = self.0.get(name) {
            self.0.remove(name);
        }
    }

    /// There is no secret `name`.
    pub(super) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    fn put(&mut self, name: &str, way: Way) {
        if self.0.len() >= MOST && !self.0.contains_key(name) {
            self.0.clear();
        }
        self.0.insert(name.to_owned(), way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn step(ways: &Ways, seconds: i64) -> Step {
        ways.step(&RemoteKey::named("a"), at(seconds))
    }

    fn read(version: &str) -> Step {
        Step::ReadVersion(version.to_owned(), None)
    }

    #[test]
    fn a_version_that_is_named_is_read_whatever_is_known() {
        let mut ways = Ways::default();
        let key = |version: &str| RemoteKey {
            version: Some(version.to_owned()),
            ..RemoteKey::named("a")
        };
        for kind in [None, Some(Kind::Custom), Some(Kind::KeyPair)] {
            if let Some(kind) = kind {
                ways.is_of("a", kind);
            }
            for version in ["v1", CURRENT] {
                assert_eq!(ways.step(&key(version), at(0)), read(version));
            }
        }
    }

    #[test]
    fn what_a_secret_is_is_learned_once() {
        let mut ways = Ways::default();
        assert_eq!(step(&ways, 0), Step::Describe);
        for (kind, next) in [
            (Kind::Managed, read(CURRENT)),
            (Kind::KeyPair, Step::ReadKeyPair),
            (Kind::Custom, Step::FindNewest),
        ] {
            ways.is_of("a", kind);
            for later in [0, 1_000_000_000] {
                assert_eq!(step(&ways, later), next);
                ways.was_read("a");
            }
        }
    }

    #[test]
    fn the_newest_version_is_looked_for_before_each_read() {
        let mut ways = Ways::default();
        ways.is_of("a", Kind::Custom);
        ways.has_newest("a", "v2".to_owned(), at(0));
        assert_eq!(step(&ways, 59), read("v2"));
        assert_eq!(step(&ways, 60), Step::FindNewest, "that was too long ago");
        let key = RemoteKey::named("a");
        assert_eq!(ways.step_at_last(&key), read("v2"), "its read is under way");
        ways.was_read("a");
        assert_eq!(step(&ways, 1), Step::FindNewest);
    }

    #[test]
    fn what_may_not_be_asked_is_asked_again_after_an_hour() {
        for caveat in [Caveat::KindHidden, Caveat::VersionsHidden] {
            let mut ways = Ways::default();
            ways.is_hidden("a", caveat, at(0));
            let next = Step::ReadVersion(CURRENT.to_owned(), Some(caveat));
            assert_eq!(step(&ways, 3_599), next);
            ways.was_read("a");
            ways.doubt("a");
            assert_eq!(step(&ways, 3_599), next);
            assert_eq!(step(&ways, 3_600), Step::Describe);
        }
    }

    #[test]
    fn what_is_gone_or_in_doubt_is_learned_anew() {
        let mut ways = Ways::default();
        ways.is_of("a", Kind::Managed);
        ways.doubt("a");
        assert_eq!(step(&ways, 0), Step::Describe);
        ways.is_hidden("a", Caveat::KindHidden, at(0));
        ways.forget("a");
        assert_eq!(step(&ways, 0), Step::Describe);
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let mut ways = Ways::default();
        for n in 0..=MOST {
            ways.is_of(&n.to_string(), Kind::Managed);
        }
        assert!(ways.0.len() <= MOST);
    }
}
