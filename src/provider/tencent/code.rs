//! What Tencent Cloud's error codes mean.
//!
//! Errors come with HTTP status 200, so the code alone decides. Only an explicit code may say that
//! something does not exist. Codes are hierarchical: what begins with a row's code belongs to it.

use crate::provider::Class;
use crate::provider::code::find;
pub use crate::provider::code::{Table, by_bare_status};

/// Codes of the gateway in front of every service. Sources: the "Common error codes" of the API
/// reference, and the error codes of the vendor's SDKs.
pub const GATEWAY: Table = &[
    // .UinLimitExceeded, .IPLimitExceeded, .GlobalRegionUinLimitExceeded.
    ("RequestLimitExceeded*", Class::Throttled),
    ("InternalError*", Class::Unavailable),
    ("ServiceUnavailable*", Class::Unavailable),
    // The clock is more than five minutes off. The call was made again with the gateway's own time.
    ("AuthFailure.SignatureExpire", Class::Unauthenticated),
    // A wrong key, or a proxy that changed a signed header.
    ("AuthFailure.SignatureFailure", Class::Denied),
    // "The request is not authorized by CAM."
    ("AuthFailure.UnauthorizedOperation", Class::Denied),
    // The header is malformed, which only a bug of ours or a proxy can cause.
    ("AuthFailure.InvalidAuthorization", Class::Protocol),
    // .TokenFailure, .SecretIdNotFound, .InvalidSecretId, .MFAFailure.
    ("AuthFailure*", Class::Unauthenticated),
    ("UnauthorizedOperation*", Class::Denied),
    ("IpInBlacklist", Class::Denied),
    ("IpNotInWhitelist", Class::Denied),
    // The endpoint does not serve this product or action: no reference is to blame.
    ("ActionOffline", Class::Protocol),
    ("InvalidAction", Class::Protocol),
    ("InvalidRequest", Class::Protocol),
    ("NoSuchProduct", Class::Protocol),
    ("NoSuchVersion", Class::Protocol),
    ("UnsupportedProtocol", Class::Protocol),
    ("RequestSizeLimitExceeded", Class::Protocol),
    ("ResponseSizeLimitExceeded", Class::Protocol),
    ("DryRunOperation", Class::Protocol),
    // A parameter is missing or out of its bounds, or the service is not in the region.
    ("InvalidParameter*", Class::Invalid),
    ("MissingParameter*", Class::Invalid),
    ("Unknown*", Class::Invalid),
    ("Unsupported*", Class::Invalid),
];

/// Codes of SSM. Source: `ssm/v20190923/errorcodes.py` of the vendor's SDK. Only `ResourceNotFound` says
/// that something is not there; what exists and cannot be read is refused, never missing.
pub const SSM: Table = &[
    // .SecretNotExist; of a version, the bare code.
    ("ResourceNotFound*", Class::NotFound),
    // .ResourceDisabled, .ResourcePendingDeleted, .ResourceUninitialized, .NotPurchased.
    ("ResourceUnavailable*", Class::Denied),
    // .AccessKeyOverLimit, .AutoRotatedResource, .RoleNotExist, .UinNotMatch.
    ("OperationDenied*", Class::Denied),
    // .AccessKmsError: the key that encrypts the secret did not answer.
    ("FailedOperation*", Class::Unavailable),
    // These belong to writes.
    ("LimitExceeded*", Class::Invalid),
    ("ResourceInUse*", Class::Invalid),
    ("ResourceInsufficient*", Class::Invalid),
    ("ResourcesSoldOut*", Class::Invalid),
];

/// Codes of STS. Source: `sts/v20180813/errorcodes.py` of the vendor's SDK.
pub const STS: Table = &[
    // "The frequency of calls exceeds the limit."
    ("InvalidParameter.OverLimit", Class::Throttled),
    // The token is none, expired, or not from the provider that is named: the next one may be.
    (
        "InvalidParameter.WebIdentityTokenError",
        Class::Unauthenticated,
    ),
    // The role is not there. There is no secret that could be absent here: it is the identity that has to
    // be corrected.
    ("ResourceNotFound*", Class::Unauthenticated),
    ("OperationDenied*", Class::Denied),
    ("FailedOperation*", Class::Denied),
];

/// What to say beside codes of which the class alone does not tell what to do, the first match deciding.
const ADVICE: &[(&str, &str)] = &[
    (
        "ResourceUnavailable.ResourceDisabled",
        "the secret is disabled: enable it, or stop naming it",
    ),
    (
        "ResourceUnavailable.ResourcePendingDeleted",
        "the secret is about to be deleted: restore and enable it, or stop naming it",
    ),
    (
        "ResourceUnavailable.ResourceUninitialized",
        "the secret is still being made",
    ),
    (
        "ResourceUnavailable.NotPurchased",
        "the account has not bought SSM, or owes money",
    ),
    ("FailedOperation.AccessKmsError", KEY),
    ("UnauthorizedOperation.AccessKmsError", KEY),
    (
        "AuthFailure.SignatureExpire",
        "the node's clock is more than five minutes off",
    ),
    (
        "AuthFailure.SignatureFailure",
        "the secret key is not that of the secret id, or a proxy changed the request",
    ),
    (
        "UnsupportedRegion",
        "the service is not in this region, or not on this site",
    ),
];
const KEY: &str =
    "the key that encrypts the secret cannot be used: see whether it is enabled in KMS";

/// The code of a clock that is off.
pub const CLOCK: &str = "AuthFailure.SignatureExpire";
/// The code that says, of whatever was asked, that there is no secret of the name.
pub const NO_SECRET: &str = "ResourceNotFound.SecretNotExist";

/// Whether `code` is of the secret that was asked for, whatever its class: that the key which encrypts it does
/// not work says nothing of the service.
pub fn is_of_the_key(code: &str) -> bool {
    code == "FailedOperation.AccessKmsError"
}

/// Whether `code` says that the caller's policy does not allow the action, and nothing of what it was for.
pub fn is_no_permission(code: &str) -> bool {
    code.starts_with("UnauthorizedOperation") && code != "UnauthorizedOperation.AccessKmsError"
        || code == "AuthFailure.UnauthorizedOperation"
}

/// What to say beside `code`, if its class does not tell.
pub fn advice(code: &str) -> Option<&'static str> {
    find(&[ADVICE], code)
}

/// The class of `code`: by `service`'s table, then by the gateway's. A code that nobody knows is no
/// `NotFound`, which in the end may delete something, and not `Invalid`, which is not tried again.
pub fn classify(service: Table, code: &str) -> Class {
    find(&[service, GATEWAY], code).unwrap_or(Class::Protocol)
}

#[cfg(test)]
mod tests;
