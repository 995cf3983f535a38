//! STS: says whose credentials these are.

use serde::Deserialize;

use super::call::{Api, Gateway};
use super::code;
use crate::credential::Credentials;
use crate::provider::endpoint::Endpoint;
use crate::provider::{CallError, Edge};

/// The STS API.
const API: Api = Api {
    name: "sts",
    version: "2018-08-13",
    table: code::STS,
};

/// STS at one endpoint, asked about one region.
#[derive(Clone)]
pub struct Sts {
    gateway: Gateway,
}

/// Who we are to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Caller {
    /// The number (uin) of the account.
    pub account_id: String,
    /// Such as `CAMUser` or `CAMRole`.
    #[serde(rename = "Type")]
    pub kind: Option<String>,
    /// The user's or the role session's name in full.
    pub arn: Option<String>,
}

// === impl Sts ===

impl Sts {
    /// STS at `endpoint`, asked about `region`.
    pub fn new(endpoint: Endpoint, region: &str, edge: Edge) -> Self {
        Self {
            gateway: Gateway::new(edge, endpoint, API, region),
        }
    }

    /// Says whose `credentials` are. It needs no permission.
    ///
    /// # Errors
    /// The class of STS's code.
    pub async fn caller(&self, credentials: &Credentials) -> Result<Caller, CallError> {
        let nothing = serde_json::Map::new();
        self.gateway
            .signed(credentials, "GetCallerIdentity", &nothing)
            .await
    }
}
