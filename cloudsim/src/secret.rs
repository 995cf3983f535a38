//! KMS secrets: their versions, stages and states.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::hidden::Hidden;
use crate::parameter::Place;
use crate::policy::ResourcePolicy;
use crate::random;
use crate::seed::{DataType, KeyState, Secret, SecretType, SecretVersion};

/// The longest data the cloud takes, in bytes.
pub(crate) const MAX_DATA: usize = 30_720;

/// The stage of the version that is read by default.
pub(crate) const CURRENT: &str = "ACSCurrent";
/// The stage of the version before that.
pub(crate) const PREVIOUS: &str = "ACSPrevious";

/// One secret with all its versions, oldest first.
#[derive(Debug)]
pub(crate) struct StoredSecret {
    /// What the seed or the admin said of it; its versions are below, not there.
    pub(crate) about: Secret,
    policy: ResourcePolicy,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) planned_delete: Option<Timestamp>,
    pub(crate) last_rotation: Option<Timestamp>,
    pub(crate) versions: Vec<StoredVersion>,
}

/// One version of a secret.
#[derive(Debug)]
pub(crate) struct StoredVersion {
    pub(crate) id: String,
    pub(crate) data: Hidden,
    pub(crate) data_type: DataType,
    pub(crate) stages: Vec<String>,
    pub(crate) created: Timestamp,
}

/// All secrets and the keys that encrypt them, of all accounts.
#[derive(Debug, Default)]
pub(crate) struct SecretStore {
    secrets: BTreeMap<Place, StoredSecret>,
    keys: HashMap<(String, String), StoredKey>,
}

/// A key that encrypts secrets.
#[derive(Debug, Default)]
pub(crate) struct StoredKey {
    pub(crate) state: KeyState,
    /// Who of other accounts may do what with it.
    pub(crate) policy: ResourcePolicy,
}

/// Says whether a text can be a secret's name.
pub(crate) fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_/+=.@-".contains(&byte);
    (1..=192).contains(&name.len()) && name.bytes().all(good)
}

/// Says whether a text can be a version's id.
pub(crate) fn is_version_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
}

/// The account, region and name of a secret's ARN.
pub(crate) fn split_arn(arn: &str) -> Option<(&str, &str, &str)> {
    let (region, rest) = arn.strip_prefix("acs:kms:")?.split_once(':')?;
    let (account, name) = rest.split_once(":secret/")?;
    (!region.is_empty() && !account.is_empty() && is_name(name)).then_some((account, region, name))
}

/// The ARN of a secret.
pub(crate) fn arn(place: &Place) -> String {
    let Place {
        account,
        region,
        name,
    } = place;
    format!("acs:kms:{region}:{account}:secret/{name}")
}

// === impl StoredSecret ===

impl StoredSecret {
    fn new(mut secret: Secret, now: Timestamp) -> Self {
        let mut specs = std::mem::take(&mut secret.versions);
        specs.extend(secret.value.take().map(|data| SecretVersion {
            id: None,
            data,
            data_type: None,
            stages: None,
        }));
        // A secret is checked before it is stored, so its policy can be read.
        let policy = secret.resource_policy().unwrap_or_default();
        let explicit = specs.iter().any(|version| version.stages.is_some());
        let mut stored = Self {
            about: secret,
            policy,
            created: now,
            updated: now,
            planned_delete: None,
            last_rotation: None,
            versions: Vec::new(),
        };
        for spec in specs {
            let stages = match spec.stages {
                None if explicit => Vec::new(),
                None => vec![CURRENT.to_owned()],
                Some(stages) => stages,
            };
            stored.add(spec.id, spec.data, spec.data_type, &stages, now);
        }
        stored
    }

    /// Adds a version and moves the stages to it. Returns its id.
    pub(crate) fn add(
        &mut self,
        id: Option<String>,
        data: Hidden,
        data_type: Option<DataType>,
        stages: &[String],
        now: Timestamp,
    ) -> String {
        let id = id.unwrap_or_else(|| format!("v{}", self.versions.len() + 1));
        self.versions.push(StoredVersion {
            id: id.clone(),
            data,
            data_type: data_type.unwrap_or(self.about.data_type),
            stages: Vec::new(),
            created: now,
        });
        for stage in stages {
            self.move_stage(stage, Some(&id));
        }
        self.updated = now;
        id
    }

    /// Moves a stage to a version, or takes it away. What was current becomes the previous one.
    pub(crate) fn move_stage(&mut self, stage: &str, to: Option<&str>) {
        let mut left = None;
        for version in &mut self.versions {
            let before = version.stages.len();
            version.stages.retain(|known| known != stage);
            if version.stages.len() < before {
                left = Some(version.id.clone());
            }
        }
        if let Some(version) = self
            .versions
            .iter_mut()
            .find(|version| Some(version.id.as_str()) == to)
        {
            version.stages.push(stage.to_owned());
        }
        if stage == CURRENT && left.is_some() && left.as_deref() != to {
            self.move_stage(PREVIOUS, left.as_deref());
        }
    }

    pub(crate) fn version(&self, id: &str) -> Option<&StoredVersion> {
        self.versions.iter().find(|version| version.id == id)
    }

    pub(crate) fn staged(&self, stage: &str) -> Option<&StoredVersion> {
        let has = |version: &&StoredVersion| version.stages.iter().any(|known| known == stage);
        self.versions.iter().find(has)
    }

    pub(crate) fn next_rotation(&self) -> Option<Timestamp> {
        let rotation = self.about.rotation.as_ref()?;
        let last = self.last_rotation.unwrap_or(self.created);
        let counted = rotation.interval.map(|interval| last + interval);
        rotation
            .next
            .or(counted)
            .filter(|_| rotation.automatic == "Enabled")
    }

    /// Says whether the secret's policy lets a principal of another account do something.
    pub(crate) fn admits(&self, principal: &str, account: &str, action: &str) -> bool {
        self.policy.admits(principal, account, action)
    }
}

// === impl SecretStore ===

impl SecretStore {
    /// Adds or replaces a secret.
    pub(crate) fn put(&mut self, place: Place, secret: Secret, now: Timestamp) {
        if let Some(key) = &secret.encryption_key {
            self.keys
                .entry((place.account.clone(), key.clone()))
                .or_default();
        }
        self.secrets.insert(place, StoredSecret::new(secret, now));
    }

    /// A secret that is there, pending deletion or not.
    pub(crate) fn get(&self, place: &Place, now: Timestamp) -> Option<&StoredSecret> {
        let secret = self.secrets.get(place)?;
        secret
            .planned_delete
            .is_none_or(|at| now < at)
            .then_some(secret)
    }

    pub(crate) fn get_mut(&mut self, place: &Place, now: Timestamp) -> Option<&mut StoredSecret> {
        let secret = self.secrets.get_mut(place)?;
        secret
            .planned_delete
            .is_none_or(|at| now < at)
            .then_some(secret)
    }

    /// All secrets that are there, by account, region and name.
    pub(crate) fn all(&self, now: Timestamp) -> impl Iterator<Item = (&Place, &StoredSecret)> {
        let there = move |secret: &StoredSecret| secret.planned_delete.is_none_or(|at| now < at);
        self.secrets.iter().filter(move |(_, secret)| there(secret))
    }

    /// Makes the next version of a secret the current one, as a rotation does. Returns its id.
    pub(crate) fn rotate(&mut self, place: &Place, data: Hidden, now: Timestamp) -> Option<String> {
        let secret = self.get_mut(place, now)?;
        let id = secret
            .about
            .kind
            .is_managed()
            .then(|| random::alphanumeric(32).to_lowercase());
        let id = secret.add(id, data, None, &[CURRENT.to_owned()], now);
        secret.last_rotation = Some(now);
        if let Some(rotation) = &mut secret.about.rotation {
            rotation.next = None;
        }
        Some(id)
    }

    /// Deletes a secret, at once or after so many days. Returns when; `None` if there is none.
    pub(crate) fn delete(
        &mut self,
        place: &Place,
        recovery: Option<SignedDuration>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let secret = self.get_mut(place, now)?;
        let at = now + recovery.unwrap_or_default();
        secret.planned_delete = Some(at);
        if recovery.is_none() {
            self.secrets.remove(place);
        }
        Some(at)
    }

    pub(crate) fn key(&self, account: &str, id: &str) -> Option<&StoredKey> {
        self.keys.get(&(account.to_owned(), id.to_owned()))
    }

    /// Adds a key or changes its state, and its policy if there is one.
    pub(crate) fn put_key(
        &mut self,
        account: &str,
        id: &str,
        state: KeyState,
        policy: Option<ResourcePolicy>,
    ) {
        let place = (account.to_owned(), id.to_owned());
        let key = self.keys.entry(place).or_default();
        key.state = state;
        if let Some(policy) = policy {
            key.policy = policy;
        }
    }

    pub(crate) fn delete_key(&mut self, account: &str, id: &str) -> bool {
        self.keys
            .remove(&(account.to_owned(), id.to_owned()))
            .is_some()
    }
}

impl StoredSecret {
    pub(crate) fn kind(&self) -> SecretType {
        self.about.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(secret: &StoredSecret) -> Vec<(&str, &[String])> {
        let stages = secret.versions.iter();
        stages
            .map(|version| (version.id.as_str(), &version.stages[..]))
            .collect()
    }

    #[test]
    fn a_new_version_is_current_and_the_old_one_previous() {
        let now = Timestamp::UNIX_EPOCH;
        let mut secret = StoredSecret::new(Secret::new("a", "1"), now);
        let current = [CURRENT.to_owned()];
        let previous = [PREVIOUS.to_owned()];
        assert_eq!(stages(&secret), [("v1", &current[..])]);
        for data in ["2", "3"] {
            secret.add(None, data.into(), None, &current, now);
        }
        assert_eq!(
            stages(&secret),
            [("v1", &[][..]), ("v2", &previous[..]), ("v3", &current[..])]
        );
        secret.move_stage(CURRENT, Some("v2"));
        assert_eq!(secret.staged(PREVIOUS).unwrap().id, "v3");
        assert_eq!(secret.staged(CURRENT).unwrap().id, "v2");
    }

    #[test]
    fn an_arn_of_a_secret_is_taken_apart() {
        let parts = split_arn("acs:kms:cn-hangzhou:2:secret/shop/db");
        assert_eq!(parts, Some(("2", "cn-hangzhou", "shop/db")));
        assert_eq!(split_arn("acs:kms:cn-hangzhou:2:key/a"), None);
        assert_eq!(split_arn("shop/db"), None);
    }
}
