//! Who may be asked on the operator's own machine: the instance's metadata service, and the URL of
//! `ALIBABA_CLOUD_CREDENTIALS_URI`. Neither goes through a proxy, and no tenant chooses where it is.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Credentials, Issued};
use crate::clock::Clock;
use crate::http::{DirectClient, Response};
use crate::provider::{CallError, Class, Detail};

/// Where instances of Alibaba Cloud ask about themselves.
pub const METADATA: &str = "http://100.100.100.200";

/// How long a token of the metadata service is asked to live. It is used for one exchange.
const TOKEN_SECONDS: &str = "60";
const TOKEN_TTL: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aliyun-ecs-metadata-token";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";

/// Whether and how the instance's metadata service is asked.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// Where it is: a scheme and an authority, [`METADATA`] but in tests.
    pub url: String,
    /// Whether the first version of its protocol, which knows no token, is tried where the second
    /// does not answer.
    pub allow_v1: bool,
}

/// Those who may be asked.
#[derive(Clone)]
pub struct Surroundings {
    http: DirectClient,
    clock: Arc<dyn Clock>,
    metadata: Option<Metadata>,
}

/// What both answer beside credentials.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Code")]
    code: Option<String>,
}

// === impl Surroundings ===

impl Surroundings {
    /// Those around us, the metadata service only where `metadata` says how.
    pub fn new(http: DirectClient, clock: Arc<dyn Clock>, metadata: Option<Metadata>) -> Self {
        Self {
            http,
            clock,
            metadata,
        }
    }

    /// Credentials of the instance's role: the one of this name, else whichever it has.
    ///
    /// # Errors
    /// [`Class::Unauthenticated`] where there is no such role or it may not be asked for,
    /// [`Class::Unavailable`] where nobody answers.
    pub(super) async fn instance_role(&self, name: Option<&str>) -> Result<Credentials, CallError> {
        let Some(metadata) = &self.metadata else {
            let detail = "instance roles are off: run the operator with --enable-instance-role";
            return Err(failure(
                Class::Unauthenticated,
                "InstanceRoleDisabled",
                detail,
            ));
        };
        let token = self.token(metadata).await?;
        let token = token.as_ref().map(ExposeSecret::expose_secret);
        let discovered;
        let name = if let Some(name) = name {
            name
        } else {
            let listed = self.read(metadata, ROLES, token).await?;
            discovered = String::from_utf8_lossy(&listed.body).trim().to_owned();
            &discovered
        };
        if !is_role_name(name) {
            let detail = "the metadata service names no role of this instance";
            return Err(failure(Class::Protocol, "InstanceRole.Name", detail));
        }
        let answer = self
            .read(metadata, &format!("{ROLES}{name}"), token)
            .await?;
        self.credentials("InstanceRole", &answer)
    }

    /// Credentials from a URL.
    ///
    /// # Errors
    /// What it did instead of answering with some.
    pub(super) async fn credentials_uri(&self, url: &str) -> Result<Credentials, CallError> {
        let answer = self.http.get(url, None).await.map_err(|error| {
            let detail = "ALIBABA_CLOUD_CREDENTIALS_URI cannot be read";
            error.with_detail(Detail::Fixed(detail))
        })?;
        if answer.status / 100 != 2 {
            let detail = "ALIBABA_CLOUD_CREDENTIALS_URI answers with an error";
            let class = by_status(answer.status);
            return Err(failure(
                class,
                &format!("CredentialsUri.Http{}", answer.status),
                detail,
            ));
        }
        self.credentials("CredentialsUri", &answer)
    }

    /// A token of the metadata service; none where only its first version may and can be used.
    async fn token(&self, metadata: &Metadata) -> Result<Option<SecretString>, CallError> {
        let url = format!("{}/latest/api/token", metadata.url);
        let answer = self.http.put(&url, Some((TOKEN_TTL, TOKEN_SECONDS))).await;
        let token = match &answer {
            Ok(answer) if answer.status / 100 == 2 => std::str::from_utf8(&answer.body)
                .ok()
                .map(str::trim)
                .filter(|token| !token.is_empty()),
            // Nobody is there, in whatever version.
            Err(error) if error.code() == "ConnectionFailed" => return Err(absent(error)),
            _ => None,
        };
        match (token, &answer) {
            (Some(token), _) => Ok(Some(SecretString::from(token))),
            (None, _) if metadata.allow_v1 => Ok(None),
            (None, Err(error)) => Err(absent(error)),
            (None, Ok(_)) => {
                let detail = "the metadata service gives no token, and its first version is \
                              disabled by ALIBABA_CLOUD_IMDSV1_DISABLED";
                Err(failure(
                    Class::Unauthenticated,
                    "InstanceRole.Token",
                    detail,
                ))
            }
        }
    }

    async fn read(
        &self,
        metadata: &Metadata,
        path: &str,
        token: Option<&str>,
    ) -> Result<Response, CallError> {
        let url = format!("{}{path}", metadata.url);
        let header = token.map(|token| (TOKEN, token));
        let answer = self.http.get(&url, header).await;
        let answer = answer.map_err(|error| absent(&error))?;
        let detail = match answer.status {
            200..300 => return Ok(answer),
            404 => "this instance has no such role",
            _ => "the metadata service refuses to answer",
        };
        let class = match answer.status {
            404 => Class::Unauthenticated,
            status => by_status(status),
        };
        Err(failure(
            class,
            &format!("InstanceRole.Http{}", answer.status),
            detail,
        ))
    }

    fn credentials(&self, source: &str, answer: &Response) -> Result<Credentials, CallError> {
        let unusable = |problem| failure(Class::Protocol, &format!("{source}.Unusable"), problem);
        // The text of a JSON error may quote the body.
        let outcome = serde_json::from_slice::<Answer>(&answer.body)
            .map_err(|_| unusable("the answer is not what it should be"))?;
        if outcome.code.is_some_and(|code| code != "Success") {
            let detail = "the answer says that there are no credentials";
            let code = format!("{source}.Refused");
            return Err(failure(Class::Unauthenticated, &code, detail));
        }
        serde_json::from_slice::<Issued>(&answer.body)
            .map_err(|_| unusable("the credentials are incomplete"))?
            .into_credentials(self.clock.now())
            .map_err(unusable)
    }
}

/// What an answer that is not a success says about the identity.
fn by_status(status: u16) -> Class {
    match status {
        408 | 429 | 500.. => Class::Unavailable,
        _ => Class::Unauthenticated,
    }
}

fn absent(error: &CallError) -> CallError {
    let detail =
        "no instance metadata service answers: is this an ECS instance, and may Pods reach it?";
    failure(
        error.class,
        &format!("InstanceRole.{}", error.code()),
        detail,
    )
}

fn failure(class: Class, code: &str, detail: &'static str) -> CallError {
    CallError::new(class, code).with_detail(Detail::Fixed(detail))
}

/// Whether `name` can be a role's, and not a path to something else.
pub(super) fn is_role_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed) && name != "." && name != ".."
}

#[cfg(test)]
mod tests;
