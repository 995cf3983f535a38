//! The simulated cloud, a process of its own, and what its ledger says.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cloudsim::{Admin, Filter, LedgerView};
use devcluster::Process;
use serde_json::{Value, json};

use crate::failure::Result;
use crate::population::{Population, Store};
use crate::programs::{self, CLOUDSIM};
use crate::wait::until;

/// How long every call takes at least.
pub const LATENCY: Duration = Duration::from_millis(20);
/// The access key that everything is read with.
pub const KEY_ID: &str = "LTAIbench";
/// Its secret.
pub const KEY_SECRET: &str = "canary-bench-access-key-secret";
const ACCOUNT: &str = "1000000000000001";
/// The same of Tencent Cloud, and a user of it.
const UIN: &str = "100000000001";
const USER: &str = "100000000011";
const START: Duration = Duration::from_mins(2);

/// A running cloud. It ends with this value.
#[derive(Debug)]
pub struct Cloud {
    /// Where every service is.
    pub url: String,
    /// What can be done to it.
    pub admin: Admin,
    process: Process,
}

// === impl Cloud ===

impl Cloud {
    /// Starts a cloud without quotas that holds the values of `populations`; its files go into `dir`.
    ///
    /// # Errors
    /// If the program is missing or does not come up.
    pub async fn start(dir: &Path, populations: &[&Population], latency: Duration) -> Result<Self> {
        let seed = dir.join("seed.json");
        fs::write(&seed, seed_of(populations).to_string())?;
        let mut command = Command::new(programs::beside_us(CLOUDSIM)?);
        command
            .args(["--listen", "127.0.0.1:0", "--seed"])
            .arg(&seed)
            .args(["--latency", &format!("{}ms", latency.as_millis())])
            .env("RUST_LOG", "cloudsim=warn");
        let log = dir.join("cloudsim.log");
        let mut process = Process::start(CLOUDSIM, &command, log.clone(), None)?;
        let url = until("cloudsim", START, async || {
            process.check().map_err(|error| error.to_string())?;
            let output = fs::read_to_string(&log).unwrap_or_default();
            let rest = output.split_once("listening on ").map(|(_, rest)| rest);
            let url = rest.and_then(|rest| rest.split_once('\n'));
            url.map(|(url, _)| url.to_owned()).ok_or(output)
        })
        .await?;
        Ok(Self {
            admin: Admin::new(&url)?,
            url,
            process,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How many calls to a store's service were made since the ledger was reset, and how many references they named.
    ///
    /// # Errors
    /// If the cloud is gone.
    pub async fn calls(&self, store: Store) -> Result<(u64, u64)> {
        let filter = Filter {
            // Nothing has this name: the counts are asked for, and not the calls themselves.
            name: Some("-".to_owned()),
            ..Filter::service(store.name())
        };
        let view = self.admin.ledger(&filter).await?;
        Ok((view.total, view.names))
    }

    /// The last calls to a store's service, at most 10,000.
    ///
    /// # Errors
    /// If the cloud is gone.
    pub async fn ledger(&self, store: Store) -> Result<LedgerView> {
        Ok(self.admin.ledger(&Filter::service(store.name())).await?)
    }
}

/// What the cloud holds. JSON is YAML.
fn seed_of(populations: &[&Population]) -> Value {
    let of = |store: Store| populations.iter().filter(move |p| p.store == store);
    let secret = |(name, value): (&str, String)| json!({ "name": name, "value": value });
    let parameter = |(name, value): (&str, String)| json!({ "name": name, "versions": [value] });
    let secrets: Vec<Value> = of(Store::Kms)
        .flat_map(|p| p.values())
        .map(secret)
        .collect();
    let parameters: Vec<Value> = of(Store::Oos)
        .flat_map(|p| p.values())
        .map(parameter)
        .collect();
    let managed =
        |(name, value): (&str, String)| json!({ "name": name, "type": "product", "value": value });
    let of_ssm: Vec<Value> = of(Store::Ssm)
        .flat_map(|p| p.values())
        .map(managed)
        .collect();
    let keys = json!([{ "id": KEY_ID, "secret": KEY_SECRET }]);
    let rules = json!([{ "actions": ["*"], "resources": ["*"] }]);
    json!({
        "region": Store::Kms.region(),
        "tencent": {
            "region": Store::Ssm.region(),
            "settings": { "quotas": false },
            "accounts": [{
                "uin": UIN,
                "users": [{ "uin": USER, "access_keys": keys.clone(), "rules": rules.clone() }],
                "secrets": of_ssm,
            }],
        },
        "kms": { "reads_per_second": null, "lists_per_second": null, "writes_per_second": null },
        "accounts": [{
            "id": ACCOUNT,
            // A user's key: that of the account itself would be warned about.
            "users": [{
                "name": "bench",
                "access_keys": keys,
                "rules": rules,
            }],
            "secrets": secrets,
            "parameters": parameters,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_seed_is_one_that_the_simulator_takes() {
        let kms = Population::distinct("a", Store::Kms, 3, "1h");
        let oos = Population::distinct("b", Store::Oos, 2, "1h");
        let ssm = Population::distinct("c", Store::Ssm, 1, "1h");
        let seed = seed_of(&[&kms, &oos, &ssm]).to_string();
        let cloud = cloudsim::Simulator::start(&*seed, cloudsim::Options::default());
        let cloud = cloud.await.unwrap();
        assert_eq!((cloud.secrets().len(), cloud.parameters().len()), (12, 8));
        assert_eq!(cloud.tencent().secrets().len(), 4);
        assert_eq!(cloud.kms_settings().reads_per_second, None);
    }
}
