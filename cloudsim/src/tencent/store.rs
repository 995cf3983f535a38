//! SSM secrets: their versions and states.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::hidden::Hidden;
use crate::parameter::Place;
use crate::random;
use crate::tencent::seed::{Secret, SecretState, Version};

/// The longest value the cloud takes, in bytes.
pub(crate) const MAX_VALUE: usize = 32_768;

/// How many versions a secret may have.
pub(crate) const MAX_VERSIONS: usize = 10;

/// The version of a managed secret that is in force, and of a custom one the first that was given no id.
pub(crate) const CURRENT: &str = "SSM_Current";

/// A value: a text, or bytes in base64. The other of the two is said as an empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Text(Hidden),
    Binary(Hidden),
}

/// One version of a secret.
#[derive(Debug, Clone)]
pub(crate) struct StoredVersion {
    pub(crate) id: String,
    pub(crate) data: Data,
    pub(crate) created: Timestamp,
}

/// One secret with all its versions, oldest first.
#[derive(Debug)]
pub(crate) struct Stored {
    /// What the seed or the admin said of it; its state and its versions are here, not there.
    pub(crate) about: Secret,
    pub(crate) state: SecretState,
    pub(crate) created: Timestamp,
    /// When it will be gone, of a secret that is pending deletion.
    pub(crate) delete_at: Option<Timestamp>,
    pub(crate) versions: Vec<StoredVersion>,
}

/// All secrets of all accounts and regions.
#[derive(Debug, Default)]
pub(crate) struct Store {
    secrets: BTreeMap<Place, Stored>,
}

fn made_of(text: &str, longest: usize, others: &[u8]) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    (1..=longest).contains(&text.len())
        && text.bytes().all(good)
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Says whether a text can be a secret's name.
pub(crate) fn is_name(name: &str) -> bool {
    made_of(name, 128, b"_-")
}

/// Says whether a text can be a version's id.
pub(crate) fn is_version_id(id: &str) -> bool {
    made_of(id, 64, b"_.-")
}

// === impl Data ===

impl Data {
    pub(crate) fn of(version: &Version) -> Self {
        match (&version.text, &version.binary) {
            (_, Some(bytes)) => Self::Binary(bytes.clone()),
            (text, None) => Self::Text(text.clone().unwrap_or_default()),
        }
    }

    /// The two fields of an answer: text and bytes.
    pub(crate) fn halves(&self) -> (&str, &str) {
        match self {
            Self::Text(text) => (text.reveal(), ""),
            Self::Binary(bytes) => ("", bytes.reveal()),
        }
    }
}

// === impl Stored ===

impl Stored {
    fn new(mut about: Secret, now: Timestamp) -> Self {
        let mut specs = std::mem::take(&mut about.versions);
        specs.extend(about.value.take().map(|text| Version {
            text: Some(text),
            ..Version::default()
        }));
        let mut stored = Self {
            state: about.state,
            delete_at: (about.state == SecretState::PendingDelete)
                .then(|| now + SignedDuration::from_hours(24 * 7)),
            about,
            created: now,
            versions: Vec::new(),
        };
        let count = i64::try_from(specs.len()).unwrap_or_default();
        for (index, spec) in (1..).zip(&specs) {
            // Versions of a seed are seconds apart, as any that somebody makes by hand are.
            let created = now - SignedDuration::from_secs(count - index);
            let id = spec.id.clone().unwrap_or_else(|| CURRENT.to_owned());
            stored.versions.push(StoredVersion {
                id,
                data: Data::of(spec),
                created: spec.created.unwrap_or(created),
            });
        }
        stored
    }

    pub(crate) fn version(&self, id: &str) -> Option<&StoredVersion> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Replaces a version's data in place: its time of creation stays.
    pub(crate) fn replace(&mut self, id: &str, data: Data) -> bool {
        let version = self.versions.iter_mut().find(|version| version.id == id);
        version.map(|version| version.data = data).is_some()
    }

    /// Adds a version; `false` if there is one of this id, or if there are ten.
    pub(crate) fn add(&mut self, id: &str, data: Data, created: Timestamp) -> bool {
        let room = self.versions.len() < MAX_VERSIONS && self.version(id).is_none();
        if room {
            self.versions.push(StoredVersion {
                id: id.to_owned(),
                data,
                created,
            });
        }
        room
    }

    /// Makes other data `SSM_Current`, and what was so an old version of an opaque id, as a rotation does.
    pub(crate) fn rotate(&mut self, data: Data, now: Timestamp) {
        if let Some(current) = self
            .versions
            .iter_mut()
            .find(|version| version.id == CURRENT)
        {
            current.id = random::alphanumeric(24).to_lowercase();
        }
        if self.versions.len() == MAX_VERSIONS {
            self.versions.remove(0);
        }
        self.add(CURRENT, data, now);
    }

    /// Says whether it is there at a time: one that is pending deletion is, until then.
    fn is_there(&self, now: Timestamp) -> bool {
        self.delete_at.is_none_or(|at| now < at)
    }

    /// Changes the state, and with it whether it will be gone.
    pub(crate) fn set_state(&mut self, state: SecretState, delete_at: Option<Timestamp>) {
        self.state = state;
        self.delete_at = delete_at.filter(|_| state == SecretState::PendingDelete);
    }
}

// === impl Store ===

impl Store {
    /// Adds or replaces a secret.
    pub(crate) fn put(&mut self, place: Place, secret: Secret, now: Timestamp) {
        self.secrets.insert(place, Stored::new(secret, now));
    }

    pub(crate) fn get(&self, place: &Place, now: Timestamp) -> Option<&Stored> {
        let secret = self.secrets.get(place)?;
        secret.is_there(now).then_some(secret)
    }

    pub(crate) fn get_mut(&mut self, place: &Place, now: Timestamp) -> Option<&mut Stored> {
        let secret = self.secrets.get_mut(place)?;
        secret.is_there(now).then_some(secret)
    }

    /// All secrets that are there, by account, region and name.
    pub(crate) fn all(&self, now: Timestamp) -> impl Iterator<Item = (&Place, &Stored)> {
        let secrets = self.secrets.iter();
        secrets.filter(move |(_, secret)| secret.is_there(now))
    }

    pub(crate) fn remove(&mut self, place: &Place) -> bool {
        self.secrets.remove(place).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_what_was_current_under_another_id() {
        let now = Timestamp::UNIX_EPOCH;
        let mut secret = Stored::new(Secret::new("a", "canary-1"), now);
        for number in 2..=12 {
            let text = Hidden::from(format!("canary-{number}"));
            secret.rotate(Data::Text(text), now);
            assert_eq!(
                secret.version(CURRENT).unwrap().data.halves().0,
                format!("canary-{number}")
            );
        }
        assert_eq!(secret.versions.len(), MAX_VERSIONS);
    }

    #[test]
    fn names_and_ids_begin_with_a_letter_or_a_digit() {
        assert!(is_name("prod-db_1") && is_version_id("v1.2"));
        for name in ["", "-a", "a/b", "a.b", &"a".repeat(129)] {
            assert!(!is_name(name), "{name}");
        }
        assert!(!is_version_id("_v1") && !is_version_id(&"v".repeat(65)));
    }
}
