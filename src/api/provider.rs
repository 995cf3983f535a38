//! Which cloud service a store reads, and where.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::CaBundleRef;
use super::validation;

/// The cloud service that a store reads. Exactly one member is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::one_provider())]
pub struct ProviderSpec {
    /// Alibaba Cloud OOS Parameter Store: its secret parameters, or its plain ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oos: Option<OosSpec>,

    /// Alibaba Cloud KMS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<KmsSpec>,

    /// Tencent Cloud Secrets Manager (SSM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm: Option<SsmSpec>,
}

/// The members of [`ProviderSpec`], of which exactly one is set.
pub const FIELDS: [&str; 3] = ["oos", "kms", "ssm"];

/// What a provider block is told that has none of them, or two.
pub fn exactly_one() -> String {
    format!("must have exactly one of: {}", FIELDS.join(", "))
}

/// Alibaba Cloud OOS Parameter Store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OosSpec {
    /// The region's id, such as cn-hangzhou, at most 32 characters.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = validation::REGION)
    )]
    pub region: String,

    /// Whether the public or the VPC endpoint of the region is called; Vpc works only from inside
    /// that region. Default: Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Network")]
    pub network: Option<Network>,

    /// A URL to call in place of the one that region and network give: https, a host that the
    /// operator allows, no port, path or query. Never used for STS. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::URL)
    )]
    pub endpoint: Option<String>,

    /// Which kind of parameters is read; one name may stand for one of each. Default: Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Parameters")]
    pub parameters: Option<Parameters>,
}

/// The kinds of OOS parameters.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Parameters {
    /// Encrypted parameters.
    #[default]
    Secret,
    /// Parameters in plain text.
    Plain,
}

/// Alibaba Cloud KMS Secrets Manager: the shared gateway of a region, or a dedicated instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::other_regions())]
pub struct KmsSpec {
    /// The region's id, such as cn-hangzhou, at most 32 characters.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = validation::REGION)
    )]
    pub region: String,

    /// Whether the public or the VPC endpoint of the region is called; Vpc works only from inside
    /// that region. Default: Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Network")]
    pub network: Option<Network>,

    /// A URL to call in place of the one that region and network give: https, a host that the
    /// operator allows, no port, path or query. Never used for STS. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::URL)
    )]
    pub endpoint: Option<String>,

    /// The dedicated instance that values are read from, where there is one. Its region is the store's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<KmsInstanceSpec>,

    /// Other regions that keep secrets of the same names, in the order in which they are asked, at most
    /// 2. They are asked only while this region does not answer, and only to make a Secret that is
    /// missing: one that is there is never changed to what another region holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub failover: Option<Vec<KmsFailoverSpec>>,
}

/// Another region of a KMS store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KmsFailoverSpec {
    /// The region's id, such as cn-shanghai, at most 32 characters.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = validation::REGION)
    )]
    pub region: String,

    /// Whether the public or the VPC endpoint of that region is called. Default: Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Network")]
    pub network: Option<Network>,

    /// A URL to call in place of the one that region and network give, as the store's own endpoint is.
    /// At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::URL)
    )]
    pub endpoint: Option<String>,

    /// The dedicated instance of that region, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<KmsInstanceSpec>,
}

/// A dedicated KMS instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::one_ca_bundle())]
pub struct KmsInstanceSpec {
    /// Its host, such as kst-hzz.cryptoservice.kms.aliyuncs.com, reachable from its own VPCs only. At
    /// most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::HOST)
    )]
    pub endpoint: String,

    /// The certificates in PEM that the instance's own may come from, and no others; at most 32768
    /// characters. Default: the chain that Alibaba Cloud publishes for the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32768))]
    pub ca_bundle: Option<String>,

    /// Where these certificates are, in place of caBundle: at most 32768 characters under one key of
    /// a ConfigMap or a Secret. It is watched; what is put there is used at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_ref: Option<CaBundleRef>,
}

/// Tencent Cloud Secrets Manager (SSM).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::no_zone())]
pub struct SsmSpec {
    /// The id of the region that keeps the secrets, such as ap-guangzhou, and not one of its zones
    /// (ap-guangzhou-3); at most 32 characters.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = validation::REGION)
    )]
    pub region: String,

    /// The site whose account it is. Default: China.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Site")]
    pub site: Option<Site>,

    /// Whether the site's endpoint on the internet is called, or the one inside Tencent Cloud's VPCs.
    /// Default: Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Network")]
    pub network: Option<Network>,

    /// A URL to call in place of the one that site and network give: https, a host that the
    /// operator allows, no port, path or query. Never used for STS. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::URL)
    )]
    pub endpoint: Option<String>,
}

/// The sites of Tencent Cloud, which share no accounts.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Site {
    /// cloud.tencent.com.
    #[default]
    China,
    /// The international one, tencentcloud.com.
    International,
}

/// The side of a cloud endpoint that is called.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Network {
    /// The endpoint on the internet.
    #[default]
    Public,
    /// The endpoint inside the region's VPCs.
    Vpc,
}

// === impl OosSpec ===

impl OosSpec {
    /// The kind of parameters, with the default applied.
    pub fn parameters(&self) -> Parameters {
        self.parameters.unwrap_or_default()
    }

    /// The network, with the default applied.
    pub fn network(&self) -> Network {
        self.network.unwrap_or_default()
    }
}

// === impl SsmSpec ===

impl SsmSpec {
    /// The site, with the default applied.
    pub fn site(&self) -> Site {
        self.site.unwrap_or_default()
    }

    /// The network, with the default applied.
    pub fn network(&self) -> Network {
        self.network.unwrap_or_default()
    }
}

// === impl KmsSpec ===

impl KmsSpec {
    /// The network, with the default applied.
    pub fn network(&self) -> Network {
        self.network.unwrap_or_default()
    }

    /// The same store in each of its other regions.
    pub fn elsewhere(&self) -> impl Iterator<Item = Self> {
        self.failover.iter().flatten().cloned().map(|other| Self {
            region: other.region,
            network: other.network,
            endpoint: other.endpoint,
            instance: other.instance,
            failover: None,
        })
    }
}
