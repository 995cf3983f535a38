//! What it means when the API server does not take a Secret, in words that quote nothing of it.

use super::apply::{Fate, WriteError};
use super::problem::Problem;
use crate::api::Reason;

/// What a failed request means. The API server's text may quote what was sent, so that only its
/// reason and our own words are passed on.
pub(super) fn refused_or_passing(error: kube::Error) -> Result<Fate, WriteError> {
    let kube::Error::Api(status) = error else {
        return Err(WriteError::Passing("no usable answer".to_owned()));
    };
    let reason = if status.reason.is_empty() {
        "an error"
    } else {
        status.reason.as_str()
    };
    match status.code {
        400 | 403 | 405 | 413 | 422 => {
            let why = explain(&status.message);
            let message = format!("the API server refused the Secret: {reason}{why}");
            Ok(Fate::Refused(Problem::new(Reason::WriteRefused, message)))
        }
        _ => Err(WriteError::Passing(format!("{} ({reason})", status.code))),
    }
}

fn explain(message: &str) -> &'static str {
    let table = [
        (
            "exceeded quota",
            "; a ResourceQuota of the namespace is used up",
        ),
        ("being terminated", "; the namespace is being deleted"),
        ("admission webhook", "; an admission webhook denied it"),
        (
            "ValidatingAdmissionPolicy",
            "; an admission policy denied it",
        ),
        (
            "cannot create resource",
            "; the operator's RBAC does not allow creating it",
        ),
        (
            "cannot patch resource",
            "; the operator's RBAC does not allow changing it",
        ),
        (
            "field is immutable when `immutable` is set",
            "; the Secret is immutable",
        ),
    ];
    table
        .iter()
        .find(|(text, _)| message.contains(text))
        .map_or("", |(_, why)| why)
}
