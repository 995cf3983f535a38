//! Which source is the operator's own, and that nothing is tried in place of a broken one.

use secrecy::ExposeSecret;

use super::*;
use crate::credential::{Subject, TokenService};
use crate::provider::alibaba::endpoint::{self, Network};
use crate::provider::endpoint::EndpointPolicy;

const KEY_ID: &str = KEY[0];
const KEY_SECRET: &str = KEY[1];
const KEY_TOKEN: &str = KEY[2];
const KEYS: [(&str, &str); 2] = [(KEY_ID, "id"), (KEY_SECRET, "canary-s")];
const RRSA: [(&str, &str); 3] = [
    ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/operator"),
    (
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "acs:ram::1:oidc-provider/c1",
    ),
    ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
];
const FILE_SET: [(&str, &str); 1] = [(FILE, "/credentials")];
const URI_SET: [(&str, &str); 1] = [(URI, "http://127.0.0.1:1/canary")];

fn environment(variables: &[&[(&str, &str)]]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Environment::new(variables.concat().iter().map(owned))
}

fn operator(variables: &[&[(&str, &str)]], instance: bool) -> Result<Source, EnvironmentError> {
    let policy = EndpointPolicy::default();
    let sts = endpoint::sts(&policy, None, "cn-beijing", Network::Public);
    let session = OwnSession {
        sts: &TokenService::new(&Alibaba, sts.unwrap()),
        named: false,
        name: "c.ns.operator",
        policy: &policy,
    };
    super::operator(&environment(variables), &session, instance)
}

fn kind(variables: &[&[(&str, &str)]], instance: bool) -> &'static str {
    operator(variables, instance).unwrap().kind()
}

#[test]
fn the_first_that_is_configured_is_the_identity() {
    assert_eq!(
        kind(&[&KEYS, &RRSA, &FILE_SET, &URI_SET], true),
        "accessKey"
    );
    assert_eq!(kind(&[&RRSA, &FILE_SET, &URI_SET], true), "rrsa");
    assert_eq!(kind(&[&FILE_SET, &URI_SET], true), "profile");
    assert_eq!(kind(&[&URI_SET], true), "instanceRole");
    assert_eq!(kind(&[&URI_SET], false), "credentialsUri");
    let off = [(METADATA_DISABLED, "true")];
    assert_eq!(kind(&[&URI_SET, &off], true), "credentialsUri");
    assert_eq!(kind(&[], true), "instanceRole");
    assert_eq!(operator(&[], false).unwrap_err(), ABSENT);
}

#[test]
fn a_broken_source_is_an_error_though_the_next_would_work() {
    let missing = |variables: &[&[(&str, &str)]]| operator(variables, true).unwrap_err();
    let rest: Vec<(&str, &str)> = [&RRSA[..], &FILE_SET, &URI_SET].concat();
    let table: [(&[(&str, &str)], &str); 3] = [
        (&KEYS[..1], KEY_SECRET),
        (&KEYS[1..], KEY_ID),
        (&[(KEY_TOKEN, "canary-t")], KEY_ID),
    ];
    for (part, name) in table {
        assert_eq!(missing(&[part, &rest]), EnvironmentError::Missing(name));
    }
    for (name, _) in RRSA {
        let broken = [(name, "")];
        let error = missing(&[&RRSA, &broken, &FILE_SET, &URI_SET]);
        assert_eq!(error, EnvironmentError::Missing(name));
    }
    for (variable, value) in [(FILE, "credentials"), (METADATA_DISABLED, "maybe")] {
        let error = missing(&[&[(variable, value)], &URI_SET]).to_string();
        assert!(error.contains(variable), "{error}");
    }
    let error = operator(&[&[(URI, "file:///canary")]], false).unwrap_err();
    assert!(error.to_string().contains(URI) && !error.to_string().contains("canary"));
}

#[test]
fn each_source_says_what_its_variables_say() {
    let token = [(KEY_TOKEN, "canary-t")];
    let Ok(Source::AccessKey(key)) = operator(&[&KEYS, &token], false) else {
        panic!("no key")
    };
    assert_eq!((&*key.id, key.secret.expose_secret()), ("id", "canary-s"));
    assert_eq!(key.token.unwrap().expose_secret(), "canary-t");
    let Ok(Source::WebIdentity(rrsa)) = operator(&[&RRSA], false) else {
        panic!("no role")
    };
    let path = "/token".into();
    assert_eq!(rrsa.subject, Subject::TokenFile { path });
    let Ok(Source::Profile(profile)) = operator(&[&FILE_SET, &[(PROFILE, "p")]], false) else {
        panic!("no profile")
    };
    assert_eq!(
        (&*profile.name, profile.sts.endpoint.host()),
        ("p", "sts.cn-beijing.aliyuncs.com")
    );
}

#[test]
fn an_instance_role_is_given_or_the_environments_or_discovered() {
    let role = |variables: &[(&str, &str)], name| instance_role(&environment(&[variables]), name);
    assert_eq!(role(&[], None).unwrap().role_name, None);
    let named = [(METADATA_ROLE, "worker")];
    assert_eq!(
        role(&named, None).unwrap().role_name.as_deref(),
        Some("worker")
    );
    assert_eq!(
        role(&named, Some("a")).unwrap().role_name.as_deref(),
        Some("a")
    );
    assert!(role(&[(METADATA_ROLE, "../x")], None).is_err());
    let error = role(&[(METADATA_DISABLED, "true")], Some("a")).unwrap_err();
    assert!(error.to_string().contains(METADATA_DISABLED), "{error}");
}

#[test]
fn the_first_version_of_the_metadata_service_can_be_disabled() {
    let metadata =
        |variables: &[(&str, &str)]| environment(&[variables]).metadata(Some("http://m/"));
    assert!(metadata(&[]).unwrap().allow_v1);
    assert!(!metadata(&[(V1_DISABLED, "true")]).unwrap().allow_v1);
    assert!(metadata(&[(V1_DISABLED, "yes")]).is_err());
    assert_eq!(metadata(&[]).unwrap().url.as_deref(), Some("http://m"));
}

#[test]
fn an_environment_does_not_show_what_it_holds() {
    let token = [(KEY_TOKEN, "canary-t")];
    let environment = environment(&[&KEYS, &token, &URI_SET]);
    let operator = operator(&[&KEYS, &token, &URI_SET], false);
    let shown = format!("{environment:?} {operator:?}");
    assert!(
        shown.contains(KEY_ID) && !shown.contains("canary"),
        "{shown}"
    );
    let uri = operator_of_uri();
    assert!(!format!("{uri:?}").contains("canary"));
}

fn operator_of_uri() -> Source {
    operator(&[&URI_SET], false).unwrap()
}
