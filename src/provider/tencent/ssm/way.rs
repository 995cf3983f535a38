//! By which calls a secret is read, as far as that was learned. Pure; the time is passed in.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use jiff::Timestamp;

use crate::provider::{Caveat, RemoteKey};

/// The version of what SSM rotates itself, and the name of the first version of what was made without one.
pub(super) const CURRENT: &str = "SSM_Current";
/// How long a secret is believed to be of a kind, before it is asked again: one of the name may have been
/// deleted and made anew as another. Each has up to an hour more, so that not all are asked at once.
const KIND: Duration = Duration::from_hours(1);
/// How long it is believed that something may not be asked.
const HIDDEN: Duration = Duration::from_hours(1);
/// How long a version that was found to be the newest may be read as such, where the read that it was found
/// for came to nothing.
const NEWEST: Duration = Duration::from_mins(1);
/// How many secrets are remembered; for one more, any other is forgotten and learned again.
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

/// What is known of one secret.
#[derive(Debug, Default)]
struct Way {
    /// Its kind, as of then.
    kind: Option<(Kind, Timestamp)>,
    /// Of a custom one the newest version, if that was found and not read yet, and when.
    newest: Option<(String, Timestamp)>,
    /// What is missing may not be asked, as of then.
    hidden: Option<(Caveat, Timestamp)>,
    /// Its newest version was found once: what is called current may be one of long ago.
    listed: bool,
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
        let Some(way) = self.0.get(&key.key) else {
            return Step::Describe;
        };
        if let Some((caveat, _)) = way.hidden.filter(|(_, since)| lasts(*since, HIDDEN)) {
            return Step::ReadVersion(CURRENT.to_owned(), Some(caveat));
        }
        let most = self.kind_lasts(&key.key);
        match (
            way.kind.filter(|(_, since)| lasts(*since, most)),
            &way.newest,
        ) {
            (None, _) => Step::Describe,
            (Some((Kind::Managed, _)), _) => Step::ReadVersion(CURRENT.to_owned(), None),
            (Some((Kind::KeyPair, _)), _) => Step::ReadKeyPair,
            (Some((Kind::Custom, _)), Some((version, since))) if lasts(*since, NEWEST) => {
                Step::ReadVersion(version.clone(), None)
            }
            (Some((Kind::Custom, _)), _) => Step::FindNewest,
        }
    }

    fn kind_lasts(&self, name: &str) -> Duration {
        let spread = self.0.hasher().hash_one(name).to_be_bytes()[0];
        KIND + KIND / 256 * u32::from(spread)
    }

    /// The secret `name` is of this kind.
    pub(super) fn is_of(&mut self, name: &str, kind: Kind, now: Timestamp) {
        let way = self.way(name);
        *way = Way {
            kind: Some((kind, now)),
            listed: way.listed && kind == Kind::Custom,
            ..Way::default()
        };
    }

    /// The newest version of the custom secret `name` is this one.
    pub(super) fn has_newest(&mut self, name: &str, version: String, now: Timestamp) {
        let way = self.way(name);
        let custom = way.kind.filter(|(kind, _)| *kind == Kind::Custom);
        *way = Way {
            kind: custom.or(Some((Kind::Custom, now))),
            newest: Some((version, now)),
            hidden: None,
            listed: true,
        };
    }

    /// What `step` asks about `name` may not be asked. Says whether it can be read all the same: as what it
    /// was until now, or else the version that is called current, with this caveat; but never that after
    /// the newest was found once.
    pub(super) fn is_hidden(
        &mut self,
        name: &str,
        step: &Step,
        caveat: Caveat,
        now: Timestamp,
    ) -> bool {
        let way = self.way(name);
        if let (Step::Describe, Some((_, since))) = (step, &mut way.kind) {
            *since = now;
        } else if !way.listed {
            way.hidden = Some((caveat, now));
        } else {
            return false;
        }
        true
    }

    /// The secret was read: another version may be the newest next time.
    pub(super) fn was_read(&mut self, name: &str) {
        if let Some(way) = self.0.get_mut(name) {
            way.newest = None;
        }
    }

    /// What is known may not be so any more: a secret of the name may have been deleted and made anew.
    pub(super) fn doubt(&mut self, name: &str) {
        if let Some(way) = self.0.get_mut(name) {
            way.kind = None;
            way.newest = None;
        }
    }

    /// There is no secret `name`.
    pub(super) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    fn way(&mut self, name: &str) -> &mut Way {
        if self.0.len() >= MOST
            && !self.0.contains_key(name)
            && let Some(any) = self.0.keys().next().cloned()
        {
            self.0.remove(&any);
        }
        self.0.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests;
