//! A real Prometheus that scrapes the operator as the chart's monitor says, and evaluates the chart's rules.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use devcluster::{Binary, Process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::chart::helm::{Helm, find};
use super::end_to_end::wait::{SOON, until};

/// The job that the chart gives to what it scrapes.
pub const JOB: &str = "external-cloud-secrets";

/// For how many seconds a refresh may be overdue here, where nobody waits for ten minutes.
const OVERDUE: u32 = 2;

/// What the chart says of monitoring.
pub struct Monitoring {
    /// The rules, as Prometheus reads them.
    pub rules: Value,
    honor_labels: bool,
}

/// A running Prometheus.
pub struct Server {
    url: String,
    _process: Process,
    _dir: TempDir,
}

impl Monitoring {
    /// As Helm renders it.
    pub async fn of_the_chart() -> Self {
        let on = json!({ "enabled": true });
        let rule = json!({ "enabled": true, "overdueSeconds": OVERDUE });
        let metrics = json!({ "prometheusRule": rule, "podMonitor": on });
        let helm = Helm::new(Binary::Helm4).await;
        let objects = helm.objects(&json!({ "metrics": metrics }));
        let monitor = find(&objects, "PodMonitor", "").unwrap();
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        Self {
            rules: find(&objects, "PrometheusRule", "").unwrap()["spec"].clone(),
            honor_labels: endpoint["honorLabels"].as_bool().unwrap(),
        }
    }

    /// All alerts.
    pub fn alerts(&self) -> impl Iterator<Item = &Value> {
        let groups = self.rules["groups"].as_array().unwrap().iter();
        groups.flat_map(|group| group["rules"].as_array().unwrap())
    }
}

impl Server {
    /// Scrapes the operator at `operator` once a second, as a Pod in the namespace `secrets-system`.
    pub async fn start(monitoring: &Monitoring, operator: &str) -> Self {
        let program = devcluster::prometheus().await.unwrap().server;
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        fs::write(path("rules.yml"), monitoring.rules.to_string()).unwrap();
        let target = operator.strip_prefix("http://").unwrap();
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [path("rules.yml")],
            "scrape_configs": [{
                "job_name": JOB,
                "honor_labels": monitoring.honor_labels,
                "static_configs": [{
                    "targets": [target],
                    "labels": { "namespace": "secrets-system", "pod": "external-cloud-secrets-0" },
                }],
            }],
        });
        fs::write(path("prometheus.yml"), config.to_string()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address={address}"));
        let log = Path::new(&path("prometheus.log")).to_owned();
        let process = Process::start("prometheus", &command, log.clone(), Some(dir.path()));
        let server = Self {
            url: format!("http://{address}"),
            _process: process.unwrap(),
            _dir: dir,
        };
        until("Prometheus", SOON, async || {
            let up = reqwest::get(format!("{}/-/ready", server.url)).await;
            match up {
                Ok(answer) if answer.status().is_success() => Ok(()),
                _ => Err(fs::read_to_string(&log).unwrap_or_default()),
            }
        })
        .await;
        server
    }

    /// What the API answers with.
    pub async fn data(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let request = reqwest::Client::new().get(url).query(query);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        answer["data"].clone()
    }
}
