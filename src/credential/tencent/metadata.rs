//! The metadata service of a CVM instance. It has no tokens: whoever reaches it gets the role of the node,
//! which is why nobody asks it unless a flag says so.

use crate::credential::surroundings::{Surroundings, failure};
use crate::credential::{Credentials, TencentIssued};
use crate::provider::{CallError, Class};

/// Where instances of Tencent Cloud ask about themselves.
const METADATA: &str = "http://metadata.tencentyun.com";

const ROLES: &str = "/latest/meta-data/cam/security-credentials/";
const ABSENT: &str =
    "no instance metadata service answers: is this a CVM instance, and may Pods reach it?";

/// Credentials of the instance's role: the one of this name, else whichever it has.
///
/// # Errors
/// [`Class::Unauthenticated`] where there is no such role or it may not be asked for,
/// [`Class::Unavailable`] where nobody answers.
pub(super) async fn instance_role(
    around: &Surroundings,
    name: Option<&str>,
) -> Result<Credentials, CallError> {
    let url = around.metadata()?.url.as_deref().unwrap_or(METADATA);
    let discovered;
    let name = if let Some(name) = name {
        name
    } else {
        let listed = around.read(&format!("{url}{ROLES}"), None, ABSENT).await?;
        discovered = String::from_utf8_lossy(&listed.body).trim().to_owned();
        &discovered
    };
    if !is_role_name(name) {
        let detail = "the metadata service names no role of this instance";
        return Err(failure(Class::Protocol, "InstanceRole.Name", detail));
    }
    let path = format!("{url}{ROLES}{name}");
    let answer = around.read(&path, None, ABSENT).await?;
    around.credentials::<TencentIssued>("InstanceRole", &answer, false)
}

/// Whether `name` can be a role's, and not a path to something else.
fn is_role_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    (1..=128).contains(&name.len()) && name.chars().all(allowed) && name != "." && name != ".."
}

#[cfg(test)]
mod tests;
