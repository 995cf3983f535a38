//! The processes of one control plane: what they are started with, when they are ready, in which order they stop.

use crate::certificates::{Certificates, NODE, write_private};
use crate::error::Error;
use crate::kubeconfig::{self, Credential};
use crate::port::Port;
use crate::probe::Probe;
use crate::process::Process;
use crate::programs::Programs;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const STOP_PATIENCE: Duration = Duration::from_secs(20);
// A port that is taken between its choice and the bind costs one more attempt.
pub(crate) const ATTEMPTS: usize = 5;

// Those whose absence a user of the API would notice; the rest (nodes, workloads, volumes) costs CPU for nothing here.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller";

// And those that Pods need.
const WORKLOADS: &str = "deployment-controller,replicaset-controller,node-lifecycle-controller,taint-eviction-controller";

const CONTROLLER_MANAGER: &str = "controller-manager.kubeconfig";
const SCHEDULER: &str = "scheduler.kubeconfig";
/// The file for a kubelet.
pub(crate) const KUBELET: &str = "kubelet.kubeconfig";

/// The running processes of one control plane.
///
/// Fields are dropped, and so killed, in this order: clients before servers.
#[derive(Debug)]
pub(crate) struct Plane {
    scheduler: Option<Process>,
    controller_manager: Option<Process>,
    apiserver: Option<Process>,
    etcd: Option<Process>,
    programs: Programs,
    ports: Ports,
    dir: PathBuf,
    lock_dir: PathBuf,
    controller_port: Option<Port>,
    probe: Probe,
}

#[derive(Debug)]
struct Ports {
    etcd: Port,
    etcd_peer: Port,
    apiserver: Port,
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
        };
        let probe = Probe::new(&certificates.ca)?;
        let mut plane = Self {
            scheduler: None,
            controller_manager: None,
            apiserver: None,
            etcd: None,
            programs,
            ports,
            dir: dir.to_path_buf(),
            lock_dir: lock_dir.to_path_buf(),
            controller_port: None,
            probe,
        };
        plane.write_kubeconfigs(certificates)?;
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
            ("kube-scheduler", &self.scheduler),
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
            &mut self.scheduler,
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
        let etcd = self
            .etcd
            .insert(Process::start("etcd", &command, self.log("etcd"), scratch)?);
        self.probe
            .ready("etcd", &format!("{client}/health"), etcd)
            .await
    }

    /// Starts the API server and waits until it has set itself up, default RBAC included.
    pub(crate) async fn start_apiserver(&mut self) -> Result<(), Error> {
        if self.apiserver.is_some() {
            return Ok(());
        }
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
        self.probe
            .ready("kube-apiserver", &format!("{server}/readyz"), apiserver)
            .await
    }

    /// Starts the controllers and the scheduler, where this control plane has them and they do not run.
    pub(crate) async fn start_controllers(&mut self) -> Result<(), Error> {
        if self.scheduler.is_none() {
            self.scheduler = self.start_scheduler()?;
        }
        let Some(program) = self.programs.controller_manager.clone() else {
            return Ok(());
        };
        if self.controller_manager.is_some() {
            return Ok(());
        }
        // Nobody else needs this port, so it can be a new one each time.
        let mut attempt = 1;
        loop {
            let port = Port::reserve(&self.lock_dir)?;
            match self.start_controller_manager(&program, &port).await {
                Err(error) if error.is_port_taken() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
                Ok(process) => {
                    self.controller_manager = Some(process);
                    self.controller_port = Some(port);
                    return Ok(());
                }
            }
        }
    }

    /// Starts the controllers again, if they run.
    pub(crate) async fn restart_controllers(&mut self) -> Result<(), Error> {
        if self.controller_manager.is_none() {
            return Ok(());
        }
        self.stop_controllers().await;
        self.start_controllers().await
    }

    /// Starts the scheduler. It listens nowhere, so there is nothing to wait for.
    fn start_scheduler(&self) -> Result<Option<Process>, Error> {
        let Some(program) = &self.programs.scheduler else {
            return Ok(None);
        };
        let mut command = Command::new(program);
        command
            .arg(format!(
                "--kubeconfig={}",
                self.dir.join(SCHEDULER).display()
            ))
            .args(["--leader-elect=false", "--secure-port=0"]);
        let name = "kube-scheduler";
        Process::start(name, &command, self.log(name), None).map(Some)
    }

    async fn start_controller_manager(
        &self,
        program: &Path,
        port: &Port,
    ) -> Result<Process, Error> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let mut command = Command::new(program);
        command
            .arg(format!("--kubeconfig={}", file(CONTROLLER_MANAGER)))
            .args([
                "--leader-elect=false",
                "--use-service-account-credentials",
                "--bind-address=127.0.0.1",
            ])
            .arg(format!("--secure-port={}", port.number()))
            .arg(format!("--tls-cert-file={}", file("serving.crt")))
            .arg(format!("--tls-private-key-file={}", file("serving.key")))
            .arg(format!(
                "--service-account-private-key-file={}",
                file("sa.key")
            ))
            .arg(format!("--root-ca-file={}", file("ca.crt")))
            .arg(format!("--controllers={}", self.controllers()));
        let name = "kube-controller-manager";
        let mut process = Process::start(name, &command, self.log(name), None)?;
        let url = format!("https://127.0.0.1:{}/healthz", port.number());
        self.probe.ready(name, &url, &mut process).await?;
        Ok(process)
    }

    fn controllers(&self) -> String {
        match self.programs.scheduler {
            Some(_) => format!("{CONTROLLERS},{WORKLOADS}"),
            None => CONTROLLERS.to_owned(),
        }
    }

    /// Stops the controllers and the scheduler.
    pub(crate) async fn stop_controllers(&mut self) {
        if let Some(process) = self.scheduler.take() {
            process.stop(STOP_PATIENCE).await;
        }
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

    /// Lets etcd say that its space is used up, as it does by itself when it is, or that it is not.
    pub(crate) async fn set_etcd_full(&self, full: bool) -> Result<(), Error> {
        let port = self.ports.etcd.number();
        let url = format!("http://127.0.0.1:{port}/v3/maintenance/alarm");
        let action = if full { "ACTIVATE" } else { "DEACTIVATE" };
        let alarm = json!({ "action": action, "alarm": "NOSPACE" });
        self.probe.post(&url, &alarm).await
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

    fn write_kubeconfigs(&self, certificates: &Certificates) -> Result<(), Error> {
        let kubelet = format!("system:node:{NODE}");
        for (file, user, pair) in [
            (
                CONTROLLER_MANAGER,
                "system:kube-controller-manager",
                &certificates.controller_manager,
            ),
            (SCHEDULER, "system:kube-scheduler", &certificates.scheduler),
            (KUBELET, &kubelet, &certificates.kubelet),
        ] {
            let credential = Credential::Certificate(pair);
            let text = kubeconfig::render(
                &self.server(),
                &certificates.ca,
                user,
                &credential,
                "kube-system",
            )?;
            write_private(&self.dir.join(file), &text)?;
        }
        Ok(())
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
        "kube-scheduler.log",
        "kubeconfig",
    ] {
        let path = dir.join(name);
        if path.exists() {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}
