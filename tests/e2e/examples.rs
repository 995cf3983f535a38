//! The simulated cloud that the examples and the pages read, and a clone in which their commands are typed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use cloudsim::Simulator;
use devcluster::Cluster;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A cloud that has what the examples name, in accounts that trust tokens of the cluster where their roles do.
pub async fn cloud(cluster: &Cluster) -> Simulator {
    let seed = include_str!("../../demo/seed.yaml");
    let mut seed: Value = serde_saphyr::from_str(seed).unwrap();
    for place in ["/accounts", "/tencent/accounts"] {
        let accounts = seed.pointer_mut(place).and_then(Value::as_array_mut);
        for account in accounts.into_iter().flatten() {
            let roles = account["roles"].as_array().unwrap();
            let trusted = roles
                .iter()
                .map(|role| role["trust"][0]["provider"].as_str().unwrap());
            let trusted: BTreeSet<&str> = trusted.collect();
            let ids = ["sts.aliyuncs.com", "sts.cloud.tencent.com"];
            let provider =
                |name| json!({ "name": name, "issuer": cluster.issuer(), "client_ids": ids });
            account["oidc_providers"] = trusted.into_iter().map(provider).collect();
        }
    }
    let options = cloudsim::Options {
        oidc_ca_pem: Some(String::from_utf8(cluster.ca_pem().to_vec()).unwrap()),
        ..cloudsim::Options::default()
    };
    Simulator::start(&*seed.to_string(), options).await.unwrap()
}

/// Has a store read that cloud; other objects stay as they are.
pub fn read_from(cloud: &Simulator, object: &mut Value) {
    if object["spec"]["auth"].is_object() {
        object["spec"]["auth"]["stsEndpoint"] = cloud.url().into();
        let provider = object["spec"]["provider"].as_object_mut().unwrap();
        provider
            .values_mut()
            .for_each(|place| place["endpoint"] = cloud.url().into());
    }
}

/// What a user has who cloned the repository and built it, in a folder that goes: `target/debug` is where the tests were built, and
/// the release binary their own.
pub fn clone() -> TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        let built = name == "target" || name.as_encoded_bytes().starts_with(b".");
        if !built {
            symlink(&path, dir.path().join(name)).unwrap();
        }
    }
    let program = Path::new(env!("CARGO_BIN_EXE_external-cloud-secrets"));
    let release = dir.path().join("target/release");
    fs::create_dir_all(&release).unwrap();
    symlink(program.parent().unwrap(), dir.path().join("target/debug")).unwrap();
    symlink(program, release.join("external-cloud-secrets")).unwrap();
    dir
}
