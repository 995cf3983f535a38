//! STS: exchanges a token or other credentials for a role's, and says whose credentials these are.
//!
//! It caches nothing: the [`credential`](crate::credential) cache does.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::call::{Api, Gateway};
use super::code;
use crate::credential::{Credentials, TencentKey};
use crate::provider::endpoint::Endpoint;
use crate::provider::{CallError, Class, Detail, Edge};

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
    edge: Edge,
}

/// What `AssumeRoleWithWebIdentity` takes. It knows no policy.
#[derive(Debug, Clone, Copy)]
pub struct AssumeRoleWithWebIdentity<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// The name of the OIDC provider that issued the token.
    pub provider_id: &'a str,
    /// Names the session in the cloud's audit log: 2 to 128 of `[A-Za-z0-9_+=,.@-]`.
    pub session_name: &'a str,
    /// How long the credentials shall live, at most 43200 s; absent: 7200 s.
    pub duration_seconds: Option<u32>,
    /// The token. It travels in the request's body only.
    pub token: &'a SecretString,
}

/// What `AssumeRole` takes.
#[derive(Debug, Clone, Copy)]
pub struct AssumeRole<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// What the role's owner asks callers to say: 2 to 128 of `[A-Za-z0-9_+=,.@:/-]`.
    pub external_id: Option<&'a str>,
    /// Names the session in the cloud's audit log: 2 to 128 of `[A-Za-z0-9_+=,.@-]`.
    pub session_name: &'a str,
    /// How long the credentials shall live, at most 43200 s; absent: 7200 s.
    pub duration_seconds: Option<u32>,
    /// A policy in JSON that narrows the role's, without a principal.
    pub policy: Option<&'a str>,
}

/// Who we are to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Caller {
    /// The number (uin) of the account that everything belongs to.
    pub account_id: String,
    /// Of an account's or a user's own key, the number (uin) of that account or user.
    pub user_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ByToken<'a> {
    provider_id: &'a str,
    web_identity_token: &'a str,
    role_arn: &'a str,
    role_session_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ByKey<'a> {
    role_arn: &'a str,
    role_session_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    request_id: Option<String>,
    credentials: TencentKey,
    expired_time: i64,
}

// === impl Sts ===

impl Sts {
    /// STS at `endpoint`, asked about `region`.
    pub fn new(endpoint: Endpoint, region: &str, edge: Edge) -> Self {
        Self {
            gateway: Gateway::new(edge.clone(), endpoint, API, region),
            edge,
        }
    }

    /// Exchanges a token for the credentials of a role. The call is not signed.
    ///
    /// # Errors
    /// The class of STS's code; [`Class::Protocol`] for an answer without usable credentials.
    pub async fn assume_role_with_web_identity(
        &self,
        request: &AssumeRoleWithWebIdentity<'_>,
    ) -> Result<Credentials, CallError> {
        let request = ByToken {
            provider_id: request.provider_id,
            web_identity_token: request.token.expose_secret(),
            role_arn: request.role_arn,
            role_session_name: request.session_name,
            duration_seconds: request.duration_seconds,
        };
        let action = "AssumeRoleWithWebIdentity";
        self.usable(self.gateway.unsigned(action, &request).await?)
    }

    /// Enters a role as the holder of `caller`. The call is signed.
    ///
    /// # Errors
    /// The class of STS's code; [`Class::Protocol`] for an answer without usable credentials.
    pub async fn assume_role(
        &self,
        caller: &Credentials,
        request: &AssumeRole<'_>,
    ) -> Result<Credentials, CallError> {
        let request = ByKey {
            role_arn: request.role_arn,
            role_session_name: request.session_name,
            duration_seconds: request.duration_seconds,
            policy: request.policy.map(encoded),
            external_id: request.external_id,
        };
        let assumed = self.gateway.signed(caller, "AssumeRole", &request);
        self.usable(assumed.await?)
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

    fn usable(&self, assumed: Assumed) -> Result<Credentials, CallError> {
        let (key, ends) = (assumed.credentials, assumed.expired_time);
        let credentials = key.into_credentials(ends, self.edge.clock.now());
        credentials.map_err(|problem| {
            CallError::new(Class::Protocol, "UnusableCredentials")
                .with_detail(Detail::Fixed(problem))
                .with_request_id(assumed.request_id.as_deref())
        })
    }
}

// === impl Caller ===

impl Caller {
    /// Whether it is the account itself, which may do anything and cannot be restrained: its own number
    /// is then the one that everything belongs to (page `GetCallerIdentity` of STS's API reference).
    pub fn is_root(&self) -> bool {
        self.user_id.as_deref() == Some(&*self.account_id)
    }
}

/// A policy as the parameter wants it: encoded for a URL, although it travels in JSON.
fn encoded(policy: &str) -> String {
    let text: String = form_urlencoded::byte_serialize(policy.as_bytes()).collect();
    // A space is the one character that forms write otherwise, and not every decoder knows that.
    text.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_encoded_for_a_url() {
        let policy = r#"{"version": "2.0", "x+y": "é"}"#;
        let expected = "%7B%22version%22%3A%20%222.0%22%2C%20%22x%2By%22%3A%20%22%C3%A9%22%7D";
        assert_eq!(encoded(policy), expected);
    }

    #[test]
    fn only_the_account_itself_is_its_own_user() {
        let caller = |text: &str| serde_json::from_str::<Caller>(text).unwrap();
        for (user, root) in [
            (r#","UserId":"100000000001""#, true),
            (r#","UserId":"100000000002""#, false),
            (r#","UserId":"4611686018427397920:shop""#, false),
            ("", false),
        ] {
            let text = format!(r#"{{"AccountId":"100000000001"{user}}}"#);
            assert_eq!(caller(&text).is_root(), root, "{text}");
        }
    }
}
