//! OOS parameters of a seed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;
use crate::parameter::{MAX_VALUE_CHARS, is_name};
use crate::seed::SeedError;

/// An OOS parameter, secret or plain.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The parameter's name.
    pub name: String,
    /// Its region, if not the seed's.
    #[serde(default)]
    pub region: Option<String>,
    /// Its description.
    #[serde(default)]
    pub description: Option<String>,
    /// The type of a plain one.
    #[serde(default, rename = "type")]
    pub kind: ParameterType,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The values of version 1, 2 and so on. The last is the current one.
    pub versions: Vec<Hidden>,
}

/// The types of plain parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParameterType {
    /// One text.
    #[default]
    String,
    /// Texts with commas between them.
    StringList,
}

// === impl Parameter ===

impl Parameter {
    /// A parameter with one version.
    pub fn new(name: &str, value: impl Into<Hidden>) -> Self {
        Self {
            name: name.to_owned(),
            versions: vec![value.into()],
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), SeedError> {
        if !is_name(&self.name) {
            return Err(SeedError::Rule(
                "parameters: a name has 1 to 180 of the characters A-Za-z0-9-_/".to_owned(),
            ));
        }
        if self.versions.is_empty() {
            return Err(SeedError::Rule(format!(
                "parameters: {} has no version",
                self.name
            )));
        }
        let bad = |value: &Hidden| {
            value.reveal().is_empty() || value.reveal().chars().count() > MAX_VALUE_CHARS
        };
        if self.versions.iter().any(bad) {
            return Err(SeedError::Rule(format!(
                "parameters: a value of {} must have 1 to {MAX_VALUE_CHARS} characters",
                self.name
            )));
        }
        Ok(())
    }
}

// === impl ParameterType ===

impl ParameterType {
    /// The type's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::StringList => "StringList",
        }
    }
}
