//! Who may be asked on the operator's own machine: the instance's metadata service, and a URL that the
//! operator's environment names. Neither goes through a proxy, and no tenant chooses where it is.

use std::sync::Arc;

use serde::Deserialize;

use super::{Credentials, Issued};
use crate::clock::Clock;
use crate::http::{DirectClient, Response};
use crate::provider::{CallError, Class, Detail};

/// Whether and how the instance's metadata service is asked.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// Where it is, in tests: a scheme and an authority. Absent: where each cloud has its own.
    pub url: Option<String>,
    /// Whether the first version of a protocol, which knows no token, is tried where the second does
    /// not answer.
    pub allow_v1: bool,
}

/// What metadata services answer beside credentials.
#[derive(Deserialize)]
struct Outcome {
    #[serde(rename = "Code")]
    code: Option<String>,
}

/// Those who may be asked.
#[derive(Clone)]
pub struct Surroundings {
    pub(super) http: DirectClient,
    pub(super) clock: Arc<dyn Clock>,
    metadata: Option<Metadata>,
}

// === impl Surroundings ===

impl Surroundings {
    /// Those around us, metadata services only where `metadata` says how.
    pub fn new(http: DirectClient, clock: Arc<dyn Clock>, metadata: Option<Metadata>) -> Self {
        Self {
            http,
            clock,
            metadata,
        }
    }

    /// How metadata services are asked.
    ///
    /// # Errors
    /// [`Class::Unauthenticated`] where they may not be.
    pub(super) fn metadata(&self) -> Result<&Metadata, CallError> {
        self.metadata.as_ref().ok_or_else(|| {
            let detail = "instance roles are off: run the operator with --enable-instance-role";
            let class = Class::Unauthenticated;
            failure(class, "InstanceRoleDisabled", detail)
        })
    }

    /// What the metadata service answers at `url`, asked with `header`; `absent` says that nobody
    /// does.
    ///
    /// # Errors
    /// [`Class::Unauthenticated`] where there is no such role or it may not be asked for,
    /// [`Class::Unavailable`] where nobody answers.
    pub(super) async fn read(
        &self,
        url: &str,
        header: Option<(&'static str, &str)>,
        absent: &'static str,
    ) -> Result<Response, CallError> {
        let answer = self.http.get(url, header).await;
        let answer = answer.map_err(|error| unanswered(&error, absent))?;
        let detail = match answer.status {
            200..300 => return Ok(answer),
            404 => "this instance has no such role",
            _ => "the metadata service refuses to answer",
        };
        let class = match answer.status {
            404 => Class::Unauthenticated,
            status => by_status(status),
        };
        let code = format!("InstanceRole.Http{}", answer.status);
        Err(failure(class, &code, detail))
    }

    /// The credentials in an answer of `source`, which says in its `Code` whether it is a success; one
    /// without a code is where `silent_success` says so.
    ///
    /// # Errors
    /// What is wrong with them, in words that hold nothing of them.
    pub(super) fn credentials<I: Issued>(
        &self,
        source: &str,
        answer: &Response,
        silent_success: bool,
    ) -> Result<Credentials, CallError> {
        let unusable = |problem| failure(Class::Protocol, &format!("{source}.Unusable"), problem);
        // The text of a JSON error may quote the body.
        let outcome = serde_json::from_slice::<Outcome>(&answer.body)
            .map_err(|_| unusable("the answer is not what it should be"))?;
        let success = outcome
            .code
            .map_or(silent_success, |code| code == "Success");
        if !success {
            let detail = "the answer says that there are no credentials";
            let code = format!("{source}.Refused");
            return Err(failure(Class::Unauthenticated, &code, detail));
        }
        serde_json::from_slice::<I>(&answer.body)
            .map_err(|_| unusable("the credentials are incomplete"))?
            .into_credentials(self.clock.now())
            .map_err(unusable)
    }
}

/// What an answer that is not a success says about the identity.
pub(super) fn by_status(status: u16) -> Class {
    match status {
        408 | 429 | 500.. => Class::Unavailable,
        _ => Class::Unauthenticated,
    }
}

/// The error of a metadata service that does not answer; `absent` says so.
pub(super) fn unanswered(error: &CallError, absent: &'static str) -> CallError {
    let code = format!("InstanceRole.{}", error.code());
    failure(error.class, &code, absent)
}

pub(super) fn failure(class: Class, code: &str, detail: &'static str) -> CallError {
    CallError::new(class, code).with_detail(Detail::Fixed(detail))
}

/// Whether `name` can be a role's, and not a path to something else.
pub(super) fn is_role_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed) && name != "." && name != ".."
}
