//! The operator's own identity: the operator finds what the chart sets, and the token lies where it looks for it.

use std::path::Path;

use devcluster::Binary;
use external_cloud_secrets::credential::{
    Alibaba, Cloud, Environment, OwnSession, Source, Subject, Tencent, TokenService, WebIdentity,
};
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use external_cloud_secrets::provider::{alibaba, tencent};
use serde_json::{Value, json};

use super::golden::sets;
use super::helm::{Helm, find};

/// The Pod that a value set makes.
async fn pod(set: &str) -> Value {
    let objects = Helm::new(Binary::Helm4).await.objects(&sets()[set]);
    find(&objects, "Deployment", "").unwrap()["spec"]["template"]["spec"].clone()
}

/// The variables of the operator that concern a cloud's identities, as `prefix` tells.
fn variables(pod: &Value, prefix: &str) -> Vec<(String, String)> {
    let all = pod["containers"][0]["env"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = all.filter_map(|one| Some((text(&one["name"])?, text(&one["value"])?)));
    all.filter(|(name, _)| name.starts_with(prefix)).collect()
}

/// What the operator takes for its own identity in this Pod.
fn identity(pod: &Value, prefix: &str, sts: &TokenService) -> WebIdentity {
    let (cloud, set) = (sts.cloud(), variables(pod, prefix));
    assert!(!set.is_empty());
    for (name, _) in &set {
        assert!(cloud.variables().contains(&&**name), "nobody reads {name}");
    }
    let policy = EndpointPolicy::new([], false).unwrap();
    let session = OwnSession {
        sts,
        named: false,
        name: "c.ns.operator",
        policy: &policy,
    };
    match cloud.operator(&Environment::new(set), &session, false) {
        Ok(Source::WebIdentity(identity)) => identity,
        Ok(_) => panic!("another identity"),
        Err(error) => panic!("{error}"),
    }
}

/// The audience of the token that the kubelet puts where the operator looks for one.
fn audience(pod: &Value, identity: &WebIdentity) -> String {
    let Subject::TokenFile { path } = &identity.subject else {
        panic!("no token file")
    };
    let named = |list: &Value, key: &str, value: &str| {
        let list = list.as_array().unwrap();
        let found = list.iter().find(|one| one[key] == value);
        found.unwrap_or_else(|| panic!("{value}")).clone()
    };
    let folder = path.parent().and_then(Path::to_str).unwrap();
    let mount = named(&pod["containers"][0]["volumeMounts"], "mountPath", folder);
    let volume = named(&pod["volumes"], "name", mount["name"].as_str().unwrap());
    let token = &volume["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["path"], path.file_name().unwrap().to_str().unwrap());
    token["audience"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn on_ack_the_operator_reads_what_the_chart_sets() {
    let policy = EndpointPolicy::new([], false).unwrap();
    let network = alibaba::Network::Public;
    let sts = alibaba::endpoint::sts(&policy, None, "cn-hangzhou", network).unwrap();
    let pod = pod("ack").await;
    let found = identity(&pod, "ALIBABA_CLOUD_", &TokenService::new(&Alibaba, sts));
    let rrsa = &sets()["ack"]["identity"]["rrsa"];
    assert_eq!(found.role_arn, rrsa["roleArn"]);
    assert_eq!(found.provider, rrsa["oidcProviderArn"]);
    assert_eq!(audience(&pod, &found), "sts.aliyuncs.com");
}

#[tokio::test]
async fn on_tke_the_operator_reads_what_the_chart_sets() {
    let policy = EndpointPolicy::new([], false).unwrap();
    let place = (tencent::Site::China, tencent::Network::Public);
    let sts = tencent::endpoint::sts(&policy, None, "ap-beijing", place).unwrap();
    let pod = pod("tke").await;
    let found = identity(&pod, "TKE_", &Tencent.sts(sts, "ap-beijing"));
    let tke = &sets()["tke"]["identity"]["tke"];
    assert_eq!(found.role_arn, tke["roleArn"]);
    assert_eq!(found.provider, tke["providerId"]);
    assert_eq!(json!(found.sts.region), tke["region"]);
    assert_eq!(audience(&pod, &found), "sts.cloud.tencent.com");
}

#[tokio::test]
async fn the_webhook_is_told_the_role_and_nothing_is_set_in_its_place() {
    let objects = Helm::new(Binary::Helm4)
        .await
        .objects(&sets()["ack-webhook"]);
    let account = find(&objects, "ServiceAccount", "").unwrap();
    let annotations = &account["metadata"]["annotations"];
    let role = json!({ "pod-identity.alibabacloud.com/role-name": "secrets" });
    assert_eq!(*annotations, role);
    let pod = pod("ack-webhook").await;
    assert_eq!(variables(&pod, "ALIBABA_CLOUD_"), []);
    assert_eq!(pod.get("volumes"), None);
}
