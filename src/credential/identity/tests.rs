//! What makes two identities one, and what keeps them apart.

use std::collections::HashSet;

use super::*;
use crate::provider::alibaba::endpoint::{Network, global_sts, sts};
use crate::provider::endpoint::EndpointPolicy;

fn key() -> DigestKey {
    DigestKey::new(&[3; 32])
}

fn access_key(id: &str, secret: &str, token: Option<&str>) -> Source {
    Source::AccessKey(AccessKey {
        id: id.to_owned(),
        secret: SecretString::from(secret),
        token: token.map(SecretString::from),
    })
}

fn rrsa() -> Rrsa {
    Rrsa {
        role_arn: "acs:ram::1:role/shop".to_owned(),
        provider_arn: "acs:ram::1:oidc-provider/c1".to_owned(),
        subject: account("shop", "db", "u1", "sts.aliyuncs.com"),
        sts: global_sts(&EndpointPolicy::default()).unwrap(),
        session_name: "c.shop.db".to_owned(),
        duration_seconds: None,
        policy: None,
    }
}

fn account(namespace: &str, name: &str, uid: &str, audience: &str) -> Subject {
    Subject::ServiceAccount {
        account: ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        },
        audience: Audience::new(audience).unwrap(),
    }
}

fn file(path: &str) -> Subject {
    Subject::TokenFile { path: path.into() }
}

#[test]
fn equal_material_is_one_identity() {
    let id = |source| Identity::new(source, &key()).id();
    assert_eq!(id(Source::Rrsa(rrsa())), id(Source::Rrsa(rrsa())));
    let one = access_key("id", "s", None);
    assert_eq!(id(one.clone()), id(one));
}

#[test]
fn any_difference_makes_another_identity() {
    let with = |change: &dyn Fn(&mut Rrsa)| {
        let mut changed = rrsa();
        change(&mut changed);
        Source::Rrsa(changed)
    };
    let policy = EndpointPolicy::default();
    let regional = sts(&policy, None, "cn-hangzhou", Network::Public).unwrap();
    let sources = vec![
        access_key("id", "canary-1", None),
        access_key("id", "canary-2", None),
        access_key("id", "canary-1", Some("")),
        access_key("id", "canary-1", Some("t")),
        access_key("idc", "anary-1", None),
        Source::Rrsa(rrsa()),
        with(&|r| r.role_arn.push('2')),
        with(&|r| r.provider_arn.push('2')),
        with(&|r| r.sts = regional.clone()),
        with(&|r| r.session_name.push('2')),
        with(&|r| r.duration_seconds = Some(900)),
        with(&|r| r.policy = Some(String::new())),
        with(&|r| r.policy = Some("{}".to_owned())),
        with(&|r| r.subject = account("shop", "db", "u2", "sts.aliyuncs.com")),
        with(&|r| r.subject = account("shop", "db2", "u1", "sts.aliyuncs.com")),
        with(&|r| r.subject = account("shop2", "db", "u1", "sts.aliyuncs.com")),
        with(&|r| r.subject = account("shop", "db", "u1", "other")),
        with(&|r| r.subject = file("/a")),
        with(&|r| r.subject = file("/b")),
    ];
    let count = sources.len();
    let ids: HashSet<IdentityId> = sources
        .into_iter()
        .map(|source| Identity::new(source, &key()).id())
        .collect();
    assert_eq!(ids.len(), count);
}

#[test]
fn the_account_is_the_roles() {
    let identity = Identity::new(Source::Rrsa(rrsa()), &key());
    assert_eq!(identity.account(), Some("1"));
    let identity = Identity::new(access_key("id", "s", None), &key());
    assert_eq!(identity.account(), None);
}

#[test]
fn an_identity_does_not_show_its_secrets() {
    let identity = Identity::new(access_key("id", "canary-s", Some("canary-t")), &key());
    assert!(!format!("{identity:?}").contains("canary"));
}

#[test]
fn an_audience_is_never_empty() {
    assert_eq!(Audience::new(""), None);
    assert_eq!(Audience::new(" \n"), None);
    assert_eq!(Audience::new("a").unwrap().as_str(), "a");
}
