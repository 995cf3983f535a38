//! Which environments make an identity, and what the others are told.

use super::*;

const FULL: [(&str, &str); 3] = [
    (ROLE_ARN, "acs:ram::1:role/operator"),
    (PROVIDER_ARN, "acs:ram::1:oidc-provider/c1"),
    (TOKEN_FILE, "/var/run/secrets/token"),
];
const STORE: StsChoice<'_> = StsChoice {
    endpoint: None,
    region: "cn-beijing",
    network: Network::Vpc,
};

fn environment(more: &[(&str, &str)]) -> Environment {
    let variables = FULL.iter().chain(more);
    Environment::new(variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn operator(environment: &Environment) -> Result<Rrsa, EnvironmentError> {
    let rrsa = environment.rrsa(&STORE, "c.ns.operator", &EndpointPolicy::default());
    rrsa?.ok_or(EnvironmentError::Absent)
}

fn sts_host(more: &[(&str, &str)], choice: &StsChoice<'_>) -> Result<String, String> {
    let found = environment(more).sts(choice, &EndpointPolicy::default());
    found
        .map(|endpoint| endpoint.host().to_owned())
        .map_err(|error| error.to_string())
}

#[test]
fn a_complete_environment_is_an_identity() {
    let rrsa = operator(&environment(&[])).unwrap();
    assert_eq!(rrsa.role_arn, "acs:ram::1:role/operator");
    assert_eq!(rrsa.session_name, "c.ns.operator");
    let path = PathBuf::from("/var/run/secrets/token");
    assert_eq!(rrsa.subject, Subject::TokenFile { path });
    let named = operator(&environment(&[(SESSION_NAME, "mine")])).unwrap();
    assert_eq!(named.session_name, "mine");
}

#[test]
fn a_missing_variable_is_named() {
    let unset = Environment::new([("HOME".to_owned(), "/".to_owned())]);
    assert_eq!(operator(&unset), Err(EnvironmentError::Absent));
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
    let policy = EndpointPolicy::default();
    let environment = environment(&[]);
    let provider = "acs:ram::1:oidc-provider/c1";
    let id = |role| {
        let rrsa = environment.with_role(role, provider, &STORE, "session", &policy);
        let source = super::super::Source::Rrsa(rrsa.unwrap());
        super::super::Identity::new(source, &key).id()
    };
    assert_eq!(id("acs:ram::1:role/a"), id("acs:ram::1:role/a"));
    assert_ne!(id("acs:ram::1:role/a"), id("acs:ram::1:role/b"));
}

#[test]
fn sts_is_found_in_order() {
    let host = |more: &[(&str, &str)]| sts_host(more, &STORE).unwrap();
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
    let store = StsChoice {
        endpoint: Some("https://sts.eu-central-1.aliyuncs.com"),
        ..STORE
    };
    let found = sts_host(&[endpoint], &store).unwrap();
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
        let error = sts_host(&[(STS_ENDPOINT, value)], &STORE).unwrap_err();
        assert!(error.starts_with(STS_ENDPOINT), "{error}");
    }
    let error = sts_host(&[(STS_REGION, "x.evil.com/#")], &STORE).unwrap_err();
    assert!(error.starts_with(STS_REGION), "{error}");
}
