//! What makes two identities one, and what keeps them apart.

use std::collections::HashSet;

use secrecy::SecretString;

use super::super::{
    AccessKey, Alibaba, AssumedRole, Audience, CloudRef, CredentialsUri, InstanceRole, Profile,
    ServiceAccount, Subject, Tencent, TokenService, WebIdentity,
};
use super::*;
use crate::credential::Cloud;
use crate::provider::alibaba::endpoint::{self, Network, global_sts};
use crate::provider::endpoint::EndpointPolicy;
use crate::provider::tencent;

fn key() -> DigestKey {
    DigestKey::new(&[3; 32])
}

fn sts() -> TokenService {
    let endpoint = global_sts(&EndpointPolicy::default());
    TokenService::new(&Alibaba, endpoint.unwrap())
}

fn access_key(id: &str, secret: &str, token: Option<&str>) -> Source {
    Source::AccessKey(AccessKey {
        id: id.to_owned(),
        secret: SecretString::from(secret),
        token: token.map(SecretString::from),
    })
}

fn rrsa() -> WebIdentity {
    WebIdentity {
        role_arn: "acs:ram::1:role/shop".to_owned(),
        provider: "acs:ram::1:oidc-provider/c1".to_owned(),
        subject: account("shop", "db", "u1", "sts.aliyuncs.com"),
        sts: sts(),
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

fn hop(base: Source, change: &dyn Fn(&mut AssumedRole)) -> Source {
    let mut role = AssumedRole {
        base: Arc::new(Identity::new(base, &key())),
        role_arn: "acs:ram::2:role/readers".to_owned(),
        external_id: None,
        session_name: "c.shop.db".to_owned(),
        duration_seconds: None,
        policy: None,
        sts: sts(),
    };
    change(&mut role);
    Source::AssumedRole(role)
}

fn uri(url: &str) -> Source {
    let url = SecretString::from(url);
    Source::CredentialsUri(CredentialsUri { url })
}

fn instance(role: Option<&str>) -> Source {
    let role_name = role.map(str::to_owned);
    Source::InstanceRole(InstanceRole {
        cloud: CloudRef(&Alibaba),
        role_name,
    })
}

/// A role of Tencent Cloud, vouched for by `provider`, at the STS `host`.
fn on_tencent(provider: &str, region: &str, host: &str) -> Source {
    let url = format!("https://{host}.tencentcloudapi.com");
    let endpoint = EndpointPolicy::default().check(&url, &tencent::endpoint::STS);
    Source::WebIdentity(WebIdentity {
        role_arn: "qcs::cam::uin/1:roleName/shop".to_owned(),
        provider: provider.to_owned(),
        sts: Tencent.sts(endpoint.unwrap(), region),
        ..rrsa()
    })
}

fn profile(path: &str, name: &str, session: &str) -> Source {
    Source::Profile(Profile {
        path: path.into(),
        name: name.to_owned(),
        sts: sts(),
        session_name: session.to_owned(),
    })
}

fn file(path: &str) -> Subject {
    Subject::TokenFile { path: path.into() }
}

#[test]
fn equal_material_is_one_identity() {
    let id = |source| Identity::new(source, &key()).id();
    assert_eq!(
        id(Source::WebIdentity(rrsa())),
        id(Source::WebIdentity(rrsa()))
    );
    let one = access_key("id", "s", None);
    assert_eq!(id(one.clone()), id(one));
}

#[test]
fn any_difference_makes_another_identity() {
    let with = |change: &dyn Fn(&mut WebIdentity)| {
        let mut changed = rrsa();
        change(&mut changed);
        Source::WebIdentity(changed)
    };
    let policy = EndpointPolicy::default();
    let regional = endpoint::sts(&policy, None, "cn-hangzhou", Network::Public).unwrap();
    let regional = TokenService::new(&Alibaba, regional);
    let sources = vec![
        access_key("id", "canary-1", None),
        access_key("id", "canary-2", None),
        access_key("id", "canary-1", Some("")),
        access_key("id", "canary-1", Some("t")),
        access_key("idc", "anary-1", None),
        Source::WebIdentity(rrsa()),
        with(&|r| r.role_arn.push('2')),
        with(&|r| r.provider.push('2')),
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
        hop(Source::WebIdentity(rrsa()), &|_| ()),
        hop(with(&|r| r.policy = Some("{}".to_owned())), &|_| ()),
        hop(access_key("id", "canary-1", None), &|_| ()),
        hop(hop(Source::WebIdentity(rrsa()), &|_| ()), &|_| ()),
        hop(Source::WebIdentity(rrsa()), &|r| r.role_arn.push('2')),
        hop(Source::WebIdentity(rrsa()), &|r| {
            r.external_id = Some("x".to_owned());
        }),
        hop(Source::WebIdentity(rrsa()), &|r| {
            r.external_id = Some("y".to_owned());
        }),
        hop(Source::WebIdentity(rrsa()), &|r| r.session_name.push('2')),
        hop(Source::WebIdentity(rrsa()), &|r| {
            r.duration_seconds = Some(900);
        }),
        hop(Source::WebIdentity(rrsa()), &|r| {
            r.policy = Some("x".to_owned());
        }),
        hop(Source::WebIdentity(rrsa()), &|r| r.sts = regional.clone()),
        on_tencent("cls-1", "ap-guangzhou", "sts"),
        on_tencent("cls-2", "ap-guangzhou", "sts"),
        on_tencent("cls-1", "ap-beijing", "sts"),
        on_tencent("cls-1", "ap-guangzhou", "sts.intl"),
        Source::InstanceRole(InstanceRole {
            cloud: CloudRef(&Tencent),
            role_name: None,
        }),
        instance(None),
        instance(Some("")),
        instance(Some("worker")),
        profile("/a", "default", "s"),
        profile("/b", "default", "s"),
        profile("/a", "other", "s"),
        profile("/a", "default", "t"),
        uri("http://a"),
        uri("http://b"),
    ];
    let count = sources.len();
    let ids: HashSet<IdentityId> = sources
        .into_iter()
        .map(|source| Identity::new(source, &key()).id())
        .collect();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_key_is_another_identity_at_each_site_and_where_there_is_one_site_the_same() {
    let at = |site| Identity::at(site, access_key("id", "s", None), &key()).id();
    let alone = Identity::new(access_key("id", "s", None), &key()).id();
    assert_eq!(at(None), alone);
    let ids: HashSet<IdentityId> = [at(None), at(Some("sts.a")), at(Some("sts.b"))].into();
    assert_eq!(ids.len(), 3);
    assert_eq!(Alibaba.site(&sts()), None);
    let international = TokenService {
        endpoint: sts().endpoint,
        cloud: CloudRef(&Tencent),
        region: None,
    };
    assert!(Tencent.site(&international).is_some());
}

#[test]
fn the_account_is_the_roles() {
    let identity = Identity::new(Source::WebIdentity(rrsa()), &key());
    assert_eq!(identity.account(), Some("1"));
    let identity = Identity::new(access_key("id", "s", None), &key());
    assert_eq!(identity.account(), None);
    let identity = Identity::new(hop(Source::WebIdentity(rrsa()), &|_| ()), &key());
    assert_eq!(identity.account(), Some("2"));
}

#[test]
fn a_hop_stands_on_the_identity_that_enters_it() {
    let first = Identity::new(Source::WebIdentity(rrsa()), &key());
    let second = Identity::new(hop(Source::WebIdentity(rrsa()), &|_| ()), &key());
    assert_eq!(second.base().map(|base| base.id()), Some(first.id()));
    assert!(first.base().is_none());
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

#[test]
fn an_identity_keeps_its_name_from_version_to_version() {
    let base = || Source::WebIdentity(rrsa());
    let by_file = WebIdentity {
        subject: file("/token"),
        ..rrsa()
    };
    let entered = |role: &mut AssumedRole| role.external_id = Some("x".to_owned());
    // Another name would have every Secret behind it verified anew after an upgrade.
    let table = [
        (
            access_key("id", "secret", None),
            "b9884b2bbe0de9aa75f3281459b316be",
        ),
        (
            access_key("id", "secret", Some("token")),
            "f833afc005166b41ed671690729a5b9e",
        ),
        (base(), "bf76563eec7523dcb43636dee1a71684"),
        (
            Source::WebIdentity(by_file),
            "db814a2c913f61490c9e9ae602d383c2",
        ),
        (hop(base(), &|_| {}), "ce5bae95a0be366ecfa793a84b47f1e3"),
        (hop(base(), &entered), "881940dc0f0832b2ef25ebbce92d30f1"),
        (instance(Some("worker")), "cb20775dfa402cf2c7567b7b0ee89d87"),
        (
            profile("/credentials", "default", "c.operator"),
            "3d933112d8cdae549adb807cfe7623ea",
        ),
        (
            uri("http://127.0.0.1/credentials"),
            "f6f4a21e63d47924e667abf177d8431a",
        ),
    ];
    for (source, name) in table {
        let id = Identity::new(source, &key()).id();
        assert_eq!(id.0.to_string(), name);
    }
}
