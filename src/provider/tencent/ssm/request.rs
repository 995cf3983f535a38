//! What is asked of SSM.

use serde::Serialize;

use crate::provider::{CallError, Class, Detail, RemoteKey};

/// A request about a secret.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named<'a> {
    pub secret_name: &'a str,
}

/// A request about a version of a secret.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NamedVersion<'a> {
    pub secret_name: &'a str,
    pub version_id: &'a str,
}

/// Judges `key` before anything is sent.
///
/// # Errors
/// [`Class::Invalid`] for a stage.
pub(super) fn check(key: &RemoteKey) -> Result<(), CallError> {
    if key.stage.is_some() {
        let detail = Detail::Fixed(
            "SSM has no stages: leave out remoteRef.stage, or name a version, such as SSM_Current",
        );
        return Err(CallError::new(Class::Invalid, "Stage").with_detail(detail));
    }
    Ok(())
}
