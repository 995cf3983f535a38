//! What Alibaba Cloud's error codes mean.
//!
//! A code decides by itself; the HTTP status is only asked about codes that no table knows, and
//! never says that something does not exist: only an explicit code may.

use crate::provider::Class;
use crate::provider::code::find;
pub use crate::provider::code::{Table, by_bare_status};

/// Codes of the gateway in front of every service. Sources: the vendor's pages "Common error codes"
/// and "V3 request body and signature mechanism", and the retry rules of its SDKs.
pub const GATEWAY: Table = &[
    // "Request was denied due to user/API flow control"; .User, .Api and others.
    ("Throttling*", Class::Throttled),
    // The same from services behind the gateway (KMS, also through OOS).
    ("Rejected.Throttling", Class::Throttled),
    // "The request has failed due to a temporary failure of the server."
    ("ServiceUnavailable*", Class::Unavailable),
    // "The request processing has failed due to some unknown error."
    ("InternalError*", Class::Unavailable),
    // The older spelling of the same.
    ("InternalFailure*", Class::Unavailable),
    // The nonce was seen before: the next attempt draws a new one and passes.
    ("SignatureNonceUsed", Class::Unavailable),
    // A wrong secret, or a proxy that changed a signed header.
    ("SignatureDoesNotMatch", Class::Unauthenticated),
    // The signature header is malformed, which only a bug of ours or a proxy can cause.
    ("IncompleteSignature", Class::Protocol),
    // A clock is more than 15 minutes off. Every call of the identity fails until the clock is
    // mended, so the identity is what has to be parked and probed.
    ("InvalidTimeStamp.Expired", Class::Unauthenticated),
    // A date the gateway cannot read: a bug of ours.
    ("InvalidTimeStamp*", Class::Protocol),
    // .NotFound: unknown, and on KMS also an expired session; .Inactive: disabled.
    ("InvalidAccessKeyId*", Class::Unauthenticated),
    // Some services report a wrong secret by this code.
    ("InvalidAccessKeySecret", Class::Unauthenticated),
    // .Expired, .Malformed, .MismatchWithAccessKey.
    ("InvalidSecurityToken*", Class::Unauthenticated),
    // A temporary key was used without its session token.
    ("MissingSecurityToken", Class::Unauthenticated),
    // The policy of the caller does not allow the action; .RAM and, from KMS, .KeyNotFound.
    ("Forbidden*", Class::Denied),
    // "You are not authorized to do this action."
    ("NoPermission*", Class::Denied),
    // The endpoint does not serve this product or action: no reference is to blame.
    ("InvalidProduct*", Class::Protocol),
    ("InvalidApi*", Class::Protocol),
    ("InvalidAction*", Class::Protocol),
    ("InvalidVersion*", Class::Protocol),
    // A parameter is missing or out of its bounds.
    ("Missing*", Class::Invalid),
    ("InvalidParameter*", Class::Invalid),
];

/// Codes of OOS Parameter Store. Sources: the "Error codes" list of the OOS API reference, and the
/// vendor's Terraform provider, which matches `EntityNotExists.Parameter` for plain and secret ones.
pub const OOS: Table = &[("EntityNotExists*", Class::NotFound)];

/// Codes of KMS Secrets Manager. Sources: the "Error codes" list of the KMS API reference and the
/// vendor's page "Common error codes of KMS". Only the first row says that a secret is not there; what
/// exists and cannot be used is refused, never missing.
pub const KMS: Table = &[
    // The secret is not there, or the version or stage: KMS has one code for all three.
    ("Forbidden.ResourceNotFound", Class::NotFound),
    // The key that encrypts the secret is not there.
    ("Forbidden.KeyNotFound", Class::Denied),
    // The caller's policy, or the secret's.
    ("Forbidden.NoPermission", Class::Denied),
    // The instance that holds the secret is gone or not running.
    ("Forbidden.DKMSInstance*", Class::Denied),
    // The account did not enable KMS, owes money, or is under risk control.
    ("Forbidden.KmsServiceNotEnabled", Class::Denied),
    ("Forbidden.InDebt*", Class::Denied),
    ("Forbidden.ProhibitedByRiskControl", Class::Denied),
    // The key that signed is one that KMS does not take.
    ("Forbidden.AccessKey", Class::Denied),
    // "QPS Limit Exceeded", for the account in this region.
    ("Rejected.Throttling", Class::Throttled),
    // The secret's key is disabled, about to be deleted, or has no material yet.
    ("Rejected.Disabled", Class::Denied),
    ("Rejected.PendingDeletion", Class::Denied),
    ("Rejected.PendingImport", Class::Denied),
    // The secret itself is about to be deleted.
    ("Rejected.ResourceInDeleteWindow", Class::Denied),
    // A quota of the account, which passes only when somebody raises it.
    ("Rejected.LimitExceeded", Class::Denied),
    ("Rejected.ShareQuotaExceedLimit", Class::Denied),
    // The older spelling of a clock that is off.
    ("IllegalTimestamp", Class::Unauthenticated),
    // The gateway does not do this for this kind of secret or key.
    ("UnsupportedOperation", Class::Invalid),
];

/// Whether `code` says that a gateway does not have the call at all, so that no reference is to blame.
/// `BatchGetSecretValue` is younger than some gateways.
pub fn is_unknown_call(code: &str) -> bool {
    code == "UnsupportedOperation"
        || code.starts_with("InvalidApi")
        || code.starts_with("InvalidAction")
}

/// Codes of STS. Sources: the "Error codes" list of the STS API reference, and the page "Use RRSA
/// to authorize different pods to access different cloud services", section FAQ.
pub const STS: Table = &[
    // "No such OIDC Provider registered", or the role's trust policy does not admit the subject.
    ("AuthenticationFail.NoPermission", Class::Denied),
    // .OIDCToken.Expired, .Invalid, .AudienceNotMatch, .IssuerNotMatch, ...
    ("AuthenticationFail*", Class::Unauthenticated),
    // A token that is no JWT at all: the next one may be.
    ("InvalidParameter.OIDCToken*", Class::Unauthenticated),
    // The role (or provider) is not there. There is no secret that could be absent here: it is the
    // identity that has to be corrected.
    ("EntityNotExist*", Class::Unauthenticated),
];

/// What to say beside codes of which the class alone does not tell what to do, the first match deciding.
const ADVICE: &[(&str, &str)] = &[
    (
        "Rejected.ResourceInDeleteWindow",
        "the secret is about to be deleted: restore it, or stop naming it",
    ),
    ("Rejected.Disabled", KEY),
    ("Rejected.PendingDeletion", KEY),
    ("Rejected.PendingImport", KEY),
    ("Forbidden.KeyNotFound", KEY),
    (
        "Forbidden.DKMSInstance*",
        "the KMS instance is gone or not running",
    ),
    (
        "Forbidden.KmsServiceNotEnabled",
        "the account has not enabled KMS",
    ),
    ("Forbidden.InDebt*", "the account owes money"),
    (
        "Forbidden.ProhibitedByRiskControl",
        "the account is under risk control: ask Alibaba Cloud",
    ),
    ("InvalidTimeStamp.Expired", CLOCK),
    ("IllegalTimestamp", CLOCK),
    (
        "AuthenticationFail.OIDCToken.AudienceNotMatch",
        "the OIDC provider does not list the token's audience",
    ),
    (
        "AuthenticationFail.OIDCToken.IssuerNotMatch",
        "the OIDC provider was made for another cluster",
    ),
];
const KEY: &str =
    "the key that encrypts the secret is gone or cannot be used: restore or enable it";
const CLOCK: &str = "the node's clock is more than 15 minutes off";

/// What to say beside `code`, if its class does not tell.
pub fn advice(code: &str) -> Option<&'static str> {
    find(&[ADVICE], code)
}

/// The class of `code`: by `service`'s table, then by the gateway's.
pub fn classify(service: Table, code: &str) -> Option<Class> {
    find(&[service, GATEWAY], code)
}

/// Whether `code` says that the gateway does not accept the key a call was signed with, so that no
/// service behind it saw the call.
pub fn refuses_the_key(code: &str) -> bool {
    classify(&[], code) == Some(Class::Unauthenticated)
}

/// Whether `code` says that the role to enter is not there.
pub fn is_no_role(code: &str) -> bool {
    code == "EntityNotExist.Role"
}

/// The class of a failure with a well-formed body whose code no table knows.
pub fn by_status(status: u16) -> Class {
    match status {
        401 => Class::Unauthenticated,
        403 => Class::Denied,
        408 | 500.. => Class::Unavailable,
        429 => Class::Throttled,
        // Not `NotFound`, which in the end may delete something, and not `Invalid`, which is not
        // tried again: whoever answers with a code that nobody knows may mean something passing.
        _ => Class::Protocol,
    }
}

#[cfg(test)]
mod tests;
