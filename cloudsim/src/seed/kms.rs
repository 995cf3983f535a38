//! How the simulated KMS behaves as a whole.

use serde::{Deserialize, Serialize};

/// Quotas and capabilities of KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KmsSettings {
    /// How many reads of values or metadata each account has in a second and a region; `None` means any number.
    pub reads_per_second: Option<u32>,
    /// How many lists and other rarer calls.
    pub lists_per_second: Option<u32>,
    /// How many creations and deletions.
    pub writes_per_second: Option<u32>,
    /// Whether the shared and the VPC gateway know `BatchGetSecretValue`.
    pub batch: Batch,
    /// Whether the dedicated instance knows it.
    pub instance_batch: Batch,
    /// Whether an answer names a secret that was asked for by ARN by its bare name.
    pub bare_names: bool,
}

/// Whether `BatchGetSecretValue` is known, and how it is refused if not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Batch {
    /// It is known.
    #[default]
    On,
    /// 404 `InvalidApi.NotFound`.
    ApiNotFound,
    /// 404 `InvalidAction.NotFound`.
    ActionNotFound,
    /// 400 `UnsupportedOperation`.
    Unsupported,
}

// === impl KmsSettings ===

impl KmsSettings {
    /// The settings without any quota, for tests of other things.
    pub fn generous() -> Self {
        Self {
            reads_per_second: None,
            lists_per_second: None,
            writes_per_second: None,
            ..Self::default()
        }
    }
}

impl Default for KmsSettings {
    fn default() -> Self {
        Self {
            reads_per_second: Some(450),
            lists_per_second: Some(40),
            writes_per_second: Some(10),
            batch: Batch::On,
            instance_batch: Batch::ApiNotFound,
            bare_names: false,
        }
    }
}
