//! What goes wrong on purpose in the search for leaks: every fault of the cloud, refused credentials,
//! and an API server that quotes what it refuses.

use std::time::Duration;

use cloudsim::{Effect, Fault};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::leaks::MARK;
use super::scene::Scene;
use super::wait::until;

/// How long a fault may take to show: a call that hangs ends at its deadline.
pub const LATE: Duration = Duration::from_secs(90);

/// Points the scene's stores at a proxy of the cloud, and adds one with an access key.
pub async fn through(scene: &Scene<'_>, url: &str) {
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
pub async fn everything_works(scene: &Scene<'_>) {
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
pub async fn everything_fails(scene: &Scene<'_>, url: &str) {
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

/// A policy of the cluster that refuses a Secret and quotes its data.
pub async fn refuse_writes(scene: &Scene<'_>) {
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
        let request = http::Request::post(path).body(serde_json::to_vec(object).unwrap());
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

pub async fn write_is_refused(scene: &Scene<'_>) {
    object(scene, "quoted", "oos").await;
    scene
        .wait_condition("quoted", "Fresh", "False", "WriteRefused")
        .await;
}
