//! Who signed a request to Tencent Cloud, if anybody did.

use jiff::{SignedDuration, Timestamp};

use crate::cloud::Cloud;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::tencent::action::Action;
use crate::tencent::cam::{Key, Principal};
use crate::tencent::tc3::Authorization;

const SKEW: SignedDuration = SignedDuration::from_mins(5);

fn failure(what: &str, message: &str) -> Refusal {
    Refusal::new(200, format!("AuthFailure.{what}"), message)
}

/// Verifies a signed request and says whose it is.
pub(super) fn authenticate(
    cloud: &Cloud,
    action: Action,
    request: &Request,
) -> Result<Principal, Refusal> {
    let authorization = Authorization::of(request)?;
    let (text, time) = timestamp(request)?;
    if time.strftime("%Y-%m-%d").to_string() != authorization.date {
        return Err(failure(
            "InvalidAuthorization",
            "The date of the credential is not the UTC date of X-TC-Timestamp.",
        ));
    }
    if authorization.service != action.service().scope() {
        return Err(failure(
            "InvalidAuthorization",
            "The service of the credential is not that of the action.",
        ));
    }
    let now = cloud.tencent.now(cloud.now());
    check_skew(time, now)?;
    let registry = cloud.tencent.registry.read();
    let key = registry.key(&authorization.key_id);
    let key = key.filter(|key| !key.revoked).ok_or_else(|| {
        failure(
            "SecretIdNotFound",
            "The SecretId is not found, please ensure that your SecretId is correct.",
        )
    })?;
    authorization.verify(request, text, &key.secret)?;
    check_token(key, request.header("x-tc-token"), now)?;
    Ok(key.principal.clone())
}

/// What the gateway asks of an unsigned call: that it says so, and a good time.
pub(super) fn check_unsigned(cloud: &Cloud, request: &Request) -> Result<(), Refusal> {
    if request.header("authorization") != Some("SKIP") {
        let why = "The Authorization header of this action must be SKIP.";
        return Err(failure("InvalidAuthorization", why));
    }
    let (_, time) = timestamp(request)?;
    check_skew(time, cloud.tencent.now(cloud.now()))
}

/// Who a request claims to come from, by its key id alone: for the ledger, never for a decision.
pub(super) fn claimed(cloud: &Cloud, request: &Request) -> Option<Principal> {
    let authorization = Authorization::of(request).ok()?;
    let registry = cloud.tencent.registry.read();
    registry
        .key(&authorization.key_id)
        .map(|key| key.principal.clone())
}

fn timestamp(request: &Request) -> Result<(&str, Timestamp), Refusal> {
    let text = request.header("x-tc-timestamp");
    let text = text.ok_or_else(|| Refusal::missing("X-TC-Timestamp").in_body())?;
    let seconds = text
        .parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let time = time.ok_or_else(|| {
        Refusal::invalid("X-TC-Timestamp", "it is not a number of seconds").in_body()
    })?;
    Ok((text, time))
}

fn check_skew(time: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if now.duration_since(time).abs() <= SKEW {
        return Ok(());
    }
    Err(failure(
        "SignatureExpire",
        "The signature has expired. Timestamp and server time cannot differ by more than five minutes.",
    ))
}

/// A temporary key is nothing without its token, and a long-lived one has none.
fn check_token(key: &Key, token: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
    let good = match (&key.temporary, token) {
        (None, token) => token.is_none_or(str::is_empty),
        (Some((own, ends)), Some(token)) => own == token && now < *ends,
        (Some(_), None) => false,
    };
    if good {
        return Ok(());
    }
    Err(failure(
        "TokenFailure",
        "The token is invalid or has expired.",
    ))
}
