//! The processes of one control plane: what they are started with, when they are ready, in which order they stop.

use crate::certificates::{Certificates, write_private};
use crate::error::Error;
use crate::kubeconfig::{self, Credential};
use crate::port::Port;
use crate::process::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

// A loaded two-core machine needs a multiple of the usual three seconds.
const START_PATIENCE: Duration = Duration::from_mins(2);
const STOP_PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

// Those whose absence a user of the API would notice; the rest (nodes, workloads, volumes) costs CPU for nothing here.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    serviceaccount-token-controller,root-ca-certificate-publisher-controller";

/// The programs to run.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) etcd: PathBuf,
    pub(crate) apiserver: PathBuf,
    pub(crate) controller_manager: Option<PathBuf>,
}

/// The running processes of one control plane.
///
/// Fields are dropped, and so killed, in this order: clients before servers.
#[derive(Debug)]
pub(crate) struct Plane {
    controller_manager: Option<Process>,
    apiserver: Option<Process>,
    etcd: Option<Process>,
    programs: Programs,
    ports: Ports,
    dir: PathBuf,
    http: reqwest::Client,
}

#[derive(Debug)]
struct Ports {
    etcd: Port,
    etcd_peer: Port,
    apiserver: Port,
    controller_manager: Port,
}

// === impl Plane ===

impl Plane {
    /// Starts etcd and the API server in `dir`, whose certificates are written already. `scratch` is removed if we die.
    ///
    /// The controllers are not started yet: they find everything that is installed first without a resync.
    pub(crate) async fn start(
        dir: &Path,
        scratch: Option<&Path>,
        programs: Programs,
        certificates: &Certificates,
        lock_dir: &Path,
    ) -> Result<Self, Error> {
        let ports = Ports {
            etcd: Port::reserve(lock_dir)?,
            etcd_peer: Port::reserve(lock_dir)?,
            apiserver: Port::reserve(lock_dir)?,
            controller_manager: Port::reserve(lock_dir)?,
        };
        let http = http_client(certificates)?;
        let mut plane = Self {
            controller_manager: None,
            apiserver: None,
            etcd: None,
            programs,
            ports,
            dir: dir.to_path_buf(),
            http,
        };
        plane.write_controller_kubeconfig(certificates)?;
        plane.start_etcd(scratch).await?;
        plane.start_apiserver().await?;
        Ok(plane)
    }

    /// The API server's URL, which is also the service-account issuer.
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.apiserver.number())
    }

    /// Each running process with its name.
    pub(crate) fn process_ids(&self) -> Vec<(&'static str, u32)> {
        [
            ("etcd", &self.etcd),
            ("kube-apiserver", &self.apiserver),
            ("kube-controller-manager", &self.controller_manager),
        ]
        .into_iter()
        .filter_map(|(name, process)| Some((name, process.as_ref()?.id())))
        .collect()
    }

    /// An error if a process that should run has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        for process in [
            &mut self.etcd,
            &mut self.apiserver,
            &mut self.controller_manager,
        ]
        .into_iter()
        .flatten()
        {
            process.check()?;
        }
        Ok(())
    }

    async fn start_etcd(&mut self, scratch: Option<&Path>) -> Result<(), Error> {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd.number());
        let peer = format!("http://127.0.0.1:{}", self.ports.etcd_peer.number());
        let mut command = Command::new(&self.programs.etcd);
        command
            .arg(format!("--data-dir={}", self.dir.join("etcd").display()))
            .arg(format!("--listen-client-urls={client}"))
            .arg(format!("--advertise-client-urls={client}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=default={peer}"))
            // The data need not survive the machine.
            .arg("--unsafe-no-fsync=true");
        let etcd = Process::start("etcd", &command, self.log("etcd"), scratch)?;
        let etcd = self.etcd.insert(etcd);
        ready(&self.http, "etcd", &format!("{client}/health"), etcd).await
    }

    /// Starts the API server and waits until it has set itself up, default RBAC included.
    pub(crate) async fn start_apiserver(&mut self) -> Result<(), Error> {
        let server = self.server();
        let file = |name: &str| self.dir.join(name).display().to_string();
        let mut command = Command::new(&self.programs.apiserver);
        command
            .arg(format!(
                "--etcd-servers=http://127.0.0.1:{}",
                self.ports.etcd.number()
            ))
            .args([
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
            ])
            .arg(format!("--secure-port={}", self.ports.apiserver.number()))
            .arg(format!("--tls-cert-file={}", file("serving.crt")))
            .arg(format!("--tls-private-key-file={}", file("serving.key")))
            .arg(format!("--client-ca-file={}", file("ca.crt")))
            .args([
                "--service-cluster-ip-range=10.0.0.0/24",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged=true",
            ])
            .arg(format!("--service-account-issuer={server}"))
            .arg(format!(
                "--service-account-jwks-uri={server}/openid/v1/jwks"
            ))
            .arg(format!("--service-account-key-file={}", file("sa.pub")))
            .arg(format!(
                "--service-account-signing-key-file={}",
                file("sa.key")
            ));
        if self.programs.controller_manager.is_none() {
            // Nobody would create the `default` accounts that this plugin asks for, so every pod would be refused.
            command.arg("--disable-admission-plugins=ServiceAccount");
        }
        let apiserver =
            Process::start("kube-apiserver", &command, self.log("kube-apiserver"), None)?;
        let apiserver = self.apiserver.insert(apiserver);
        ready(
            &self.http,
            "kube-apiserver",
            &format!("{server}/readyz"),
            apiserver,
        )
        .await
    }

    /// Whether this control plane has controllers.
    pub(crate) fn has_controllers(&self) -> bool {
        self.programs.controller_manager.is_some()
    }

    /// Starts the controllers, if this control plane has them.
    pub(crate) async fn start_controllers(&mut self) -> Result<(), Error> {
        let Some(program) = &self.programs.controller_manager else {
            return Ok(());
        };
        let file = |name: &str| self.dir.join(name).display().to_string();
        let mut command = Command::new(program);
        command
            .arg(format!(
                "--kubeconfig={}",
                file("controller-manager.kubeconfig")
            ))
            .args([
                "--leader-elect=false",
                "--use-service-account-credentials",
                "--bind-address=127.0.0.1",
            ])
            .arg(format!(
                "--secure-port={}",
                self.ports.controller_manager.number()
            ))
            .arg(format!("--tls-cert-file={}", file("serving.crt")))
            .arg(format!("--tls-private-key-file={}", file("serving.key")))
            .arg(format!(
                "--service-account-private-key-file={}",
                file("sa.key")
            ))
            .arg(format!("--root-ca-file={}", file("ca.crt")))
            .arg(format!("--controllers={CONTROLLERS}"));
        let name = "kube-controller-manager";
        let process = Process::start(name, &command, self.log(name), None)?;
        let process = self.controller_manager.insert(process);
        let url = format!(
            "https://127.0.0.1:{}/healthz",
            self.ports.controller_manager.number()
        );
        ready(&self.http, name, &url, process).await
    }

    /// Stops the controllers.
    pub(crate) async fn stop_controllers(&mut self) {
        if let Some(process) = self.controller_manager.take() {
            process.stop(STOP_PATIENCE).await;
        }
    }

    /// Stops the API server. Its port stays ours, its data stays in etcd, the controllers wait for it.
    pub(crate) async fn stop_apiserver(&mut self) {
        if let Some(process) = self.apiserver.take() {
            process.stop(STOP_PATIENCE).await;
        }
    }

    /// Stops everything. An API server without its etcd would hang, so etcd is last.
    pub(crate) async fn stop(&mut self) {
        self.stop_controllers().await;
        self.stop_apiserver().await;
        if let Some(process) = self.etcd.take() {
            process.stop(STOP_PATIENCE).await;
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    fn write_controller_kubeconfig(&self, certificates: &Certificates) -> Result<(), Error> {
        let credential = Credential::Certificate(&certificates.controller_manager);
        let user = "system:kube-controller-manager";
        let text = kubeconfig::render(
            &self.server(),
            &certificates.ca,
            user,
            &credential,
            "kube-system",
        )?;
        write_private(&self.dir.join("controller-manager.kubeconfig"), &text)
    }
}

/// Clears what an earlier run left in `dir`.
pub(crate) fn clear(dir: &Path) -> Result<(), Error> {
    let data = dir.join("etcd");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(Error::io("remove", &data))?;
    }
    for name in [
        "etcd.log",
        "kube-apiserver.log",
        "kube-controller-manager.log",
        "kubeconfig",
    ] {
        let path = dir.join(name);
        if path.exists() {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

fn http_client(certificates: &Certificates) -> Result<reqwest::Client, Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let invalid = |error: reqwest::Error| Error::Yaml {
        what: "the CA".into(),
        reason: error.to_string(),
    };
    let ca = reqwest::Certificate::from_pem(certificates.ca.as_bytes()).map_err(invalid)?;
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .timeout(Duration::from_secs(5))
        // Nothing to reuse: the few calls are made from whatever runtime a test brings.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(invalid)
}

async fn ready(
    http: &reqwest::Client,
    name: &str,
    url: &str,
    process: &mut Process,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        process.check()?;
        let last = match http.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        if started.elapsed() > START_PATIENCE {
            let what = format!("{name} (log {})", process.log().display());
            return Err(Error::NotReady {
                what,
                seconds: START_PATIENCE.as_secs(),
                last,
            });
        }
        tokio::time::sleep(POLL).await;
    }
}
