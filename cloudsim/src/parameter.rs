//! OOS parameters and their versions.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::hidden::Hidden;
use crate::random;
use crate::seed::Parameter;

/// The longest value the cloud takes.
pub(crate) const MAX_VALUE_CHARS: usize = 4096;

/// Where a parameter lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
}

/// One parameter with all its versions; the first is version 1.
#[derive(Debug)]
pub(crate) struct StoredParameter {
    pub(crate) id: String,
    /// What the seed or the admin said of it; its versions are below, not there.
    pub(crate) about: Parameter,
    versions: Vec<Version>,
}

/// One version of a parameter.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) value: Hidden,
    pub(crate) created: Timestamp,
}

/// All parameters of all accounts.
#[derive(Debug, Default)]
pub(crate) struct ParameterStore {
    parameters: BTreeMap<Place, StoredParameter>,
}

/// Says whether a text can be a parameter's name.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=180).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/'))
}

// === impl StoredParameter ===

impl StoredParameter {
    /// A version by number, or the current one, with its number.
    pub(crate) fn version(&self, number: Option<usize>) -> Option<(usize, &Version)> {
        let number = number.unwrap_or(self.versions.len());
        Some((number, self.versions.get(number.checked_sub(1)?)?))
    }

    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.versions.first().map(|version| version.created)
    }
}

// === impl ParameterStore ===

impl ParameterStore {
    /// Adds a version, and the parameter if it is new. Returns the version's number.
    pub(crate) fn put(&mut self, place: Place, about: Parameter, now: Timestamp) -> usize {
        let values = about.versions.clone();
        let parameter = self
            .parameters
            .entry(place)
            .or_insert_with(|| StoredParameter {
                id: format!("p-{}", random::alphanumeric(20).to_lowercase()),
                about: Parameter {
                    versions: Vec::new(),
                    ..about
                },
                versions: Vec::new(),
            });
        parameter
            .versions
            .extend(values.into_iter().map(|value| Version {
                value,
                created: now,
            }));
        parameter.versions.len()
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&StoredParameter> {
        self.parameters.get(place)
    }

    /// Deletes a parameter with all its versions; `false` if there was none.
    pub(crate) fn delete(&mut self, place: &Place) -> bool {
        self.parameters.remove(place).is_some()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Place, &StoredParameter)> {
        self.parameters.iter()
    }
}
