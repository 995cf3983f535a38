//! A client of the admin API, for a simulator in another process.

use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

use crate::admin::{AccessKeySpec, ParameterSpec};
use crate::cloud::ParameterInfo;
use crate::fault::{ActiveFault, Fault};
use crate::ledger::{Filter, LedgerView};
use crate::seed::{OidcProvider, Parameter, Role};

mod identity;
mod kms;
mod tencent;

pub use tencent::TencentAdmin;

/// The admin API at a URL. Its operations are those of [`Simulator`](crate::Simulator).
#[derive(Debug, Clone)]
pub struct Admin {
    url: String,
    client: reqwest::Client,
}

/// Why an admin call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The client cannot be made, or the simulator does not answer as it should.
    #[error("the simulator does not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The simulator refuses.
    #[error("the simulator refuses: {0}")]
    Refused(String),
}

// === impl Admin ===

impl Admin {
    /// A client for the simulator at this URL, such as `http://127.0.0.1:8080`.
    pub fn new(url: impl Into<String>) -> Result<Self, AdminError> {
        // Somebody may have installed a provider already, and that is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .no_proxy()
            .build()?;
        let url = url.into().trim_end_matches('/').to_owned();
        Ok(Self { url, client })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &impl Serialize,
        body: Option<&impl Serialize>,
    ) -> Result<T, AdminError> {
        let mut request = self
            .client
            .request(method, format!("{}/_sim/{path}", self.url))
            .query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        if response.status().is_success() {
            return Ok(response.json().await?);
        }
        let status = response.status();
        let body: Value = response.json().await.unwrap_or_default();
        Err(AdminError::Refused(
            body["error"]
                .as_str()
                .map_or_else(|| status.to_string(), str::to_owned),
        ))
    }

    async fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.call(Method::GET, path, &(), None::<&()>).await
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, AdminError> {
        self.call(Method::POST, path, &(), Some(body)).await
    }

    async fn delete(&self, path: &str, query: &impl Serialize) -> Result<(), AdminError> {
        self.call::<Value>(Method::DELETE, path, query, None::<&()>)
            .await
            .map(drop)
    }

    /// Succeeds once the simulator answers.
    pub async fn health(&self) -> Result<(), AdminError> {
        self.get("health").await.map(drop)
    }

    /// Adds a version to a parameter of the first account in the seed's region; returns its number.
    pub async fn put_parameter(&self, name: &str, value: &str) -> Result<usize, AdminError> {
        let spec = ParameterSpec {
            account: None,
            region: None,
            name: name.to_owned(),
            value: value.into(),
        };
        self.put_parameter_spec(&spec).await
    }

    /// Adds a version to a parameter of any account and region; returns its number.
    pub async fn put_parameter_spec(&self, spec: &ParameterSpec) -> Result<usize, AdminError> {
        let answer = self.post("parameters", spec).await?;
        Ok(answer["version"]
            .as_u64()
            .and_then(|version| usize::try_from(version).ok())
            .unwrap_or_default())
    }

    /// Deletes a parameter of the first account in the seed's region.
    pub async fn delete_parameter(&self, name: &str) -> Result<(), AdminError> {
        self.delete("parameters", &[("name", name)]).await
    }

    /// Adds a version to a plain parameter of the first account, or makes it.
    pub async fn put_plain_parameter(&self, parameter: &Parameter) -> Result<(), AdminError> {
        self.post("plain-parameters", parameter).await.map(drop)
    }

    /// Deletes a plain parameter of the first account in the seed's region.
    pub async fn delete_plain_parameter(&self, name: &str) -> Result<(), AdminError> {
        self.delete("plain-parameters", &[("name", name)]).await
    }

    /// All secret parameters, without values.
    pub async fn parameters(&self) -> Result<Vec<ParameterInfo>, AdminError> {
        Ok(list(self.get("parameters").await?, "parameters"))
    }

    /// Adds or replaces a long-lived access key.
    pub async fn put_key(&self, spec: &AccessKeySpec) -> Result<(), AdminError> {
        self.post("keys", spec).await.map(drop)
    }

    /// Revokes an access key, long-lived or issued.
    pub async fn revoke_key(&self, id: &str) -> Result<(), AdminError> {
        self.post("keys/revoke", &json!({ "id": id }))
            .await
            .map(drop)
    }

    /// Takes a revocation back.
    pub async fn restore_key(&self, id: &str) -> Result<(), AdminError> {
        self.post("keys/restore", &json!({ "id": id }))
            .await
            .map(drop)
    }

    /// Revokes all living sessions of a role; returns how many.
    pub async fn revoke_sessions(&self, role: &str) -> Result<u64, AdminError> {
        let answer = self
            .post("sessions/revoke", &json!({ "role": role }))
            .await?;
        Ok(answer["revoked"].as_u64().unwrap_or_default())
    }

    /// Adds or replaces a role of the first account; returns its ARN.
    pub async fn put_role(&self, role: &Role) -> Result<String, AdminError> {
        Ok(arn(&self.post("roles", role).await?))
    }

    /// Deletes a role, given by ARN or by name.
    pub async fn delete_role(&self, role: &str) -> Result<(), AdminError> {
        self.delete("roles", &[("name", role)]).await
    }

    /// Adds or replaces an OIDC provider of the first account; returns its ARN.
    pub async fn put_oidc_provider(&self, provider: &OidcProvider) -> Result<String, AdminError> {
        Ok(arn(&self.post("oidc-providers", provider).await?))
    }

    /// Deletes an OIDC provider, given by ARN or by name.
    pub async fn delete_oidc_provider(&self, provider: &str) -> Result<(), AdminError> {
        self.delete("oidc-providers", &[("name", provider)]).await
    }

    /// Overrides how many seconds credentials live that are issued from now on; `None` ends that.
    pub async fn set_credential_lifetime(&self, seconds: Option<f64>) -> Result<(), AdminError> {
        self.post("credential-lifetime", &json!({ "seconds": seconds }))
            .await
            .map(drop)
    }

    /// Puts a fault in force; returns its number.
    pub async fn add_fault(&self, fault: &Fault) -> Result<u64, AdminError> {
        Ok(self.post("faults", fault).await?["id"]
            .as_u64()
            .unwrap_or_default())
    }

    /// The faults in force.
    pub async fn faults(&self) -> Result<Vec<ActiveFault>, AdminError> {
        Ok(list(self.get("faults").await?, "faults"))
    }

    /// Clears one fault.
    pub async fn clear_fault(&self, id: u64) -> Result<(), AdminError> {
        self.delete(&format!("faults/{id}"), &()).await
    }

    /// Clears all faults.
    pub async fn clear_faults(&self) -> Result<(), AdminError> {
        self.delete("faults", &()).await
    }

    /// What the ledger says about some calls; [`Filter::default`] means all.
    pub async fn ledger(&self, filter: &Filter) -> Result<LedgerView, AdminError> {
        self.call(Method::GET, "ledger", filter, None::<&()>).await
    }

    /// Forgets all calls.
    pub async fn reset_ledger(&self) -> Result<(), AdminError> {
        self.post("ledger/reset", &json!({})).await.map(drop)
    }
}

fn arn(answer: &Value) -> String {
    answer["arn"].as_str().unwrap_or_default().to_owned()
}

fn list<T: DeserializeOwned>(mut answer: Value, field: &str) -> Vec<T> {
    serde_json::from_value(answer[field].take()).unwrap_or_default()
}
