//! Which role a `ServiceAccount` stands for on Tencent Cloud.

use super::*;

const ROLE: &str = "qcs::cam::uin/100000000001:roleName/shop";
const OTHER: &str = "qcs::cam::uin/100000000001:role/4611686018427397919";

fn found(
    (role_arn, provider): (Option<&str>, Option<&str>),
    annotation: Option<&str>,
    own: Result<&str, String>,
) -> Result<(String, String), String> {
    let token = TokenAuth {
        role_arn,
        provider,
        ..TokenAuth::default()
    };
    let facts = AccountFacts::new("u", [(ROLE_ARN, annotation)]);
    find(&token, &facts, "ServiceAccount shop/db", own)
        .map(|role| (role.role_arn, role.provider))
        .map_err(|error| error.to_string())
}

fn pair(role: &str, provider: &str) -> (String, String) {
    (role.to_owned(), provider.to_owned())
}

#[test]
fn a_field_of_the_store_wins_over_annotations_and_the_environment() {
    let said = found((Some(ROLE), Some("cls-1")), Some(OTHER), Ok("cls-2"));
    assert_eq!(said, Ok(pair(ROLE, "cls-1")));
    let left = found((None, None), Some(OTHER), Ok("cls-2"));
    assert_eq!(left, Ok(pair(OTHER, "cls-2")));
}

#[test]
fn what_nobody_supplies_is_named() {
    let own = || Err("TKE_PROVIDER_ID is not set".to_owned());
    for (store, annotation, parts) in [
        (
            (None, Some("cls-1")),
            None,
            ["spec.auth.webIdentity.roleArn", ROLE_ARN],
        ),
        (
            (None, Some("cls-1")),
            Some("acs:ram::1:role/shop"),
            ["ServiceAccount shop/db", "is no role's ARN"],
        ),
        (
            (Some(ROLE), None),
            None,
            ["spec.auth.webIdentity.providerId", "TKE_PROVIDER_ID"],
        ),
    ] {
        let error = found(store, annotation, own()).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn an_annotation_is_a_role_only_if_a_store_might_name_it() {
    let table = [
        (ROLE, true),
        (OTHER, true),
        ("qcs::cam::uin/1:role/tencentcloudServiceRole/4611", true),
        (
            "qcs::cam::uin/1:role/tencentcloudServiceRoleName/TKE_QCSRole",
            true,
        ),
        ("qcs::cam::uin/1:role/other/4611", false),
        ("qcs::cam::uin/1:role/shop", false),
        ("qcs::cam::uin/:roleName/shop", false),
        ("qcs::cam::uin/1:roleName/", false),
        ("qcs::cam::uin/1:roleName/a b", false),
        ("qcs::cam::uin/1:user/shop", false),
        ("acs:ram::1:role/shop", false),
    ];
    for (arn, good) in table {
        assert_eq!(is_role(arn), good, "{arn}");
    }
}

#[test]
fn an_account_may_name_its_audience() {
    let named = AccountFacts::new("u", [(AUDIENCE, Some("other"))]);
    assert_eq!(
        Tencent.audience(&named),
        Audience::Annotated("other", AUDIENCE)
    );
    let silent = AccountFacts::new("u", []);
    assert_eq!(
        Tencent.audience(&silent),
        Audience::Default(DEFAULT_AUDIENCE)
    );
}
