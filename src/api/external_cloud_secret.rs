//! `ExternalCloudSecret`: which remote values become which keys of one Secret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::StoreRef;
use super::validation;

/// What an `ExternalCloudSecret` asks for.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cloudsecrets.dev",
    version = "v1alpha1",
    kind = "ExternalCloudSecret",
    plural = "externalcloudsecrets",
    namespaced,
    shortname = "xcs",
    category = "cloudsecrets",
    status = "ExternalCloudSecretStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "Names values in cloud secret stores that are fetched, kept fresh and written into one Secret.",
    printcolumn(
        name = "Store",
        type_ = "string",
        json_path = ".spec.secretStoreRef.name",
        description = "The store of entries that name none"
    ),
    printcolumn(
        name = "Secret",
        type_ = "string",
        json_path = ".status.secretName",
        description = "The Secret that is written"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether a Secret for this generation exists"
    ),
    printcolumn(
        name = "Fresh",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Fresh\")].status",
        description = "Whether the last due refresh worked"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Fresh\")].reason",
        description = "Why the last due refresh worked or not"
    ),
    printcolumn(
        name = "Changed",
        type_ = "date",
        json_path = ".status.changedTime",
        description = "Time since the Secret's data last changed"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    )
)]
#[x_kube(validation = validation::every_entry_has_a_store())]
#[serde(rename_all = "camelCase")]
pub struct ExternalCloudSecretSpec {
    /// The store of all entries that do not name their own. Required unless every entry has a
    /// sourceRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_store_ref: Option<StoreRef>,

    /// How often the remote values are read: hours, minutes and seconds such as 90s, 1h or 1h30m,
    /// from 10s to 8760h. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(
        validation = validation::interval_form(),
        validation = validation::interval_length()
    )]
    pub refresh_interval: Option<String>,

    /// Stops fetching, writing and repairing while true; the Secret stays. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// The Secret that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,

    /// One key of the Secret per entry, 1 to 256 entries. All are written, or none.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["secretKey"])
    )]
    pub data: Vec<DataEntry>,
}

/// The Secret that is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The Secret's name, at most 253 characters. Default: this object's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::SUBDOMAIN)
    )]
    pub name: Option<String>,

    /// Owner makes a Secret that goes when this object goes; a Secret that someone else made is
    /// never touched. Default: Owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CreationPolicy")]
    pub creation_policy: Option<CreationPolicy>,
}

/// How the Secret comes to be and with what it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CreationPolicy {
    /// We make it, and it goes with the object.
    #[default]
    Owner,
}

/// One key of the Secret, and the remote value behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataEntry {
    /// The key in the Secret: letters, digits, `-`, `_` and `.`, at most 253 characters. Each key
    /// is given once.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::SECRET_KEY)
    )]
    pub secret_key: String,

    /// The remote value.
    pub remote_ref: RemoteRef,

    /// Where this entry is read, in place of spec.secretStoreRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
}

/// A value in a cloud secret store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::version_or_stage())]
pub struct RemoteRef {
    /// The name of the secret or parameter in the cloud, at most 512 characters.
    #[schemars(length(min = 1, max = 512), regex(pattern = validation::PLAIN_TEXT))]
    pub key: String,

    /// The version to read, in the cloud's own terms: for OOS a ParameterVersion, an integer from 1;
    /// for KMS a VersionId, of a secret that KMS does not rotate itself. At most 64 characters.
    /// Default: the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = validation::ONE_WORD))]
    pub version: Option<String>,

    /// The stage to read, where the cloud has stages: for KMS a VersionStage such as ACSPrevious. In
    /// place of version, never beside it. At most 64 characters. Default: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = validation::ONE_WORD))]
    pub stage: Option<String>,

    /// Takes one part of a JSON value: a top-level key of this very name, else a walk along dots, in
    /// which `\.` is a dot inside a name and numbers index arrays. A part that is not there is an
    /// error. At most 1024 characters. Default: the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub property: Option<String>,
}

/// Where one entry is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceRef {
    /// The store of this entry.
    pub store_ref: StoreRef,
}

/// What the operator last saw and did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalCloudSecretStatus {
    /// The metadata.generation that this status is about; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The object's conditions. Ready: a Secret that satisfies this generation exists. Fresh: the
    /// last due refresh worked. Stalled, present only when true: not Ready, and only a change by
    /// the user can help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The name of the Secret that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,

    /// When the Secret's data last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_time: Option<Time>,

    /// The last value of the annotation cloudsecrets.dev/refresh that was acted on; of more than 64
    /// bytes as sha256:DIGEST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub last_handled_refresh: Option<String>,

    /// What each entry last gave, for the first 100 entries. Never a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub entries: Vec<EntryStatus>,

    /// How many entries there are in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries_total: Option<i32>,
}

/// What one entry last gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// The store that was read, as KIND/NAME.
    pub store: String,

    /// The region that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,

    /// The name of the secret or parameter in the cloud.
    pub key: String,

    /// The version in use, as the cloud told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// When this entry's value last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Time>,

    /// A keyed digest of the value: it changes with the value and tells nothing about it.
    pub digest: String,
}

// === impl ExternalCloudSecret ===

impl ExternalCloudSecret {
    /// The name of the Secret, with the default applied.
    pub fn target_name(&self) -> String {
        self.spec
            .target
            .as_ref()
            .and_then(|target| target.name.clone())
            .unwrap_or_else(|| self.name_any())
    }
}

// === impl ExternalCloudSecretSpec ===

impl ExternalCloudSecretSpec {
    /// The stores that are named, in the order of the entries that are read from them.
    pub fn stores(&self) -> impl Iterator<Item = &StoreRef> {
        self.data.iter().filter_map(|entry| self.store_of(entry))
    }

    /// The store that `entry` is read from: its own, else the object's. `None` only in an object
    /// that the API server should have refused.
    pub fn store_of<'a>(&'a self, entry: &'a DataEntry) -> Option<&'a StoreRef> {
        entry
            .source_ref
            .as_ref()
            .map(|source| &source.store_ref)
            .or(self.secret_store_ref.as_ref())
    }
}
