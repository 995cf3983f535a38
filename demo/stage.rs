//! Everything the demo needs: a cluster, a cloud and the operator between them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cloudsim::{Admin, OidcProvider};
use devcluster::{Cluster, OperatorAccount};

use crate::failure::{Failure, Result};
use crate::process::{Program, Sentinel};
use crate::tell;
use crate::wait::until;

/// The namespace of the operator.
pub const HOME: &str = "external-cloud-secrets";
/// The name under which the account knows the cluster, as in the examples.
pub const PROVIDER: &str = "ack-rrsa-c1234567890";
/// The same in the account of Tencent Cloud.
pub const TENCENT_PROVIDER: &str = "cls-1a2b3c4d";
/// What the simulated clouds hold.
pub const SEED: &str = include_str!("seed.yaml");

const RBAC: &str = include_str!("../charts/external-cloud-secrets/rbac.yaml");

/// The control plane's programs may have to be built first.
const BUILD: Duration = Duration::from_hours(1);
const START: Duration = Duration::from_secs(40);

/// The programs that run, and their files.
pub struct Stage {
    pub dir: PathBuf,
    pub programs: Vec<Program>,
    /// The operator, where it is not the one that lies beside the demo.
    program: Option<PathBuf>,
    sentinel: Sentinel,
    keep: bool,
}

// === impl Stage ===

impl Stage {
    /// An empty stage, with a directory of its own.
    pub fn new(keep: bool, program: Option<PathBuf>) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("external-cloud-secrets-demo-")
            .tempdir()?
            .keep();
        Ok(Self {
            sentinel: Sentinel::start(&dir)?,
            dir,
            programs: Vec::new(),
            program,
            keep,
        })
    }

    /// Starts a control plane and waits until it is ready.
    pub async fn cluster(&mut self) -> Result<Cluster> {
        let dir = self.dir.join("cluster");
        let mut command = Command::new(beside_us("devcluster")?);
        command
            .args(["up", "--with-controllers", "--dir"])
            .arg(&dir)
            .arg("--crds")
            .arg(in_repository("crds"))
            // The demo makes namespaces and stops what it uses: never in a cluster that somebody else runs.
            .env_remove("USE_EXISTING_CLUSTER");
        if self.keep {
            command.arg("--detached");
        }
        let program = self.start("devcluster", &mut command)?;
        let mut shown = 0;
        until("the control plane", BUILD, async || {
            let output = program.output();
            for line in output.lines().skip(shown) {
                tell::output(line);
                shown += 1;
            }
            if output.lines().any(|line| line == "devcluster: ready") {
                return Ok(true);
            }
            match program.ended() {
                Some(_) => Ok(false),
                None => Err(last(&output)),
            }
        })
        .await?
        .then_some(())
        .ok_or_else(|| Failure("the control plane did not start".into()))?;
        Ok(Cluster::connect(&dir).await?)
    }

    /// Starts a simulated cloud that trusts certificates of the cluster's issuer.
    pub async fn cloud(&mut self, cluster: &Cluster) -> Result<String> {
        let seed = self.dir.join("seed.yaml");
        std::fs::write(&seed, SEED)?;
        let mut command = Command::new(beside_us("cloudsim")?);
        command
            .args(["--listen", "127.0.0.1:0", "--seed"])
            .arg(&seed)
            .arg("--oidc-ca")
            .arg(cluster.ca_path())
            .env("RUST_LOG", "cloudsim=info");
        let program = self.start("cloudsim", &mut command)?;
        let url = until("cloudsim", START, async || {
            said(program, "cloudsim: listening on ")
        })
        .await??;
        Ok(url)
    }

    /// Makes the operator's ServiceAccount with exactly its rules, and runs the operator as it. Gives its URL.
    pub async fn operator(&mut self, cluster: &Cluster) -> Result<(OperatorAccount, String)> {
        let account = cluster.install_operator(RBAC, HOME).await?;
        let binary = match self.program.take() {
            Some(binary) => present(binary)?,
            None => release_binary()?,
        };
        let mut command = Command::new(binary);
        command
            .args(["run", "--http-address", "127.0.0.1:0", "--namespace", HOME])
            .args(["--cluster-name", "demo", "--allow-insecure-endpoints"])
            .env_clear()
            .env("KUBECONFIG", account.kubeconfig(&self.dir)?)
            .env("RUST_LOG", "info");
        let program = self.start("operator", &mut command)?;
        let address = until("the operator", START, async || said(program, "address=")).await??;
        let url = format!("http://{address}");
        let ready = format!("{url}/readyz");
        until("the operator's readiness", START, async || {
            let answer = reqwest::get(&ready)
                .await
                .map_err(|error| error.to_string())?;
            let status = answer.status();
            status
                .is_success()
                .then_some(())
                .ok_or_else(|| status.to_string())
        })
        .await?;
        Ok((account, url))
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// Stops everything, in the opposite order of its start, and removes all files.
    pub async fn stop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            program.stop().await;
        }
    }

    /// Ends everything at once.
    pub fn kill(&mut self) {
        self.programs.iter_mut().rev().for_each(Program::kill);
    }

    /// Removes all files, once nothing runs.
    pub fn clear(self) {
        let _ = std::fs::remove_dir_all(&self.dir);
        self.sentinel.dismiss();
    }

    /// Leaves everything as it is.
    pub fn leave(self) {
        self.sentinel.dismiss();
    }

    fn start(&mut self, name: &'static str, command: &mut Command) -> Result<&mut Program> {
        let program = Program::start(name, command, &self.dir, &mut self.sentinel)?;
        self.programs.push(program);
        self.programs
            .last_mut()
            .ok_or_else(|| Failure(format!("{name} is not there")))
    }
}

/// Registers the cluster's issuer with the account, as one does for an ACK cluster when RRSA is switched on.
pub async fn register(cloud: &Admin, cluster: &Cluster) -> Result<String> {
    let provider = serde_json::json!({
        "name": PROVIDER,
        "issuer": cluster.issuer(),
        "client_ids": ["sts.aliyuncs.com"],
    });
    let provider: OidcProvider = serde_json::from_value(provider)?;
    Ok(cloud.put_oidc_provider(&provider).await?)
}

/// Registers it with the account of Tencent Cloud too, which TKE does for its own clusters.
pub async fn register_with_tencent(cloud: &Admin, cluster: &Cluster) -> Result<String> {
    let provider = serde_json::json!({
        "name": TENCENT_PROVIDER,
        "issuer": cluster.issuer(),
        "client_ids": ["sts.cloud.tencent.com"],
    });
    let provider: cloudsim::tencent::OidcProvider = serde_json::from_value(provider)?;
    Ok(cloud.tencent().put_oidc_provider(&provider).await?)
}

/// A file of this repository.
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The word after `mark` in a program's output; once the program has ended, the reason.
fn said(program: &mut Program, mark: &str) -> std::result::Result<Result<String>, String> {
    let output = program.output();
    let word = output
        .split_once(mark)
        .and_then(|(_, rest)| rest.split_whitespace().next());
    if let Some(word) = word {
        return Ok(Ok(word.to_owned()));
    }
    match program.ended() {
        Some(status) => Ok(Err(Failure(format!("{} ended: {status}", program.name)))),
        None => Err(last(&output)),
    }
}

fn last(output: &str) -> String {
    output.lines().last().unwrap_or("nothing yet").to_owned()
}

/// The folder of the profile that this program was built with.
fn profile() -> Result<PathBuf> {
    let us = std::env::current_exe()?;
    let folder = us.parent().and_then(Path::parent);
    let folder = folder.ok_or_else(|| Failure("this program has no folder".into()))?;
    Ok(folder.to_path_buf())
}

fn beside_us(name: &str) -> Result<PathBuf> {
    present(profile()?.join(name))
}

fn release_binary() -> Result<PathBuf> {
    present(
        profile()?
            .with_file_name("release")
            .join("external-cloud-secrets"),
    )
}

fn present(path: PathBuf) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure(format!(
        "{} is missing: run the demo by `make demo`, which builds it",
        path.display()
    )))
}
