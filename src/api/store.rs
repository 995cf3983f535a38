//! Stores: a place in a cloud, the identity that reads it, and who may use it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::auth::AuthSpec;
use super::provider::ProviderSpec;
use super::validation;

/// What a store for its own namespace says.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cloudsecrets.dev",
    version = "v1alpha1",
    kind = "CloudSecretStore",
    plural = "cloudsecretstores",
    namespaced,
    shortname = "xstore",
    category = "cloudsecrets",
    status = "StoreStatus",
    derive = "PartialEq",
    doc = "A place in a cloud that holds secrets, and the identity that reads it. Usable by ExternalCloudSecrets of the same namespace only.",
    printcolumn(
        name = "Region",
        type_ = "string",
        json_path = ".spec.provider.*.region",
        description = "The cloud region"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the spec and the identity resolve"
    ),
    printcolumn(
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Reachable\")].status",
        description = "Whether the endpoint answers, as far as calls tell"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    )
)]
#[x_kube(
    validation = validation::rrsa_on_alibaba(),
    validation = validation::web_identity_on_tencent(),
    validation = validation::role_of_the_cloud(),
    validation = validation::own_namespace("auth.rrsa.serviceAccountRef"),
    validation = validation::own_namespace("auth.webIdentity.serviceAccountRef"),
    validation = validation::own_namespace("auth.accessKey.accessKeyIdSecretRef"),
    validation = validation::own_namespace("auth.accessKey.accessKeySecretSecretRef"),
    validation = validation::own_namespace("auth.accessKey.securityTokenSecretRef"),
    validation = validation::no_namespace("provider.kms.instance.caBundleRef")
)]
#[serde(rename_all = "camelCase")]
pub struct CloudSecretStoreSpec {
    /// The cloud service that is read. Exactly one member is set. All references in it resolve in the
    /// store's own namespace.
    pub provider: ProviderSpec,

    /// The identity that reads it. Required, with exactly one source. All references in it resolve
    /// in the store's own namespace.
    pub auth: AuthSpec,

    /// Limits for all who use this store. They only tighten what the operator allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsSpec>,

    /// Makes no cloud call through this store while true. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// The operator that serves this store, and with it the objects that read through it: the one whose
    /// --controller-class this is, at most 63 characters. Absent: the operator without a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = validation::LABEL)
    )]
    pub controller: Option<String>,
}

/// What a store for many namespaces says.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "cloudsecrets.dev",
    version = "v1alpha1",
    kind = "ClusterCloudSecretStore",
    plural = "clustercloudsecretstores",
    shortname = "cxstore",
    category = "cloudsecrets",
    status = "StoreStatus",
    derive = "PartialEq",
    doc = "A place in a cloud that holds secrets, and the identity that reads it. Usable from the namespaces that its conditions admit.",
    printcolumn(
        name = "Region",
        type_ = "string",
        json_path = ".spec.provider.*.region",
        description = "The cloud region"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the spec and the identity resolve"
    ),
    printcolumn(
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Reachable\")].status",
        description = "Whether the endpoint answers, as far as calls tell"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    )
)]
#[x_kube(
    validation = validation::rrsa_on_alibaba(),
    validation = validation::web_identity_on_tencent(),
    validation = validation::role_of_the_cloud(),
    validation = validation::said_namespace("auth.rrsa.serviceAccountRef"),
    validation = validation::said_namespace("auth.webIdentity.serviceAccountRef"),
    validation = validation::said_namespace("auth.accessKey.accessKeyIdSecretRef"),
    validation = validation::said_namespace("auth.accessKey.accessKeySecretSecretRef"),
    validation = validation::said_namespace("auth.accessKey.securityTokenSecretRef"),
    validation = validation::some_fixed_namespace("provider.kms.instance.caBundleRef")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCloudSecretStoreSpec {
    /// The cloud service that is read. Exactly one member is set. Each reference in it names its
    /// namespace.
    pub provider: ProviderSpec,

    /// The identity that reads it. Required, with exactly one source. Each reference in it has
    /// either a namespace or fromConsumer: true.
    pub auth: AuthSpec,

    /// Limits for all who use this store. They only tighten what the operator allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsSpec>,

    /// Makes no cloud call through this store while true. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// The operator that serves this store, and with it the objects that read through it: the one whose
    /// --controller-class this is, at most 63 characters. Absent: the operator without a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = validation::LABEL)
    )]
    pub controller: Option<String>,

    /// Who may use this store, and for which keys. Any match admits. To admit every namespace, say
    /// `[{namespaceSelector: {}}]`. 1 to 64 conditions.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub conditions: Vec<StoreCondition>,
}

/// Limits for all who use a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsSpec {
    /// The shortest refreshInterval that this store serves; objects that ask for less get this.
    /// Hours, minutes and seconds such as 10m or 1h30m, from 10s to 8760h. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(
        validation = validation::interval_form(),
        validation = validation::interval_length()
    )]
    pub min_refresh_interval: Option<String>,

    /// The most calls a second of each identity that reads through the store, in each region, 1 to
    /// 1000; with fromConsumer every namespace has an identity. It only lowers what the operator
    /// allows itself of the account's quota, which all identities of the account share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: Option<i32>,

    /// The most calls at once of each identity that reads through the store, in each region, 1 to 64.
    /// It only lowers what the operator allows itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: Option<i32>,
}

/// A set of namespaces, and the keys they may read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::some_namespace())]
pub struct StoreCondition {
    /// Namespaces admitted by name, 1 to 256. A namespace that is in this list or matches
    /// namespaceSelector is admitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 256),
        inner(length(min = 1, max = 63), regex(pattern = validation::LABEL)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub namespaces: Vec<String>,

    /// Namespaces admitted by their labels. An empty selector admits every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub namespace_selector: Option<LabelSelector>,

    /// Patterns of the keys that these namespaces may read, 1 to 64 of at most 512 characters. A
    /// pattern covers the whole key: `*` stands for any characters except `/`, `**` for any
    /// characters (at most 16 of both), `{namespace}` for the namespace of the object that reads; all
    /// else is literal. A key that is an ARN, such as another account's KMS secret, needs a pattern
    /// that begins with acs:. Absent: every key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 512), regex(pattern = validation::KEY_PATTERN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub keys: Vec<String>,
}

/// What the operator last saw of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// The metadata.generation that this status is about; -1 before the operator has seen the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The store's conditions. Ready: the spec and the identity resolve. Reachable: no outage of the
    /// endpoint is known. Stalled, present only when true: only a change of the spec can help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The last value of the annotation cloudsecrets.dev/refresh for which everything was read anew
    /// that is read through this store; of more than 64 bytes as sha256:DIGEST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub last_handled_refresh: Option<String>,
}
