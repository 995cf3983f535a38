//! The dedicated instance of KMS: its certificate, and what it serves.

use cloudsim::{Batch, Fault, InstanceOptions, KmsSettings, Options, Secret, Simulator};
use reqwest::Certificate;

use crate::kms::{batch, kms_seed, value};
use crate::support::*;

async fn with_instance(options: InstanceOptions) -> Simulator {
    let options = Options {
        kms_instance: Some(options),
        ..Options::default()
    };
    Simulator::start(kms_seed().to_string(), options)
        .await
        .unwrap()
}

/// A client of the instance that trusts this CA and no other.
fn trusting(simulator: &Simulator, ca_pem: &str) -> Client {
    let instance = simulator.kms_instance().unwrap();
    let mut client = Client::new(simulator, USER);
    client.url.clone_from(&instance.url);
    client.http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only(Certificate::from_pem_bundle(ca_pem.as_bytes()).unwrap())
        .resolve(&instance.host, instance.address)
        .build()
        .unwrap();
    client
}

fn ca(simulator: &Simulator) -> String {
    simulator.kms_instance().unwrap().ca_pem.clone()
}

#[tokio::test]
async fn an_instance_is_reached_with_its_own_ca_only() {
    let simulator = with_instance(InstanceOptions::default()).await;
    let client = trusting(&simulator, &ca(&simulator));
    assert_eq!(
        client.send(&value("shop/a")).await.body["SecretData"],
        "canary-a2"
    );
    let mut by_name = client.clone();
    let instance = simulator.kms_instance().unwrap();
    by_name.url = format!("https://{}:{}", instance.host, instance.address.port());
    assert_eq!(by_name.send(&value("shop/a")).await.status, 200);

    let other = with_instance(InstanceOptions::default()).await;
    let wrong = trusting(&simulator, &ca(&other));
    assert!(wrong.sign(&value("shop/a")).send().await.is_err());
    let none = Client {
        url: client.url.clone(),
        ..Client::new(&simulator, USER)
    };
    assert!(none.sign(&value("shop/a")).send().await.is_err());
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_have_is_refused_by_the_client() {
    let options = InstanceOptions {
        host: "kst-other.cryptoservice.kms.aliyuncs.com".to_owned(),
        names: Vec::new(),
        ..InstanceOptions::default()
    };
    let simulator = with_instance(options).await;
    let mut client = trusting(&simulator, &ca(&simulator));
    assert!(client.sign(&value("shop/a")).send().await.is_err());
    let instance = simulator.kms_instance().unwrap();
    client.url = format!("https://{}:{}", instance.host, instance.address.port());
    assert_eq!(client.send(&value("shop/a")).await.status, 200);
}

#[tokio::test]
async fn an_instance_does_business_and_no_management() {
    let simulator = with_instance(InstanceOptions::default()).await;
    let client = trusting(&simulator, &ca(&simulator));
    for action in ["ListSecrets", "DescribeSecret", "PutSecretValue"] {
        let reply = client.send(&Draft::new(KMS, action)).await;
        assert_eq!(reply.refusal(), (400, "UnsupportedOperation"));
    }
    assert_eq!(
        client.identity().await.refusal(),
        (404, "InvalidProduct.NotFound")
    );
    assert_eq!(
        client.get("/shop/a").await.refusal(),
        (404, "InvalidProduct.NotFound")
    );
    let admin = client
        .http
        .get(format!("{}/_sim/health", client.url))
        .send()
        .await
        .unwrap();
    assert_ne!(admin.status(), 200);
}

#[tokio::test]
async fn an_instance_knows_no_batch_by_default_and_has_no_quota() {
    let simulator = with_instance(InstanceOptions::default()).await;
    let client = trusting(&simulator, &ca(&simulator));
    let reply = client.send(&batch(&["shop/a"])).await;
    assert_eq!(reply.refusal(), (404, "InvalidApi.NotFound"));
    simulator.set_kms(KmsSettings {
        instance_batch: Batch::On,
        reads_per_second: Some(0),
        ..KmsSettings::default()
    });
    assert_eq!(client.send(&batch(&["shop/a"])).await.status, 200);
    let shared = Client::new(&simulator, USER).send(&value("shop/a")).await;
    assert_eq!(shared.refusal(), (429, "Rejected.Throttling"));
}

#[tokio::test]
async fn an_instance_serves_no_secret_of_another_and_breaks_like_the_rest() {
    let simulator = with_instance(InstanceOptions::default()).await;
    let client = trusting(&simulator, &ca(&simulator));
    let theirs = Secret {
        instance: Some("kst-theirs".to_owned()),
        ..Secret::new("shop/t", "canary")
    };
    simulator.put_secret(theirs).unwrap();
    let ours = Secret {
        instance: Some("kst-sim".to_owned()),
        ..Secret::new("shop/o", "canary")
    };
    simulator.put_secret(ours).unwrap();
    let reply = client.send(&value("shop/t")).await;
    assert_eq!(reply.refusal(), (404, "Forbidden.ResourceNotFound"));
    assert_eq!(client.send(&value("shop/o")).await.status, 200);
    simulator.add_fault(Fault::new(cloudsim::Effect::Reset).host("kst-*").times(1));
    assert_eq!(client.send(&value("shop/a")).await.status, 200);
    simulator.add_fault(
        Fault::new(cloudsim::Effect::Reset)
            .host("127.0.0.1:*")
            .times(1),
    );
    assert!(client.sign(&value("shop/a")).send().await.is_err());
}
