//! Which environments make an identity on Tencent Cloud, and what the others are told.

use secrecy::ExposeSecret;

use super::*;
use crate::provider::endpoint::{EndpointPolicy, Network};
use crate::provider::tencent::{Site, endpoint};

const KEYS: [(&str, &str); 2] = [(KEY[0], "id"), (KEY[1], "canary-s")];
const TKE: [(&str, &str); 4] = [
    (REGION, "ap-beijing"),
    (PROVIDER_ID, "cls-1a2b3c4d"),
    (ROLE_ARN, "qcs::cam::uin/100000000001:roleName/operator"),
    (TOKEN_FILE, "/token"),
];

fn environment(variables: &[&[(&str, &str)]]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Environment::new(variables.concat().iter().map(owned))
}

fn asked(variables: &[&[(&str, &str)]], instance: bool) -> Result<Source, EnvironmentError> {
    let policy = EndpointPolicy::default();
    let place = (Site::International, Network::Public);
    let sts = endpoint::sts(&policy, None, "ap-guangzhou", place).unwrap();
    let session = OwnSession {
        sts: &Tencent.sts(sts, "ap-guangzhou"),
        named: false,
        name: "c.ns.operator",
        policy: &policy,
    };
    operator(&environment(variables), &session, instance)
}

fn kind(variables: &[&[(&str, &str)]], instance: bool) -> &'static str {
    asked(variables, instance).unwrap().kind()
}

#[test]
fn the_first_that_is_configured_is_the_identity() {
    assert_eq!(kind(&[&KEYS, &TKE], true), "accessKey");
    assert_eq!(kind(&[&TKE], true), "webIdentity");
    assert_eq!(kind(&[], true), "instanceRole");
    assert_eq!(asked(&[], false).unwrap_err(), ABSENT);
    assert!(ABSENT.to_string().contains("TKE_ROLE_ARN"));
}

#[test]
fn a_broken_source_is_an_error_and_never_the_role_of_the_node() {
    for (part, missing) in [
        (&KEYS[..1], KEY[1]),
        (&KEYS[1..], KEY[0]),
        (&[(KEY[2], "canary-t")], KEY[0]),
    ] {
        let error = asked(&[part, &TKE], true).unwrap_err();
        assert_eq!(error, EnvironmentError::Missing(missing));
    }
    for missing in [PROVIDER_ID, ROLE_ARN, TOKEN_FILE] {
        let error = asked(&[&TKE, &[(missing, " ")]], true).unwrap_err();
        assert_eq!(error, EnvironmentError::Missing(missing));
    }
    for (name, value) in TKE {
        let error = asked(&[&[(name, value)]], true).unwrap_err();
        assert!(
            matches!(error, EnvironmentError::Missing(_)),
            "{name}: {error}"
        );
    }
    for (name, value) in [
        (REGION, "ap-beijing/evil"),
        (PROVIDER_ID, "cls-1 x"),
        (ROLE_ARN, "acs:ram::1:role/operator"),
        (TOKEN_FILE, "token"),
    ] {
        let error = asked(&[&TKE, &[(name, value)]], true).unwrap_err();
        assert!(matches!(error, EnvironmentError::Broken { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn each_source_says_what_its_variables_say() {
    let Ok(Source::AccessKey(key)) = asked(&[&KEYS, &[(KEY[2], "canary-t")]], false) else {
        panic!("no key")
    };
    assert_eq!((&*key.id, key.secret.expose_secret()), ("id", "canary-s"));
    assert_eq!(key.token.unwrap().expose_secret(), "canary-t");
    let Ok(Source::WebIdentity(role)) = asked(&[&TKE], false) else {
        panic!("no role")
    };
    let path = "/token".into();
    assert_eq!(role.subject, Subject::TokenFile { path });
    assert_eq!(role.provider, "cls-1a2b3c4d");
    assert_eq!(role.session_name, "c.ns.operator");
    assert_eq!(role.sts.endpoint.host(), "sts.intl.tencentcloudapi.com");
    assert_eq!(role.sts.region.as_deref(), Some("ap-beijing"));
    let Ok(Source::WebIdentity(role)) = asked(&[&TKE[1..]], false) else {
        panic!("no role")
    };
    assert_eq!(role.sts.region.as_deref(), Some("ap-guangzhou"));
}

#[test]
fn an_environment_does_not_show_what_it_holds() {
    let all = [&KEYS[..], &[(KEY[2], "canary-t")]];
    let shown = format!("{:?} {:?}", environment(&all), asked(&all, false));
    assert!(
        shown.contains(KEY[0]) && !shown.contains("canary"),
        "{shown}"
    );
}
