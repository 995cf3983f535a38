//! Whether the simulated cloud is fast enough never to hide what the operator costs: how many signed reads it answers
//! per second of CPU, hence on one core.

use std::time::{Duration, Instant};

use external_cloud_secrets::credential::Credentials;
use external_cloud_secrets::provider::alibaba::sign::{Call, encode_query};
use futures::future::try_join_all;
use jiff::Timestamp;

use crate::cloud::{Cloud, KEY_ID, KEY_SECRET};
use crate::failure::{Failure, Result};
use crate::population::{Population, Store};
use crate::procfs;
use crate::stats::number;
use crate::tell;

/// What it has to answer.
const WANTED: f64 = 5_000.0;
const CLIENTS: u32 = 16;
const TIME: Duration = Duration::from_secs(2);

/// Reads single secrets for two seconds.
///
/// # Errors
/// If the cloud is too slow, or refuses a read.
pub async fn check() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let population = Population::distinct("x", Store::Kms, 1_000, "1h");
    let cloud = Cloud::start(dir.path(), &[&population], Duration::ZERO).await?;
    let names: Vec<String> = population
        .values()
        .keys()
        .map(|n| (*n).to_owned())
        .collect();
    let before = procfs::cpu(cloud.id())?;
    let end = Instant::now() + TIME;
    let clients = (0..CLIENTS).map(|client| {
        let (url, names) = (cloud.url.clone(), names.clone());
        tokio::spawn(async move { read(&url, client, &names, end).await })
    });
    let mut reads = 0;
    for result in try_join_all(clients).await? {
        reads += result?;
    }
    let cpu = procfs::cpu(cloud.id())?.saturating_sub(before);
    let per_second = number(reads) / cpu.as_secs_f64();
    tell::progress(&format!(
        "cloudsim: {per_second:.0} signed reads per second of CPU ({reads} reads)"
    ));
    if per_second < WANTED {
        return Err(Failure(format!(
            "cloudsim answers {per_second:.0} signed reads per second on one core; {WANTED:.0} are needed"
        )));
    }
    Ok(())
}

/// Reads one secret after another; gives how many.
async fn read(url: &str, client: u32, names: &[String], end: Instant) -> Result<u64> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let host = url.trim_start_matches("http://");
    let credentials = Credentials {
        access_key_id: KEY_ID.to_owned(),
        access_key_secret: KEY_SECRET.into(),
        security_token: None,
        expires_at: None,
    };
    let mut reads = 0;
    for name in names.iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let query = [("SecretName", name.as_str())];
        let now = Timestamp::now();
        let date = Timestamp::from_second(now.as_second())?.to_string();
        let call = Call {
            host,
            action: "GetSecretValue",
            version: "2016-01-20",
            query: &query,
            form: None,
            date: &date,
            nonce: &format!("{client}-{reads}"),
        };
        let mut request = http.post(format!("{url}/?{}", *encode_query(&query)));
        for (header, value) in call.sign(&credentials) {
            request = request.header(header, value.as_str());
        }
        let answer = request.send().await?;
        let status = answer.status();
        answer.bytes().await?;
        if !status.is_success() {
            return Err(Failure(format!("cloudsim refused a read: {status}")));
        }
        reads += 1;
    }
    Ok(reads)
}
