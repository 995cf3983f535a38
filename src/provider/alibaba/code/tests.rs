//! Every row of the tables, stated a second time by example.

use super::*;
use Class::{Denied, Invalid, NotFound, Protocol, Throttled, Unauthenticated, Unavailable};

/// Codes as the cloud sends them. Each row of a table must decide at least one of its list.
const GATEWAY_EXAMPLES: &[(&str, Class)] = &[
    ("Throttling", Throttled),
    ("Throttling.User", Throttled),
    ("Throttling.Api", Throttled),
    ("Rejected.Throttling", Throttled),
    ("ServiceUnavailable", Unavailable),
    ("ServiceUnavailableTemporary", Unavailable),
    ("InternalError", Unavailable),
    ("InternalFailure", Unavailable),
    ("SignatureNonceUsed", Unavailable),
    ("SignatureDoesNotMatch", Unauthenticated),
    ("IncompleteSignature", Protocol),
    ("InvalidTimeStamp.Expired", Unauthenticated),
    ("InvalidTimeStamp.Format", Protocol),
    ("InvalidAccessKeyId", Unauthenticated),
    ("InvalidAccessKeyId.NotFound", Unauthenticated),
    ("InvalidAccessKeyId.Inactive", Unauthenticated),
    ("InvalidAccessKeySecret", Unauthenticated),
    ("InvalidSecurityToken.Expired", Unauthenticated),
    ("InvalidSecurityToken.Malformed", Unauthenticated),
    (
        "InvalidSecurityToken.MismatchWithAccessKey",
        Unauthenticated,
    ),
    ("MissingSecurityToken", Unauthenticated),
    ("Forbidden.RAM", Denied),
    ("Forbidden.KeyNotFound", Denied),
    ("NoPermission", Denied),
    ("InvalidProduct.NotFound", Protocol),
    ("InvalidApi.NotFound", Protocol),
    ("InvalidAction.NotFound", Protocol),
    ("InvalidVersion", Protocol),
    ("MissingParameter", Invalid),
    ("MissingName", Invalid),
    ("InvalidParameter", Invalid),
    ("InvalidParameter.Name", Invalid),
];

const OOS_EXAMPLES: &[(&str, Class)] = &[
    ("EntityNotExists.Parameter", NotFound),
    ("EntityNotExists.ParameterVersion", NotFound),
];

const KMS_EXAMPLES: &[(&str, Class)] = &[
    ("Forbidden.ResourceNotFound", NotFound),
    ("Forbidden.KeyNotFound", Denied),
    ("Forbidden.NoPermission", Denied),
    ("Forbidden.DKMSInstanceNotFound", Denied),
    ("Forbidden.DKMSInstanceStateInvalid", Denied),
    ("Forbidden.KmsServiceNotEnabled", Denied),
    ("Forbidden.InDebt", Denied),
    ("Forbidden.InDebtOverdue", Denied),
    ("Forbidden.ProhibitedByRiskControl", Denied),
    ("Forbidden.AccessKey", Denied),
    ("Rejected.Throttling", Throttled),
    ("Rejected.Disabled", Denied),
    ("Rejected.PendingDeletion", Denied),
    ("Rejected.PendingImport", Denied),
    ("Rejected.ResourceInDeleteWindow", Denied),
    ("Rejected.LimitExceeded", Denied),
    ("Rejected.ShareQuotaExceedLimit", Denied),
    ("IllegalTimestamp", Unauthenticated),
    ("UnsupportedOperation", Invalid),
];

const STS_EXAMPLES: &[(&str, Class)] = &[
    ("AuthenticationFail.NoPermission", Denied),
    ("AuthenticationFail.OIDCToken.Expired", Unauthenticated),
    ("AuthenticationFail.OIDCToken.Invalid", Unauthenticated),
    (
        "AuthenticationFail.OIDCToken.AudienceNotMatch",
        Unauthenticated,
    ),
    (
        "AuthenticationFail.OIDCToken.IssuerNotMatch",
        Unauthenticated,
    ),
    (
        "AuthenticationFail.OIDCToken.IssuerConfigurationBroken",
        Unauthenticated,
    ),
    (
        "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch",
        Unauthenticated,
    ),
    ("InvalidParameter.OIDCToken", Unauthenticated),
    ("InvalidParameter.RoleArn", Invalid),
    ("InvalidParameter.RoleSessionName", Invalid),
    ("InvalidParameter.DurationSeconds", Invalid),
    ("InvalidParameter.PolicyGrammar", Invalid),
    ("EntityNotExist.Role", Unauthenticated),
    ("NoPermission", Denied),
    ("InternalError", Unavailable),
];

#[test]
fn every_code_has_its_class() {
    let lists = [
        (&[] as Table, GATEWAY_EXAMPLES),
        (OOS, OOS_EXAMPLES),
        (KMS, KMS_EXAMPLES),
        (STS, STS_EXAMPLES),
        (KMS, GATEWAY_EXAMPLES),
        (OOS, GATEWAY_EXAMPLES),
        (STS, GATEWAY_EXAMPLES),
    ];
    for (table, examples) in lists {
        for (code, class) in examples {
            assert_eq!(classify(table, code), Some(*class), "{code}");
        }
    }
}

#[test]
fn every_row_decides_an_example() {
    for (table, examples) in [
        (GATEWAY, GATEWAY_EXAMPLES),
        (OOS, OOS_EXAMPLES),
        (KMS, KMS_EXAMPLES),
        (STS, STS_EXAMPLES),
    ] {
        for (index, row) in table.iter().enumerate() {
            let decides = |(code, _): &(&str, Class)| {
                let first = (0..table.len()).find(|i| matches(table[*i].0, code));
                first == Some(index)
            };
            assert!(examples.iter().any(decides), "{row:?} is never reached");
        }
    }
}

fn matches(pattern: &str, code: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => code.starts_with(prefix),
        None => pattern == code,
    }
}

#[test]
fn a_prefix_is_no_infix_and_codes_are_case_sensitive() {
    for code in ["MyThrottling", "entitynotexists.parameter", "", "*"] {
        assert_eq!(classify(OOS, code), None, "{code}");
    }
}

#[test]
fn no_status_says_that_something_does_not_exist() {
    let statuses = 100..600;
    for status in statuses {
        assert_ne!(by_status(status), NotFound, "{status}");
        assert_ne!(by_bare_status(status), NotFound, "{status}");
    }
}

#[test]
fn unknown_codes_go_by_their_status() {
    let table = [
        (400, Protocol, Protocol),
        (401, Unauthenticated, Protocol),
        (403, Denied, Protocol),
        (404, Protocol, Protocol),
        (408, Unavailable, Unavailable),
        (409, Protocol, Protocol),
        (429, Throttled, Throttled),
        (500, Unavailable, Unavailable),
        (503, Unavailable, Unavailable),
    ];
    for (status, coded, bare) in table {
        assert_eq!(by_status(status), coded, "{status}");
        assert_eq!(
            by_bare_status(status),
            bare,
            "{status} without a body of the cloud's"
        );
    }
}

#[test]
fn only_a_missing_resource_of_kms_is_not_found() {
    let missing: Vec<&str> = KMS
        .iter()
        .filter(|(_, class)| *class == NotFound)
        .map(|(code, _)| *code)
        .collect();
    assert_eq!(missing, ["Forbidden.ResourceNotFound"]);
}

#[test]
fn an_unknown_call_is_told_from_an_unknown_resource() {
    for code in [
        "InvalidApi.NotFound",
        "InvalidAction",
        "InvalidAction.NotFound",
        "UnsupportedOperation",
    ] {
        assert!(is_unknown_call(code), "{code}");
    }
    for code in [
        "InvalidParameter",
        "Forbidden.NoPermission",
        "InternalFailure",
        "",
    ] {
        assert!(!is_unknown_call(code), "{code}");
    }
}

#[test]
fn advice_is_given_for_codes_that_some_table_knows() {
    for (pattern, advice) in ADVICE {
        let code = pattern.replace('*', ".Any");
        let class = classify(KMS, &code).or_else(|| classify(STS, &code));
        assert!(class.is_some(), "{code}");
        assert_eq!(super::advice(&code), Some(*advice), "{code}");
    }
    for code in [
        "Forbidden.NoPermission",
        "Rejected.Throttling",
        "EntityNotExist.Role",
    ] {
        assert_eq!(advice(code), None, "{code}");
    }
}
