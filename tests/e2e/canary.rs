//! Values, credentials and tokens are written to Secrets and shown nowhere else, whatever goes wrong.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::http::Method;
use cloudsim::{Effect, Fault};
use devcluster::{Cluster, Options};
use external_cloud_secrets::args::LogFormat;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::leaks::{Canaries, MARK};
use super::operator::Operator;
use super::proxy::{Exchange, Proxy};
use super::scene::Scene;
use super::wait::until;
use super::world::World;

/// How long a fault may take to show: a call that hangs ends at its deadline.
const LATE: Duration = Duration::from_secs(45);
/// Makes this program play a part instead of testing.
const PART: &str = "CANARY_PART";

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_cloud_brings_a_secret_to_light() {
    let world = World::shared().await;
    let cloud_log = cloud_log();
    let cloud = Proxy::start(&world.cloud.url(), None);
    cloud.spoil(Method::POST, "/", usize::MAX, chatty);
    let scene = Scene::new(world, "canary").await;
    let mut canaries = canaries(&scene).await;
    through(&scene, &cloud.url).await;
    everything_works(&scene).await;
    everything_fails(&scene, &cloud.url).await;
    assert!(cloud.spoilt()[0].1 > 1, "no code was spoilt");
    credentials_in(&cloud.seen(), &mut canaries);
    check(&scene, &canaries, &cloud_log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_the_api_server_brings_a_secret_to_light() {
    let cloud_log = cloud_log();
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let api = Proxy::start(cluster.server(), Some(cluster.ca_pem()));
    let world = World::own_through(cluster, &api.url, &["--log-format=json"], &[]).await;
    let cloud = Proxy::start(&world.cloud.url(), None);
    let scene = Scene::new(&world, "undecodable").await;
    let mut canaries = canaries(&scene).await;
    spoil_answers(&api, &scene.namespace);
    refuse_writes(&scene).await;
    through(&scene, &cloud.url).await;
    everything_works(&scene).await;
    write_is_refused(&scene).await;
    for (rule, hits) in api.spoilt() {
        assert!(hits > 0, "no answer to {rule} was spoilt");
    }
    credentials_in(&cloud.seen(), &mut canaries);
    credentials_in(&api.seen(), &mut canaries);
    check(&scene, &canaries, &cloud_log).await;
    start_without_key(&world, &api, &canaries).await;
    json_only(&world.log().await);
}

#[test]
fn a_panic_says_where_and_not_what() {
    for format in ["text", "json"] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "canary::part_of_a_program_that_panics",
                "--exact",
                "--nocapture",
            ])
            .env(PART, format)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("panic") && text.contains("canary.rs"),
            "{text}"
        );
        Canaries::new().check("a panic", &text);
    }
}

/// Not a test of its own: see above.
#[test]
fn part_of_a_program_that_panics() {
    let Ok(format) = std::env::var(PART) else {
        return;
    };
    let format = if format == "json" {
        LogFormat::Json
    } else {
        LogFormat::Text
    };
    external_cloud_secrets::telemetry::start(Some("trace"), format).unwrap();
    let panics = std::thread::spawn(|| panic!("{MARK}-panic"));
    assert!(panics.join().is_err());
}

/// What must not be seen: marked values, tokens, and the digest key.
async fn canaries(scene: &Scene<'_>) -> Canaries {
    let mut canaries = Canaries::new();
    let home = scene.world.account.namespace();
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), home);
    let key = secrets
        .get("external-cloud-secrets-digest-key")
        .await
        .unwrap();
    canaries.bytes("the digest key", &key.data.unwrap()["key"].0);
    canaries
}

/// Adds what the cloud issued to what must not be seen.
fn credentials_in(seen: &[Exchange], canaries: &mut Canaries) {
    let mut found = 0;
    for exchange in seen {
        let Ok(answer) = serde_json::from_str::<Value>(&exchange.answered) else {
            continue;
        };
        for field in ["AccessKeySecret", "SecurityToken"] {
            if let Some(text) = answer["Credentials"][field].as_str() {
                canaries.text(&format!("an issued {field} {found}"), text);
                found += 1;
            }
        }
        if let Some(token) = answer["status"]["token"].as_str() {
            canaries.text(&format!("an issued token {found}"), token);
            found += 1;
        }
    }
    assert!(found > 1, "nothing was issued");
}

/// Points the scene's stores at a proxy of the cloud, and adds one with an access key.
async fn through(scene: &Scene<'_>, url: &str) {
    let secret = format!("{MARK}AccessKeySecret");
    let id = format!("LTAI{}", scene.namespace.replace('-', ""));
    scene.world.cloud.put_key(None, &id, &secret).unwrap();
    access_key(scene, "ak", &id, &secret).await;
    access_key(scene, "wrong", &id, &format!("{MARK}Wrong")).await;
    for (name, auth) in [
        ("oos", scene.rrsa("reader")),
        ("keyed", key_auth("ak")),
        ("wrong", key_auth("wrong")),
    ] {
        scene.apply(&store(scene, name, auth, url)).await.unwrap();
    }
}

fn store(scene: &Scene<'_>, name: &str, mut auth: Value, url: &str) -> Value {
    auth["stsEndpoint"] = url.into();
    let mut store = scene.store(name, auth);
    store["spec"]["provider"]["oos"]["endpoint"] = url.into();
    store
}

fn key_auth(secret: &str) -> Value {
    json!({ "accessKey": {
        "accessKeyIdSecretRef": { "name": secret, "key": "id" },
        "accessKeySecretSecretRef": { "name": secret, "key": "secret" },
    } })
}

async fn access_key(scene: &Scene<'_>, name: &str, id: &str, secret: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": scene.namespace },
        "stringData": { "id": id, "secret": secret },
    });
    scene.apply(&secret).await.unwrap();
}

async fn object(scene: &Scene<'_>, name: &str, store: &str) {
    let mut object = scene.object(name, "1h", &[("password", name)]);
    object["spec"]["secretStoreRef"]["name"] = store.into();
    scene.put(name, &format!("{MARK}-{name}-1"));
    scene.apply(&object).await.unwrap();
}

/// A success, a rotation, and a property of a JSON value, through both kinds of identity.
async fn everything_works(scene: &Scene<'_>) {
    for (name, store) in [("rrsa", "oos"), ("key", "keyed")] {
        object(scene, name, store).await;
        has(scene, name, &format!("{MARK}-{name}-1")).await;
        scene.put(name, &format!("{MARK}-{name}-2"));
        scene.refresh(name, "rotated").await;
        has(scene, name, &format!("{MARK}-{name}-2")).await;
    }
    scene.put(
        "json",
        &format!(r#"{{"a": "{MARK}-a", "{MARK}-field": 1}}"#),
    );
    let mut missing = scene.object("missing", "1h", &[("password", "json")]);
    missing["spec"]["data"][0]["remoteRef"]["property"] = "b".into();
    scene.apply(&missing).await.unwrap();
    scene
        .wait_condition("missing", "Fresh", "False", "PropertyNotFound")
        .await;
}

async fn has(scene: &Scene<'_>, name: &str, value: &str) {
    until(
        &format!("the value of {name}"),
        LATE,
        async || match scene.value(name, "password").await {
            Some(found) if found == value => Ok(()),
            _ => Err(scene.conditions(name).await),
        },
    )
    .await;
}

/// Every fault that the simulated cloud knows, on objects that have had a value before.
async fn everything_fails(scene: &Scene<'_>, url: &str) {
    let effects = effects();
    for (name, _) in &effects {
        object(scene, name, if *name == "hang" { "keyed" } else { "oos" }).await;
    }
    for (name, effect) in effects.clone() {
        has(scene, name, &format!("{MARK}-{name}-1")).await;
        let fault = Fault::new(effect).name(&scene.key(name));
        scene.world.cloud.add_fault(fault);
        scene.put(name, &format!("{MARK}-{name}-2"));
    }
    object(scene, "unsigned", "wrong").await;
    stranger(scene, url).await;
    for (name, _) in &effects {
        scene.refresh(name, "faulty").await;
    }
    for name in effects
        .iter()
        .map(|(name, _)| *name)
        .chain(["unsigned", "stranger"])
    {
        until(&format!("the fault {name}"), LATE, async || {
            let now = scene.conditions(name).await;
            let failed = now
                .iter()
                .any(|condition| condition.starts_with("Fresh=False"));
            if failed { Ok(()) } else { Err(now) }
        })
        .await;
    }
}

/// An identity whose token exchange is refused with a message that repeats the token.
async fn stranger(scene: &Scene<'_>, url: &str) {
    let role = format!("{}-stranger", scene.namespace);
    scene.role("stranger", &["reader"], &["/none/*"]);
    let echo = format!("the token eyJhbGciOiJSUzI1NiJ9.{MARK} is not good");
    let effect = Effect::Error {
        status: 400,
        code: "Odd.Code".into(),
        message: Some(echo),
    };
    scene
        .world
        .cloud
        .add_fault(Fault::new(effect).principal(&role));
    let mut auth = scene.rrsa("reader");
    let arn = auth["rrsa"]["roleArn"]
        .as_str()
        .unwrap()
        .replace("-reader", "-stranger");
    auth["rrsa"]["roleArn"] = arn.into();
    scene
        .apply(&store(scene, "stranger", auth, url))
        .await
        .unwrap();
    object(scene, "stranger", "stranger").await;
}

fn effects() -> Vec<(&'static str, Effect)> {
    let error = |status, code: &str, message: &str| Effect::Error {
        status,
        code: code.replace("MARK", MARK),
        message: Some(message.replace("MARK", MARK)),
    };
    let signed = "server string to sign is: POST\n/\nx-acs-security-token:MARK-token eyJhbGciOi";
    vec![
        ("refused", error(400, "SignatureDoesNotMatch", signed)),
        ("chatty", error(400, "Odd.Code", signed)),
        (
            "denied",
            error(403, "Forbidden.RAM", "MARK may not read MARK"),
        ),
        ("down", error(503, "ServiceUnavailable", "MARK")),
        (
            "throttled",
            Effect::Throttle {
                status: 429,
                code: "Throttling".into(),
                retry_after_ms: None,
            },
        ),
        ("hang", Effect::Hang),
        ("reset", Effect::Reset),
        ("close", Effect::Close),
        ("truncated", Effect::Truncate),
        ("html", Effect::Html { status: 200 }),
        ("malformed", Effect::MalformedJson),
        ("empty", Effect::EmptyValue { absent: false }),
        ("absent", Effect::EmptyValue { absent: true }),
        ("unmentioned", Effect::MissingEntry),
        (
            "redirect",
            Effect::Redirect {
                location: format!("http://127.0.0.1:1/{MARK}"),
            },
        ),
    ]
}

/// Answers that hold what was asked for and cannot be decoded: Secrets read, made and changed, and
/// tokens.
fn spoil_answers(api: &Proxy, namespace: &str) {
    let secrets = format!("/namespaces/{namespace}/secrets");
    api.spoil(
        Method::POST,
        &format!("/namespaces/{namespace}/serviceaccounts/reader/token"),
        2,
        broken,
    );
    api.spoil(Method::POST, &secrets, 2, broken);
    api.spoil(Method::GET, &format!("{secrets}/ak"), 2, broken);
    api.spoil(Method::PATCH, &format!("{secrets}/key"), 1, broken);
}

fn broken(text: &str) -> Option<String> {
    let refusal = text.contains(r#""kind":"Status""#);
    (!refusal).then(|| text.replacen("\"metadata\":{", "\"metadata\":5,\"x\":{", 1))
}

/// A code that goes on with what it should not say.
fn chatty(text: &str) -> Option<String> {
    let said = format!("Odd.Code: the value is '{MARK}', the token eyJhbGciOiJSUzI1NiJ9.{MARK}");
    text.contains("Odd.Code")
        .then(|| text.replace("Odd.Code", &said))
}

/// A policy of the cluster that refuses a Secret and quotes its data.
async fn refuse_writes(scene: &Scene<'_>) {
    let name = format!("quoting-{}", scene.namespace);
    let rule = json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"] });
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "matchConstraints": { "resourceRules": [rule] },
            "validations": [{
                "expression": "object.metadata.name != 'quoted'",
                "messageExpression": "'the data is ' + string(object.data['password'])",
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": { "policyName": name, "validationActions": ["Deny"] },
    });
    let dynamic = async |object: &Value, plural: &str| {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}");
        let request = axum::http::Request::post(path).body(serde_json::to_vec(object).unwrap());
        let made: Value = scene.client.request(request.unwrap()).await.unwrap();
        assert_eq!(made["metadata"]["name"], object["metadata"]["name"]);
    };
    dynamic(&policy, "validatingadmissionpolicies").await;
    dynamic(&binding, "validatingadmissionpolicybindings").await;
    let probe: Secret = serde_json::from_value(json!({
        "metadata": { "name": "quoted" }, "stringData": { "password": "seen" },
    }))
    .unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    until("the policy", LATE, async || {
        match scene.secrets().create(&dry, &probe).await {
            Err(kube::Error::Api(status)) if status.message.contains("the data is") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn write_is_refused(scene: &Scene<'_>) {
    object(scene, "quoted", "oos").await;
    scene
        .wait_condition("quoted", "Fresh", "False", "WriteRefused")
        .await;
}

/// Another operator that gets an answer with the digest key which it cannot decode.
async fn start_without_key(world: &World, api: &Proxy, canaries: &Canaries) {
    api.spoil(
        Method::GET,
        "/secrets/external-cloud-secrets-digest-key",
        9,
        broken,
    );
    let mut setup = world
        .operator
        .lock()
        .await
        .as_ref()
        .unwrap()
        .setup()
        .clone();
    setup.log = world.dir.path().join("without-key.log");
    let (code, log) = Operator::launch(setup).end(LATE).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("digest-key: an undecodable answer"), "{log}");
    canaries.check("the log of an operator without key", &log);
}

/// Searches every place where something is shown.
async fn check(scene: &Scene<'_>, canaries: &Canaries, cloud_log: &Buffer) {
    let world = scene.world;
    canaries.check_objects(scene).await;
    canaries.check("the operator's log", &world.log().await);
    canaries.check("metrics", &world.metrics().await);
    let ledger = serde_json::to_string_pretty(&world.cloud.ledger()).unwrap();
    assert!(
        ledger.contains(&scene.key("rrsa")),
        "the ledger saw nothing"
    );
    canaries.check("the ledger", &ledger);
    canaries.check("the cloud's log", &cloud_log.text());
    for (name, text) in seen_by_users(world).await {
        canaries.check(&name, &text);
    }
}

/// The admin pages of the simulated cloud.
async fn seen_by_users(world: &World) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for page in ["ledger", "parameters"] {
        let answer = reqwest::get(format!("{}/_sim/{page}", world.cloud.url()))
            .await
            .unwrap();
        pages.push((format!("/_sim/{page}"), answer.text().await.unwrap()));
    }
    pages
}

/// Every line is one JSON object with a level and a message or other fields of ours.
fn json_only(log: &str) {
    let mut targets = BTreeSet::new();
    for line in log.lines() {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(
            event["level"].is_string() && event["timestamp"].is_string(),
            "{line}"
        );
        let target = event["target"].as_str().unwrap();
        assert!(target.starts_with("external_cloud_secrets"), "{target}");
        targets.insert(target.to_owned());
    }
    assert!(targets.len() > 2, "{targets:?}");
}

/// What the simulated clouds of this process log.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn cloud_log() -> Buffer {
    static LOG: OnceLock<Buffer> = OnceLock::new();
    let start = || {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        tracing_subscriber::fmt()
            .with_env_filter("cloudsim=trace")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        buffer
    };
    LOG.get_or_init(start).clone()
}
