//! The metadata service of an ECS instance, in both versions of its protocol, and the URL of
//! `ALIBABA_CLOUD_CREDENTIALS_URI`, which answers alike.

use secrecy::{ExposeSecret, SecretString};

use crate::credential::surroundings::{
    Metadata, Surroundings, by_status, failure, is_role_name, unanswered,
};
use crate::credential::{AlibabaIssued, Credentials};
use crate::provider::{CallError, Class, Detail};

/// Where instances of Alibaba Cloud ask about themselves.
const METADATA: &str = "http://100.100.100.200";

/// How long a token of the metadata service is asked to live. It is used for one exchange.
const TOKEN_SECONDS: &str = "60";
const TOKEN_TTL: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aliyun-ecs-metadata-token";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
const ABSENT: &str =
    "no instance metadata service answers: is this an ECS instance, and may Pods reach it?";

/// Credentials of the instance's role: the one of this name, else whichever it has.
///
/// # Errors
/// [`Class::Unauthenticated`] where there is no such role or it may not be asked for,
/// [`Class::Unavailable`] where nobody answers.
pub(super) async fn instance_role(
    around: &Surroundings,
    name: Option<&str>,
) -> Result<Credentials, CallError> {
    let metadata = around.metadata()?;
    let url = metadata.url.as_deref().unwrap_or(METADATA);
    let token = token(around, metadata, url).await?;
    let header = token.as_ref().map(|token| (TOKEN, token.expose_secret()));
    let discovered;
    let name = if let Some(name) = name {
        name
    } else {
        let listed = around
            .read(&format!("{url}{ROLES}"), header, ABSENT)
            .await?;
        discovered = String::from_utf8_lossy(&listed.body).trim().to_owned();
        &discovered
    };
    if !is_role_name(name) {
        let detail = "the metadata service names no role of this instance";
        return Err(failure(Class::Protocol, "InstanceRole.Name", detail));
    }
    let path = format!("{url}{ROLES}{name}");
    let answer = around.read(&path, header, ABSENT).await?;
    around.credentials::<AlibabaIssued>("InstanceRole", &answer, true)
}

/// Credentials from a URL.
///
/// # Errors
/// What it did instead of answering with some.
pub(super) async fn credentials_uri(
    around: &Surroundings,
    url: &str,
) -> Result<Credentials, CallError> {
    let answer = around.http.get(url, None).await.map_err(|error| {
        let detail = "ALIBABA_CLOUD_CREDENTIALS_URI cannot be read";
        error.with_detail(Detail::Fixed(detail))
    })?;
    if answer.status / 100 != 2 {
        let detail = "ALIBABA_CLOUD_CREDENTIALS_URI answers with an error";
        let class = by_status(answer.status);
        let code = format!("CredentialsUri.Http{}", answer.status);
        return Err(failure(class, &code, detail));
    }
    around.credentials::<AlibabaIssued>("CredentialsUri", &answer, true)
}

/// A token of the metadata service at `url`; none where only its first version may and can be used.
async fn token(
    around: &Surroundings,
    metadata: &Metadata,
    url: &str,
) -> Result<Option<SecretString>, CallError> {
    let url = format!("{url}/latest/api/token");
    let answer = around.http.put(&url, Some((TOKEN_TTL, TOKEN_SECONDS)));
    let answer = answer.await;
    let token = match &answer {
        Ok(answer) if answer.status / 100 == 2 => std::str::from_utf8(&answer.body)
            .ok()
            .map(str::trim)
            .filter(|token| !token.is_empty()),
        // Nobody is there, in whatever version.
        Err(error) if error.code() == "ConnectionFailed" => return Err(unanswered(error, ABSENT)),
        _ => None,
    };
    match (token, &answer) {
        (Some(token), _) => Ok(Some(SecretString::from(token))),
        (None, _) if metadata.allow_v1 => Ok(None),
        (None, Err(error)) => Err(unanswered(error, ABSENT)),
        (None, Ok(_)) => {
            let detail = "the metadata service gives no token, and its first version is disabled by \
                          ALIBABA_CLOUD_IMDSV1_DISABLED";
            let class = Class::Unauthenticated;
            Err(failure(class, "InstanceRole.Token", detail))
        }
    }
}

#[cfg(test)]
mod tests;
