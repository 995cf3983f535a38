//! A node of the cluster: containerd and a kubelet, in namespaces of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cloudsim::Simulator;
use devcluster::{Cluster, Process};
use serde_json::json;

use crate::machine::Traces;
use crate::relay;

/// The image's name on the node, without its tag.
pub const IMAGE: &str = "localhost/external-cloud-secrets";

const PAUSE: &str = "localhost/pause:1";

/// A running node. It ends, with all that it has started and mounted, when it is dropped or this process dies.
pub struct Node {
    process: Option<Process>,
    dir: PathBuf,
    before: Traces,
}

impl Node {
    /// Starts one with these images.
    pub async fn start(
        dir: &Path,
        cluster: &Cluster,
        cloud: &Simulator,
        network: &Path,
        images: &[PathBuf],
    ) -> Self {
        let dir = dir.to_owned();
        let before = Traces::now();
        let (api, simulator) = (dir.join("api.sock"), dir.join("cloud.sock"));
        let server = cluster.server().trim_start_matches("https://").to_owned();
        relay::arrive(&api, server.clone());
        relay::arrive(&simulator, cloud.addr().to_string());
        // The kubelet knows the API server as this machine does, Pods know it as a Service.
        let relays = format!(
            "{server}={api} 10.0.0.1:443={api} 10.0.0.2:80={simulator}",
            api = api.display(),
            simulator = simulator.display(),
        );
        fs::copy(
            cluster.node_kubeconfig().unwrap(),
            dir.join("kubelet.kubeconfig"),
        )
        .unwrap();
        fs::write(dir.join("containerd.toml"), containerd(&dir, network)).unwrap();
        fs::write(dir.join("kubelet.json"), kubelet(&dir, cluster).to_string()).unwrap();
        fs::create_dir(dir.join("cni")).unwrap();
        fs::write(dir.join("cni/10-pods.conflist"), pods().to_string()).unwrap();

        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "--pid",
                "--fork",
                "--kill-child=KILL",
            ])
            .args(["--mount-proc", "--net", "--uts", "--ipc", "sh"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pod/node.sh"))
            .arg(&dir)
            .arg(std::env::current_exe().unwrap())
            .arg(devcluster::kubelet().await.unwrap())
            .arg(relays)
            .args(images);
        let process = Process::start("node", &command, dir.join("node.log"), Some(&dir)).unwrap();
        Self {
            process: Some(process),
            dir,
            before,
        }
    }

    /// Fails if its first process has ended.
    pub fn check(&mut self) {
        if let Some(process) = &mut self.process {
            process.check().unwrap();
        }
    }

    /// Kills the first process of a container, as the kernel does when memory runs out.
    pub fn kill(&self, container: &str) {
        let output = Command::new("ctr")
            .arg("--address")
            .arg(self.dir.join("containerd.sock"))
            .args([
                "--namespace",
                "k8s.io",
                "tasks",
                "kill",
                "--signal",
                "SIGKILL",
                container,
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The ends of the logs, for whoever has to find out.
    pub fn logs(&self) -> String {
        let ends = ["node", "containerd", "kubelet"].map(|name| {
            let log = fs::read_to_string(self.dir.join(format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            format!("\nThe last lines of {name}:\n{last}\n")
        });
        ends.concat()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.take());
        // The kernel ends the other processes a moment after the first one.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.before.remove_groups_since() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn containerd(dir: &Path, network: &Path) -> String {
    let (dir, network) = (dir.display(), network.display());
    // A runtime that may not lower its own score, as in some virtual machines, fails unless told to leave it.
    format!(
        r#"version = 2
root = "{dir}/containerd"
state = "{dir}/state"
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{network}"
    conf_dir = "{dir}/cni"
"#
    )
}

/// A link for each Pod, and the node as its way to everything.
fn pods() -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": "10.88.0.0/24" }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
}

/// As little as a kubelet can do on a machine that is not its own, in no other way than on one that is.
fn kubelet(dir: &Path, cluster: &Cluster) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", dir.join("containerd.sock").display()),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": cluster.ca_path() },
        },
        "authorization": { "mode": "Webhook" },
        "podLogsDir": dir.join("logs"),
        "resolvConf": "",
        "failCgroupV1": false,
        "failSwapOn": false,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": false,
        "localStorageCapacityIsolation": false,
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "evictionHard": { "nodefs.available": "0%", "imagefs.available": "0%" },
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "1s",
    })
}
