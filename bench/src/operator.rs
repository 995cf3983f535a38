//! The operator's process: the release binary, or another program in its place.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use devcluster::Process;
use jiff::Timestamp;

use crate::failure::Result;
use crate::procfs;
use crate::programs::{self, OPERATOR};

/// What is measured.
#[derive(Debug, Clone)]
pub enum Program {
    /// The release binary, and its arguments.
    Ours(PathBuf, Vec<&'static str>),
    /// A shell command.
    Other(String),
}

/// How it is started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What.
    pub program: Program,
    /// Who it is to the cluster.
    pub kubeconfig: PathBuf,
    /// Where its own objects live.
    pub namespace: String,
    /// Where every service of the cloud is.
    pub cloud: String,
    /// Where its output goes.
    pub log: PathBuf,
}

/// A running operator. It is killed with this value.
#[derive(Debug)]
pub struct Operator {
    /// When it was started.
    pub started: Timestamp,
    since: Instant,
    ready_url: String,
    http: reqwest::Client,
    process: Process,
}

// === impl Program ===

impl Program {
    /// The program at `path`, else the release binary, with its budgets lifted, where it has budgets; or `other`.
    ///
    /// # Errors
    /// If the release binary was not built or does not run.
    pub fn find(path: Option<&Path>, other: Option<&str>) -> Result<Self> {
        if let Some(command) = other {
            return Ok(Self::Other(command.to_owned()));
        }
        let path =
            path.map_or_else(|| programs::beside_us(OPERATOR), |path| Ok(path.to_owned()))?;
        let help = Command::new(&path).args(["run", "--help"]).output()?;
        let budgets = String::from_utf8_lossy(&help.stdout).contains("--quota-share");
        let mut arguments = vec!["run"];
        if budgets {
            arguments.extend(["--quota-share", "0"]);
        }
        Ok(Self::Ours(path, arguments))
    }
}

// === impl Operator ===

impl Operator {
    /// Starts it. It finds all that it needs in its environment, and nothing of ours.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start(setup: &Setup) -> Result<Self> {
        let address = free_address()?;
        let variable = |name: &str, value: &str| format!("{name}={value}");
        let inherited = |name: &str| variable(name, &std::env::var(name).unwrap_or_default());
        let mut command = Command::new("env");
        command
            .arg("-i")
            .args([inherited("PATH"), inherited("HOME")])
            .arg(variable("KUBECONFIG", &setup.kubeconfig.to_string_lossy()))
            .arg(variable("POD_NAMESPACE", &setup.namespace))
            .arg(variable("HTTP_ADDRESS", &address))
            .arg(variable("CLOUD_URL", &setup.cloud))
            .args(["ALLOW_INSECURE_ENDPOINTS=true", "RUST_LOG=info"])
            // As the image does.
            .arg("MIMALLOC_PURGE_DELAY=0");
        match &setup.program {
            Program::Ours(path, arguments) => command.arg(path).args(arguments),
            Program::Other(text) => command.args(["sh", "-c", &format!("exec {text}")]),
        };
        let http = reqwest::Client::builder().no_proxy().build()?;
        let (started, since) = (Timestamp::now(), Instant::now());
        let process = Process::start("operator", &command, setup.log.clone(), None)?;
        Ok(Self {
            started,
            since,
            ready_url: format!("http://{address}/readyz"),
            http,
            process,
        })
    }

    /// How long after its start it said that it is ready, if it did within `limit`.
    ///
    /// # Errors
    /// If it ended.
    pub async fn ready(&mut self, limit: Duration) -> Result<Option<Duration>> {
        while self.since.elapsed() < limit {
            self.process.check()?;
            let answer = self.http.get(&self.ready_url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Some(self.since.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(None)
    }

    /// An error if it has ended.
    ///
    /// # Errors
    /// How it ended, and its last words.
    pub fn check(&mut self) -> Result<()> {
        Ok(self.process.check()?)
    }

    /// Gives what `work` gives, if that comes before the operator's end.
    ///
    /// # Errors
    /// Those of `work`; how the operator ended, and its last words.
    pub async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let end = async {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                if let Err(end) = self.check() {
                    return end;
                }
            }
        };
        tokio::select! {
            done = work => done,
            end = end => Err(end),
        }
    }

    /// The CPU time it has used.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu(&self) -> Result<Duration> {
        procfs::cpu(self.process.id())
    }

    /// Samples of its resident memory in MiB, taken four times a second for `time`.
    ///
    /// # Errors
    /// If it ends meanwhile.
    pub async fn memory(&mut self, time: Duration) -> Result<Vec<f64>> {
        let end = Instant::now() + time;
        let mut samples = Vec::new();
        while Instant::now() < end {
            self.process.check()?;
            samples.push(procfs::rss_mib(self.process.id())?);
            let next = Instant::now() + Duration::from_millis(250);
            tokio::time::sleep_until(next.min(end).into()).await;
        }
        Ok(samples)
    }

    /// Kills it, and returns when it is gone.
    pub fn kill(self) {
        drop(self);
    }
}

/// An address that nobody listens at, for now.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// The end of a log, for messages.
pub fn last_lines(setup: &Setup) -> String {
    let text = fs::read_to_string(&setup.log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
