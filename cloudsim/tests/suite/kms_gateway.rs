//! The KMS gateway: quotas, faults, dry runs, hosts.

use cloudsim::{Effect, Fault, KmsSettings, Secret};
use serde_json::json;

use super::kms::*;
use crate::support::*;

#[tokio::test]
async fn quotas_count_per_account_and_are_obeyed_by_default() {
    let settings = KmsSettings::default();
    assert_eq!(
        (settings.reads_per_second, settings.lists_per_second),
        (Some(450), Some(40))
    );
    let simulator = kms().await;
    simulator.set_kms(KmsSettings {
        reads_per_second: Some(2),
        ..settings
    });
    let client = Client::new(&simulator, USER);
    let mut refused = 0;
    for _ in 0..30 {
        let reply = client.send(&value("shop/a")).await;
        if reply.status != 200 {
            assert_eq!(reply.refusal(), (429, "Rejected.Throttling"));
            refused += 1;
        }
    }
    assert!(refused > 0);
    simulator.set_kms(KmsSettings::generous());
    assert_eq!(client.send(&value("shop/a")).await.status, 200);
}

#[tokio::test]
async fn faults_strike_kms_by_name() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    simulator.add_fault(Fault::new(Effect::EmptyValue { absent: true }).name("shop/b"));
    let reply = client.send(&batch(&["shop/a", "shop/b"])).await.body;
    assert_eq!(reply["SecretValues"][0]["SecretData"], "canary-a2");
    assert!(reply["SecretValues"][1].get("SecretData").is_none());
    simulator.clear_faults();
    simulator.add_fault(Fault::new(Effect::MissingEntry).name("shop/b"));
    let reply = client.send(&batch(&["shop/a", "shop/b"])).await.body;
    assert_eq!(reply["SecretValues"].as_array().unwrap().len(), 1);
    assert_eq!(reply["Errors"], json!([]));
    assert_eq!(
        client.send(&value("shop/b")).await.body.get("SecretData"),
        None
    );
    simulator.clear_faults();
    let refusal = Effect::EntryError {
        status: 500,
        code: "InternalFailure".to_owned(),
    };
    simulator.add_fault(Fault::new(refusal).name("shop/b"));
    let reply = client.send(&batch(&["shop/a", "shop/b"])).await.body;
    assert_eq!(reply["SecretValues"].as_array().unwrap().len(), 1);
    assert_eq!(reply["Errors"][0]["Code"], "InternalFailure");
    simulator.clear_faults();
    simulator.add_fault(Fault::error(503, "ServiceUnavailableTemporary").service("kms"));
    let reply = client.send(&value("shop/a")).await;
    assert_eq!(reply.refusal(), (503, "ServiceUnavailableTemporary"));
}

#[tokio::test]
async fn a_dry_run_tells_whether_it_would_succeed() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let dry = |name| value(name).with("DryRun", "true");
    assert_eq!(
        client.send(&dry("shop/a")).await.refusal(),
        (400, "DryRunOperationError")
    );
    let denied = client.send(&dry("bank/pin")).await;
    assert_eq!(denied.refusal(), (403, "Forbidden.NoPermission"));
}

#[tokio::test]
async fn the_host_says_the_region_and_the_gateway() {
    let simulator = kms().await;
    let there = Secret::new("shop/a", "canary-beijing").region("cn-beijing");
    simulator.put_secret(there).unwrap();
    let at = |host: &str| {
        let mut client = Client::new(&simulator, USER);
        client.url = format!("http://{host}:{}", simulator.addr().port());
        client.http = reqwest::Client::builder()
            .no_proxy()
            .resolve(host, simulator.addr())
            .build()
            .unwrap();
        client
    };
    let beijing = at("kms-vpc.cn-beijing.aliyuncs.com");
    let hangzhou = at("kms.cn-hangzhou.aliyuncs.com");
    let read = async |client: &Client| client.send(&value("shop/a")).await;
    assert_eq!(read(&beijing).await.body["SecretData"], "canary-beijing");
    assert_eq!(read(&hangzhou).await.body["SecretData"], "canary-a2");
    let outage = Fault::error(503, "ServiceUnavailableTemporary");
    simulator.add_fault(outage.host("kms.cn-hangzhou.aliyuncs.com"));
    assert_eq!(read(&hangzhou).await.status, 503);
    assert_eq!(read(&beijing).await.status, 200);
    let call = simulator.ledger().recent.pop().unwrap();
    assert!(call.host.starts_with("kms-vpc.cn-beijing.aliyuncs.com:"));
}
