//! How a cloud says no.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

/// An answer other than success: a status, a code, and a message for people.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) denied: Option<Value>,
    pub(crate) retry_after: Option<Duration>,
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            denied: None,
            retry_after: None,
        }
    }

    /// A mandatory parameter or header is not there.
    pub(crate) fn missing(name: &str) -> Self {
        Self::new(
            400,
            "MissingParameter",
            format!(
                "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
            ),
        )
    }

    /// A parameter has a value that the action does not take. The message never repeats the value.
    pub(crate) fn invalid(name: &str, why: &str) -> Self {
        Self::new(
            400,
            "InvalidParameter",
            format!("The parameter \"{name}\" is not valid: {why}."),
        )
    }

    /// The product has no such action.
    pub(crate) fn no_such_action() -> Self {
        Self::new(
            404,
            "InvalidApi.NotFound",
            "Specified api is not found, please check your url and method.",
        )
    }

    /// The same refusal of a cloud that says it in the body alone, with the status of success.
    pub(crate) fn in_body(self) -> Self {
        Self {
            status: 200,
            ..self
        }
    }

    /// The error body of the POP gateway.
    pub(crate) fn body(&self, request_id: &str, host: &str) -> Value {
        let mut body = json!({
            "RequestId": request_id,
            "HostId": host,
            "Code": self.code,
            "Message": self.message,
            "Recommend": format!("https://api.aliyun.com/troubleshoot?q={}", self.code),
        });
        if let Some(denied) = &self.denied {
            body["AccessDeniedDetail"] = denied.clone();
        }
        body
    }
}
