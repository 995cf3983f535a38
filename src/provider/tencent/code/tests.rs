//! Every row of the tables, stated a second time by example.

use super::*;
use Class::{Denied, Invalid, NotFound, Protocol, Throttled, Unauthenticated, Unavailable};

/// Codes as the cloud sends them. Each row of a table must decide at least one of its list.
const GATEWAY_EXAMPLES: &[(&str, Class)] = &[
    ("RequestLimitExceeded", Throttled),
    ("RequestLimitExceeded.UinLimitExceeded", Throttled),
    ("RequestLimitExceeded.IPLimitExceeded", Throttled),
    (
        "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
        Throttled,
    ),
    ("InternalError", Unavailable),
    ("InternalError.DbError", Unavailable),
    ("ServiceUnavailable", Unavailable),
    ("AuthFailure.SignatureExpire", Unauthenticated),
    ("AuthFailure.SignatureFailure", Denied),
    ("AuthFailure.UnauthorizedOperation", Denied),
    ("AuthFailure.InvalidAuthorization", Protocol),
    ("AuthFailure", Unauthenticated),
    ("AuthFailure.TokenFailure", Unauthenticated),
    ("AuthFailure.SecretIdNotFound", Unauthenticated),
    ("AuthFailure.InvalidSecretId", Unauthenticated),
    ("AuthFailure.MFAFailure", Unauthenticated),
    ("AuthFailure.AccessKeyIllegal", Unauthenticated),
    ("UnauthorizedOperation", Denied),
    ("UnauthorizedOperation.AccessKmsError", Denied),
    ("IpInBlacklist", Denied),
    ("IpNotInWhitelist", Denied),
    ("ActionOffline", Protocol),
    ("InvalidAction", Protocol),
    ("InvalidRequest", Protocol),
    ("NoSuchProduct", Protocol),
    ("NoSuchVersion", Protocol),
    ("UnsupportedProtocol", Protocol),
    ("RequestSizeLimitExceeded", Protocol),
    ("ResponseSizeLimitExceeded", Protocol),
    ("DryRunOperation", Protocol),
    ("InvalidParameter", Invalid),
    ("InvalidParameterValue", Invalid),
    ("MissingParameter", Invalid),
    ("UnknownParameter", Invalid),
    ("UnsupportedOperation", Invalid),
    ("UnsupportedRegion", Invalid),
];

const SSM_EXAMPLES: &[(&str, Class)] = &[
    ("ResourceNotFound", NotFound),
    ("ResourceNotFound.SecretNotExist", NotFound),
    ("ResourceUnavailable", Denied),
    ("ResourceUnavailable.NotPurchased", Denied),
    ("ResourceUnavailable.ResourceDisabled", Denied),
    ("ResourceUnavailable.ResourcePendingDeleted", Denied),
    ("ResourceUnavailable.ResourceUninitialized", Denied),
    ("OperationDenied", Denied),
    ("OperationDenied.AutoRotatedResource", Denied),
    ("FailedOperation", Unavailable),
    ("FailedOperation.AccessKmsError", Unavailable), // Of the secret alone, see `is_of_the_key`.
    ("LimitExceeded", Invalid),
    ("ResourceInUse.SecretExists", Invalid),
    ("ResourceInsufficient", Invalid),
    ("ResourcesSoldOut", Invalid),
];

const STS_EXAMPLES: &[(&str, Class)] = &[
    ("InvalidParameter.OverLimit", Throttled),
    ("InvalidParameter.WebIdentityTokenError", Unauthenticated),
    ("ResourceNotFound.RoleNotFound", Unauthenticated),
    ("OperationDenied", Denied),
    ("FailedOperation.TempKeyNotAllowed", Denied),
];

#[test]
fn each_code_has_its_class() {
    for (table, examples) in [
        (&[][..], GATEWAY_EXAMPLES),
        (SSM, SSM_EXAMPLES),
        (STS, STS_EXAMPLES),
    ] {
        for (code, class) in examples {
            assert_eq!(classify(table, code), *class, "{code}");
        }
    }
}

#[test]
fn every_row_decides_an_example() {
    for (table, examples) in [
        (GATEWAY, GATEWAY_EXAMPLES),
        (SSM, SSM_EXAMPLES),
        (STS, STS_EXAMPLES),
    ] {
        for (i, (pattern, _)) in table.iter().enumerate() {
            let decides = examples.iter().any(|(code, _)| {
                let first = table
                    .iter()
                    .position(|row| find(&[&[*row]], code).is_some());
                first == Some(i)
            });
            assert!(decides, "{pattern}");
        }
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_never_a_missing_one() {
    let missing = SSM_EXAMPLES
        .iter()
        .chain(GATEWAY_EXAMPLES)
        .filter(|(code, _)| classify(SSM, code) == NotFound);
    assert!(missing.clone().count() > 0);
    assert!(
        missing
            .into_iter()
            .all(|(code, _)| code.starts_with("ResourceNotFound"))
    );
}

#[test]
fn what_nobody_knows_is_neither_missing_nor_for_good() {
    for code in ["", "Strange", "resourcenotfound", "NotFound"] {
        assert_eq!(classify(SSM, code), Protocol, "{code}");
    }
}

#[test]
fn what_keeps_a_secret_from_being_read_is_told_apart() {
    let states = [
        "ResourceDisabled",
        "ResourcePendingDeleted",
        "ResourceUninitialized",
        "NotPurchased",
    ];
    let mut told: Vec<_> = states
        .iter()
        .map(|state| advice(&format!("ResourceUnavailable.{state}")).unwrap())
        .collect();
    told.dedup();
    assert_eq!(told.len(), states.len());
}
