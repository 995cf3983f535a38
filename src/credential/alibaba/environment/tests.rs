//! Which environments make an identity, and what the others are told.

use super::*;
use crate::provider::endpoint::EndpointPolicy;

const FULL: [(&str, &str); 3] = [
    (ROLE_ARN, "acs:ram::1:role/operator"),
    (PROVIDER_ARN, "acs:ram::1:oidc-provider/c1"),
    (TOKEN_FILE, "/var/run/secrets/token"),
];

/// The STS of a store in a VPC, or the one that it names.
fn store(named: Option<&str>) -> TokenService {
    let policy = EndpointPolicy::default();
    let sts = endpoint::sts(&policy, named, "cn-beijing", Network::Vpc);
    TokenService::new(&Alibaba, sts.unwrap())
}

/// What `ask` is told of a session of such a store.
fn session<T>(named: Option<&str>, ask: impl FnOnce(&OwnSession<'_>) -> T) -> T {
    ask(&OwnSession {
        sts: &store(named),
        named: named.is_some(),
        name: "c.ns.operator",
        policy: &EndpointPolicy::default(),
    })
}

fn environment(more: &[(&str, &str)]) -> Environment {
    let variables = FULL.iter().chain(more);
    Environment::new(variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn operator(environment: &Environment) -> Result<Option<WebIdentity>, EnvironmentError> {
    session(None, |session| rrsa(environment, session))
}

fn sts_host(more: &[(&str, &str)], named: Option<&str>) -> Result<String, String> {
    session(named, |session| sts(&environment(more), session))
        .map(|sts| sts.endpoint.host().to_owned())
        .map_err(|error| error.to_string())
}

#[test]
fn a_complete_environment_is_an_identity() {
    let rrsa = operator(&environment(&[])).unwrap().unwrap();
    assert_eq!(rrsa.role_arn, "acs:ram::1:role/operator");
    assert_eq!(rrsa.session_name, "c.ns.operator");
    let path = PathBuf::from("/var/run/secrets/token");
    assert_eq!(rrsa.subject, Subject::TokenFile { path });
    let named = operator(&environment(&[(SESSION_NAME, "mine")]));
    let named = named.unwrap().unwrap();
    assert_eq!(named.session_name, "mine");
}

#[test]
fn a_missing_variable_is_named() {
    let unset = Environment::new([("HOME".to_owned(), "/".to_owned())]);
    assert_eq!(operator(&unset), Ok(None));
    for (name, _) in FULL {
        let partial = environment(&[(name, " ")]);
        assert_eq!(operator(&partial), Err(EnvironmentError::Missing(name)));
    }
}

#[test]
fn a_broken_variable_is_named() {
    for (name, value) in [
        (ROLE_ARN, "operator"),
        (PROVIDER_ARN, "acs:ram::1:role/operator"),
        (TOKEN_FILE, "token"),
        (SESSION_NAME, "a b"),
        (SESSION_NAME, "x"),
    ] {
        let error = operator(&environment(&[(name, value)])).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let both = [(STS_REGION, "cn-beijing"), (VPC_ENDPOINT, "maybe")];
    let error = operator(&environment(&both)).unwrap_err();
    assert!(error.to_string().contains(VPC_ENDPOINT), "{error}");
}

#[test]
fn two_roles_of_one_file_are_two_identities() {
    let key = crate::digest::DigestKey::new(&[1; 32]);
    let environment = environment(&[]);
    let id = |role| {
        let rrsa = session(None, |session| with_role(&environment, role, None, session));
        let source = crate::credential::Source::WebIdentity(rrsa.unwrap());
        crate::credential::Identity::new(source, &key).id()
    };
    assert_eq!(id("acs:ram::1:role/a"), id("acs:ram::1:role/a"));
    assert_ne!(id("acs:ram::1:role/a"), id("acs:ram::1:role/b"));
}

#[test]
fn sts_is_found_in_order() {
    let host = |more: &[(&str, &str)]| sts_host(more, None).unwrap();
    let vpc = (VPC_ENDPOINT, "True");
    let region = (STS_REGION, "cn-shanghai");
    let endpoint = (STS_ENDPOINT, "sts.cn-shenzhen.aliyuncs.com");
    assert_eq!(host(&[]), "sts-vpc.cn-beijing.aliyuncs.com");
    assert_eq!(host(&[vpc]), "sts-vpc.cn-beijing.aliyuncs.com");
    assert_eq!(host(&[region]), "sts.cn-shanghai.aliyuncs.com");
    assert_eq!(host(&[region, vpc]), "sts-vpc.cn-shanghai.aliyuncs.com");
    assert_eq!(
        host(&[region, vpc, endpoint]),
        "sts.cn-shenzhen.aliyuncs.com"
    );
    let url = (STS_ENDPOINT, "https://sts.aliyuncs.com/");
    assert_eq!(host(&[url]), "sts.aliyuncs.com");
    let store = "https://sts.eu-central-1.aliyuncs.com";
    let found = sts_host(&[endpoint], Some(store)).unwrap();
    assert_eq!(found, "sts.eu-central-1.aliyuncs.com");
}

#[test]
fn an_sts_off_the_policy_is_refused_and_named() {
    for value in [
        "sts.evil.com",
        "http://sts.aliyuncs.com",
        "u@sts.aliyuncs.com",
        "sts.aliyuncs.com/x",
        "sts.aliyuncs.com:444",
        "100.100.100.200",
    ] {
        let error = sts_host(&[(STS_ENDPOINT, value)], None).unwrap_err();
        assert!(error.starts_with(STS_ENDPOINT), "{error}");
    }
    let error = sts_host(&[(STS_REGION, "x.evil.com/#")], None).unwrap_err();
    assert!(error.starts_with(STS_REGION), "{error}");
}
