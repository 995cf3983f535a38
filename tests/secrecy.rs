//! No type that can hold a secret shows it when it is printed for debugging.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use external_cloud_secrets::clock::{Clock, SystemClock};
use external_cloud_secrets::controller::external_cloud_secret::inputs::Inputs;
use external_cloud_secrets::controller::external_cloud_secret::plan::Settlement;
use external_cloud_secrets::controller::guard::guarded;
use external_cloud_secrets::controller::pressure::Pressure;
use external_cloud_secrets::credential::{
    AccessKey, Credentials, Environment, Exchange, Exchanger, Identity, Source, TokenMinter,
};
use external_cloud_secrets::digest::{DigestKey, Domain, KEY_BYTES};
use external_cloud_secrets::http::{HttpClient, HttpOptions, Post};
use external_cloud_secrets::metrics::Metrics;
use external_cloud_secrets::provider::alibaba::{Network, Oos, OosConfig, Parameters};
use external_cloud_secrets::provider::endpoint::{EndpointError, EndpointPolicy, Service};
use external_cloud_secrets::provider::{
    Answer, CallError, Class, Detail, Edge, Fetched, Provider, Skews,
};
use external_cloud_secrets::refresh::{CallFailure, Joined, Need, Origin, View};
use external_cloud_secrets::secret_bytes::SecretBytes;
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

/// Every secret of these tests begins with it.
const MARK: &str = "kanari";

#[test]
fn values_are_not_shown() {
    let value = || SecretBytes::from(format!("{MARK}-value"));
    hidden("SecretBytes", &value());
    let fetched = || Fetched::new(value(), Some("1".into()));
    hidden("Fetched", &fetched());
    let answer: Answer = Ok(fetched());
    hidden("Answer", &answer);
    let key = DigestKey::new(&[7; KEY_BYTES]);
    let digest = key.digest(Domain::Value, &[b"x"]);
    let settlement = Settlement::Write {
        data: BTreeMap::from([("password".to_owned(), value())]),
        inputs: Inputs::new(&key, digest, digest),
    };
    hidden("Settlement", &settlement);
}

#[test]
fn credentials_are_not_shown() {
    let credentials = Credentials {
        access_key_id: format!("{MARK}-id"),
        access_key_secret: format!("{MARK}-secret").into(),
        security_token: Some(format!("{MARK}-token").into()),
        expires_at: None,
    };
    hidden("Credentials", &credentials);
    hidden("shared Credentials", &Arc::new(credentials));
    let access_key = AccessKey {
        id: "LTAI1".into(),
        secret: format!("{MARK}-secret").into(),
        token: Some(format!("{MARK}-token").into()),
    };
    hidden("AccessKey", &access_key);
    let source = Source::AccessKey(access_key);
    hidden("Source", &source);
    let key = DigestKey::new(&[7; KEY_BYTES]);
    hidden("Identity", &Identity::new(source, &key));
}

#[test]
fn neither_requests_nor_the_operators_environment_are_shown() {
    let url = format!("https://host/?token={MARK}");
    let body = Zeroizing::new(format!("OIDCToken={MARK}").into_bytes());
    let post = Post::new(&url, &[("authorization", MARK)], body).unwrap();
    hidden("Post", &post);
    let variables = [
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "HTTPS_PROXY",
        "DB_PASSWORD",
    ];
    let variables = variables.map(|name| (name.to_owned(), format!("http://u:{MARK}@proxy")));
    hidden("Environment", &Environment::new(variables));
}

#[test]
fn the_digest_key_is_not_shown() {
    let bytes = *b"kanari-kanari-kanari-kanari-kana";
    let key = DigestKey::new(&bytes);
    hidden("DigestKey", &key);
    assert!(!key.id().contains(MARK));
}

#[test]
fn an_origin_and_a_need_are_not_telling() {
    let origin = Arc::new(origin());
    hidden("Origin", &*origin);
    let need = Need {
        store: "shop/store".into(),
        limits: external_cloud_secrets::refresh::StoreLimits::default(),
        origin,
        key: external_cloud_secrets::provider::RemoteKey::named("/shop/db"),
        interval: std::time::Duration::from_mins(1),
        applied: None,
    };
    assert!(
        hidden("Need", &need).contains("/shop/db"),
        "what is asked for may be seen"
    );
}

#[test]
fn errors_quote_nothing() {
    let error = CallError::new(Class::Denied, &format!("Odd {MARK}"))
        .with_request_id(Some(&format!("1 {MARK}")))
        .with_detail(Detail::Undecodable {
            category: "syntax",
            line: 1,
            column: 2,
        });
    hidden("CallError", &error);
    hidden("CallFailure", &CallFailure::Call(error.clone()));
    hidden("View", &View::Failed(Arc::new(error.clone())));
    hidden("Joined", &Joined::Ready(vec![Err(Arc::new(error.clone()))]));
    assert!(!error.to_string().contains(MARK));
    let policy = EndpointPolicy::default();
    let service = Service {
        name: "oos",
        hosts: &["oos.{region}.aliyuncs.com"],
    };
    let urls = [
        format!("https://user:{MARK}@oos.cn-hangzhou.aliyuncs.com"),
        format!("https://oos.cn-hangzhou.aliyuncs.com/?token={MARK}"),
        format!("{MARK} is not a URL"),
    ];
    for url in urls {
        let error: EndpointError = policy.check(&url, &service).unwrap_err();
        hidden("EndpointError", &error);
        assert!(!error.to_string().contains(MARK), "{error}");
    }
}

#[tokio::test]
async fn a_caught_panic_tells_nothing() {
    std::panic::set_hook(Box::new(|_| {}));
    let calm = Pressure::new(Arc::new(Metrics::new().unwrap()));
    let outcome = guarded(&calm, async {
        // Whatever the compiler thinks of it.
        assert!(std::env::args().count() == 0, "{MARK}-panic");
        unreachable!()
    })
    .await;
    assert_eq!(outcome.as_str(), "panicked");
    hidden("Outcome", &outcome);
}

#[test]
fn what_has_no_business_in_a_log_cannot_be_printed() {
    // A type without `Debug` cannot be printed at all; this fails to compile if one gets it.
    trait Unprintable<Marker> {
        fn is() {}
    }
    struct Printable;
    impl<T: ?Sized> Unprintable<()> for T {}
    impl<T: Debug + ?Sized> Unprintable<Printable> for T {}
    <Exchange as Unprintable<_>>::is();
    <external_cloud_secrets::http::Response as Unprintable<_>>::is();
    <dyn TokenMinter as Unprintable<_>>::is();
    <dyn Exchanger as Unprintable<_>>::is();
    <dyn Provider as Unprintable<_>>::is();
}

fn origin() -> Origin {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let edge = Edge {
        http: HttpClient::new(HttpOptions::default()).unwrap(),
        clock,
        random: Arc::new(SystemRandom::new()),
        skews: Skews::default(),
    };
    let policy = EndpointPolicy::default();
    let sts = Service {
        name: "sts",
        hosts: &["sts.aliyuncs.com"],
    };
    let sts = policy.check("https://sts.aliyuncs.com", &sts).unwrap();
    let config = OosConfig {
        region: "cn-hangzhou".into(),
        network: Network::Public,
        endpoint: None,
        parameters: Parameters::Secret,
    };
    let access_key = AccessKey {
        id: "LTAI1".into(),
        secret: format!("{MARK}-secret").into(),
        token: None,
    };
    let key = DigestKey::new(&[7; KEY_BYTES]);
    Origin {
        provider: Arc::new(Oos::new(config, sts, &policy, edge).unwrap()),
        identity: Arc::new(Identity::new(Source::AccessKey(access_key), &key)),
    }
}

/// Prints `value` in both ways and fails if a secret shows, be it as bytes.
fn hidden(what: &str, value: &dyn Debug) -> String {
    let shown = format!("{value:?} {value:#?}");
    let as_bytes = format!("{:?}", MARK.as_bytes());
    for secret in [MARK, as_bytes.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{what} shows {secret}");
    }
    assert!(!shown.trim().is_empty());
    shown
}
