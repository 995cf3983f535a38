//! Who signed a request, if anybody did.

use jiff::{SignedDuration, Timestamp};

use crate::account::{Key, Principal};
use crate::cloud::Cloud;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::signature::{self, Authorization};

const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// Verifies a signed request and says whose it is.
///
/// The nonce is taken last: a request that is not the key owner's must not use up the owner's nonces.
pub(crate) fn authenticate(cloud: &Cloud, request: &Request) -> Result<Principal, Refusal> {
    let authorization = Authorization::of(request)?;
    let header = |name| request.header(name).ok_or_else(|| Refusal::missing(name));
    let now = cloud.now();
    check_date(header("x-acs-date")?, now)?;
    let nonce = header("x-acs-signature-nonce")?;
    if nonce.is_empty() {
        return Err(Refusal::missing("x-acs-signature-nonce"));
    }
    let key = cloud.registry.read().key(&authorization.key_id).cloned();
    let key = key.filter(|key| !key.revoked).ok_or_else(unknown_key)?;
    check_token(&key, request.header("x-acs-security-token"), now)?;
    authorization.verify(request, &key.secret)?;
    // The signature above covers the hash of the body that arrived; what the header claims must be the same.
    if header("x-acs-content-sha256")? != signature::body_hash(request) {
        return Err(Refusal::new(
            400,
            "SignatureDoesNotMatch",
            "The x-acs-content-sha256 header does not match the body.",
        ));
    }
    check_nonce(cloud, &authorization.key_id, nonce, now)?;
    Ok(key.principal)
}

/// Who a request claims to come from, by its key id alone: for the ledger, never for a decision.
pub(crate) fn claimed(cloud: &Cloud, request: &Request) -> Option<Principal> {
    let authorization = Authorization::of(request).ok()?;
    cloud
        .registry
        .read()
        .key(&authorization.key_id)
        .map(|key| key.principal.clone())
}

/// Checks the form of a time of the protocol, and that it is within 15 minutes of now.
pub(crate) fn check_date(text: &str, now: Timestamp) -> Result<(), Refusal> {
    let shape = text
        .bytes()
        .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    let date: Option<Timestamp> = if shape.eq(*b"0000-00-00T00:00:00Z") {
        text.parse().ok()
    } else {
        None
    };
    let date = date.ok_or_else(|| {
        Refusal::new(
            400,
            "InvalidTimeStamp.Format",
            "Specified time stamp or date value is not well formatted.",
        )
    })?;
    if now.duration_since(date).abs() > SKEW {
        return Err(Refusal::new(
            400,
            "InvalidTimeStamp.Expired",
            "Specified time stamp or date value is expired.",
        ));
    }
    Ok(())
}

/// Takes a nonce, once.
pub(crate) fn check_nonce(
    cloud: &Cloud,
    key_id: &str,
    nonce: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    if cloud.nonces.write().take(now, key_id, nonce) {
        return Ok(());
    }
    Err(Refusal::new(
        400,
        "SignatureNonceUsed",
        "Specified signature nonce was used already.",
    ))
}

fn check_token(key: &Key, token: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
    let refuse = |code: &'static str, message: &str| Err(Refusal::new(400, code, message));
    match (&key.temporary, token.filter(|token| !token.is_empty())) {
        (None, None) => Ok(()),
        (Some(_), None) => refuse(
            "InvalidSecurityToken.Malformed",
            "The specified parameter \"SecurityToken\" is not valid.",
        ),
        (Some(temporary), Some(token)) if temporary.token == token => {
            if now < temporary.expires {
                return Ok(());
            }
            refuse(
                "InvalidSecurityToken.Expired",
                "Specified SecurityToken is expired.",
            )
        }
        (_, Some(_)) => refuse(
            "InvalidSecurityToken.MismatchWithAccessKey",
            "Specified SecurityToken mismatch with the AccessKey.",
        ),
    }
}

fn unknown_key() -> Refusal {
    Refusal::new(
        404,
        "InvalidAccessKeyId.NotFound",
        "Specified access key is not found.",
    )
}
