//! Where calls go: what a tenant writes into a URL is refused before anything is made or signed.

use std::net::TcpListener;
use std::time::Duration;

use cloudsim::{Effect, Fault};
use serde_json::{Value, json};

use super::scene::Scene;
use super::world::World;

const STORE: &str = "CloudSecretStore";

/// A place where nobody may ever call.
pub struct Trap(TcpListener);

impl Trap {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub fn assert_untouched(&self) {
        let called = self.0.accept();
        assert!(called.is_err(), "somebody called: {called:?}");
    }
}

/// A store of `scene` whose `field`, provider or STS endpoint, is `url`.
fn store(scene: &Scene<'_>, name: &str, field: &str, url: &str) -> Value {
    let mut store = scene.store(name, scene.rrsa("reader"));
    // All else is as in production.
    store["spec"]["provider"]["oos"] = json!({ "region": "cn-hangzhou" });
    store["spec"]["auth"]
        .as_object_mut()
        .unwrap()
        .remove("stsEndpoint");
    *store
        .pointer_mut("/spec")
        .unwrap()
        .pointer_mut(parent(field))
        .unwrap() = {
        let mut changed = store["spec"].pointer(parent(field)).unwrap().clone();
        changed[field.rsplit('.').next().unwrap()] = url.into();
        changed
    };
    store
}

fn parent(field: &str) -> &'static str {
    if field.starts_with("spec.auth") {
        "/auth"
    } else {
        "/provider/oos"
    }
}

const PROVIDER: &str = "spec.provider.oos.endpoint";
const STS: &str = "spec.auth.stsEndpoint";

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_off_the_patterns_is_refused_before_anything_is_signed() {
    let world = World::strict().await;
    let scene = Scene::new(world, "endpoints").await;
    let trap = Trap::new();
    let (port, cloud) = (trap.port(), world.cloud.url());
    let before = world
        .cluster
        .writes()
        .await
        .unwrap()
        .of("serviceaccounts/token");
    let table = [
        (cloud.clone(), "must use https"),
        (format!("http://127.0.0.1:{port}"), "must use https"),
        (format!("https://127.0.0.1:{port}"), "not an IP address"),
        (format!("https://localhost:{port}"), "must not name a port"),
        ("https://169.254.169.254".into(), "link-local or metadata"),
        ("https://100.100.100.200".into(), "link-local or metadata"),
        ("https://2852039166".into(), "link-local or metadata"),
        (
            "https://0x64.0x64.0x64.0xc8".into(),
            "link-local or metadata",
        ),
        (
            "https://[::ffff:100.100.100.200]".into(),
            "link-local or metadata",
        ),
        ("https://[fe80::1]".into(), "link-local or metadata"),
        ("https://evil.com".into(), "host evil.com is not one of"),
        (
            "https://oos.cn-hangzhou.aliyuncs.com:8443".into(),
            "must not name a port",
        ),
        (
            "https://oos.cn-hangzhou.aliyuncs.com.evil.com".into(),
            "is not one of",
        ),
        (
            "https://evil.com\\.oos.cn-hangzhou.aliyuncs.com".into(),
            "must end after the host",
        ),
        ("https://oos.evil.com.aliyuncs.com".into(), "is not one of"),
        (
            "https://kms.cn-hangzhou.aliyuncs.com".into(),
            "is not one of",
        ),
    ];
    for (i, (url, problem)) in table.iter().enumerate() {
        for (kind, field) in [("oos", PROVIDER), ("sts", STS)] {
            let name = format!("{kind}-{i}");
            scene
                .apply(&store(&scene, &name, field, url))
                .await
                .unwrap();
            let object = scene.reading(&name, (STORE, &name), &[("a", "/a")]);
            scene.apply(&object).await.unwrap();
        }
        for (kind, field) in [("oos", "spec.provider.oos"), ("sts", STS)] {
            let name = format!("{kind}-{i}");
            let store = scene.wait_store(STORE, &name, "False", "InvalidSpec").await;
            let object = scene
                .wait_condition(&name, "Ready", "False", "StoreNotReady")
                .await;
            for message in [store, object] {
                let told = message.contains(field) && message.contains(problem);
                assert!(told, "{kind} {url}: {message}");
            }
        }
    }
    // One service's host is not another's.
    let swapped = [
        (PROVIDER, "sts.cn-hangzhou.aliyuncs.com"),
        (STS, "oos.cn-hangzhou.aliyuncs.com"),
    ];
    for (i, (field, host)) in swapped.into_iter().enumerate() {
        let name = format!("swapped-{i}");
        let url = format!("https://{host}");
        scene
            .apply(&store(&scene, &name, field, &url))
            .await
            .unwrap();
        let message = scene.wait_store(STORE, &name, "False", "InvalidSpec").await;
        assert!(message.contains(host), "{message}");
    }
    let after = world
        .cluster
        .writes()
        .await
        .unwrap()
        .of("serviceaccounts/token");
    assert_eq!(after, before, "a token was made");
    assert_eq!(world.cloud.ledger().total, 0, "the cloud was called");
    trap.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_smuggled_into_a_region_or_url_is_refused_by_the_api_server() {
    let scene = Scene::new(World::strict().await, "smuggled").await;
    let region = |text: &str| {
        let mut store = store(&scene, "smuggled", PROVIDER, "https://x");
        store["spec"]["provider"]["oos"] = json!({ "region": text });
        (store, "spec.provider.oos.region")
    };
    let url = |field: &'static str, text: &str| (store(&scene, "smuggled", field, text), field);
    let mut refused = vec![
        region("x.evil.com/#"),
        region("cn-hangzhou.evil.com"),
        region("a@evil.com"),
    ];
    for field in [PROVIDER, STS] {
        refused.extend([
            url(
                field,
                "https://user:canary-password@oos.cn-hangzhou.aliyuncs.com",
            ),
            url(field, "https://oos.cn-hangzhou.aliyuncs.com@evil.com"),
            url(field, "https://evil.com/?oos.cn-hangzhou.aliyuncs.com"),
            url(field, "https://evil.com#.aliyuncs.com"),
            url(field, "file:///etc/passwd"),
            url(field, "oos.cn-hangzhou.aliyuncs.com"),
        ]);
    }
    for (store, field) in refused {
        let message = scene.apply(&store).await.unwrap_err().to_string();
        assert!(message.contains(field), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_addresses_are_refused_also_where_insecure_endpoints_are_allowed() {
    let scene = Scene::new(World::shared().await, "metadata").await;
    for (i, host) in [
        "169.254.169.254",
        "100.100.100.200",
        "[::ffff:169.254.169.254]",
    ]
    .iter()
    .enumerate()
    {
        for (kind, field) in [("oos", PROVIDER), ("sts", STS)] {
            let name = format!("{kind}-{i}");
            let store = store(&scene, &name, field, &format!("http://{host}"));
            scene.apply(&store).await.unwrap();
            let message = scene.wait_store(STORE, &name, "False", "InvalidSpec").await;
            assert!(message.contains("link-local or metadata"), "{message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let scene = Scene::new(World::shared().await, "redirect").await;
    let cloud = &scene.world.cloud;
    let trap = Trap::new();
    let location = format!("http://127.0.0.1:{}/", trap.port());
    let redirect = || {
        Fault::new(Effect::Redirect {
            location: location.clone(),
        })
    };
    scene.put("db", "canary-redirect");
    scene
        .apply(&scene.object("db", "1h", &[("password", "db")]))
        .await
        .unwrap();
    let secret = scene.wait_value("db", "password", "canary-redirect").await;
    let fault = cloud.add_fault(redirect().name(&scene.key("db")));
    scene.refresh("db", "1").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "UnexpectedResponse")
        .await;
    assert!(message.contains("Redirect"), "{message}");
    assert_eq!(scene.secret("db").await.unwrap(), secret);
    cloud.clear_fault(fault);
    scene.refresh("db", "2").await;
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;

    // Nor one of the token service, which would carry a token away.
    scene.role("other", &["reader"], &[&scene.key("*")]);
    let role = format!("{}-other", scene.namespace);
    let fault = cloud.add_fault(redirect().principal(&role));
    let mut auth = scene.rrsa("other");
    auth["rrsa"]["serviceAccountRef"]["name"] = "reader".into();
    scene.apply(&scene.store("other", auth)).await.unwrap();
    let object = scene.reading("other", (STORE, "other"), &[("a", &scene.key("db"))]);
    scene.apply(&object).await.unwrap();
    let message = scene
        .wait_condition("other", "Ready", "False", "UnexpectedResponse")
        .await;
    assert!(message.contains("Redirect"), "{message}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    cloud.clear_fault(fault);
    trap.assert_untouched();
}
