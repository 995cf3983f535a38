//! Asks the processes of a control plane whether they are ready.

use crate::error::Error;
use crate::process::Process;
use serde_json::Value;
use std::time::{Duration, Instant};

// A loaded two-core machine needs a multiple of the usual three seconds.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

/// A client that trusts one cluster's CA only.
#[derive(Debug)]
pub(crate) struct Probe {
    http: reqwest::Client,
}

// === impl Probe ===

impl Probe {
    pub(crate) fn new(ca_pem: &str) -> Result<Self, Error> {
        // An error says that a provider is installed already, which is all that is needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let invalid = |error: reqwest::Error| Error::Yaml {
            what: "the CA".into(),
            reason: error.to_string(),
        };
        let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).map_err(invalid)?;
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .timeout(Duration::from_secs(5))
            // A kept connection would die with the runtime of the test that made it.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(invalid)?;
        Ok(Self { http })
    }

    /// Posts JSON to `url`.
    pub(crate) async fn post(&self, url: &str, body: &Value) -> Result<(), Error> {
        let request = self.http.post(url).body(body.to_string());
        let failed = |reason: reqwest::Error| Error::Etcd(reason.to_string());
        let answer = request.send().await.map_err(failed)?;
        answer.error_for_status().map(drop).map_err(failed)
    }

    /// Waits until `url` answers with success. The end of the process ends the wait.
    pub(crate) async fn ready(
        &self,
        name: &str,
        url: &str,
        process: &mut Process,
    ) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            process.check()?;
            let last = match self.http.get(url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.to_string(),
            };
            if started.elapsed() > PATIENCE {
                let what = format!("{name} (log {})", process.log().display());
                return Err(Error::NotReady {
                    what,
                    seconds: PATIENCE.as_secs(),
                    last,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
