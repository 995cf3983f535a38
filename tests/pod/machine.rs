//! What this machine must have for a node, and that a node leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs of a node, and the packages of Debian and its kin that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
];

/// Where distributions keep the programs that give Pods a network.
const NETWORKS: &[&str] = &["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// What can be seen of a node from outside.
#[derive(Debug)]
pub struct Traces {
    mounts: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    kernel: Vec<String>,
    groups: BTreeSet<PathBuf>,
}

/// The folder with the programs that give Pods a network, or why this machine cannot run a node.
pub fn ready() -> Result<PathBuf, String> {
    if !cfg!(target_os = "linux") {
        return Err("it needs Linux".into());
    }
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    // The first line of a machine's own users maps all of them to themselves.
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !root || !map.split_whitespace().eq(["0", "0", "4294967295"]) {
        return Err("it needs root, and not that of a container, for a node mounts file systems and makes networks".into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let mut missing: BTreeSet<&str> = PROGRAMS
        .iter()
        .filter(|(name, _)| !found(name))
        .map(|(_, package)| *package)
        .collect();
    let network = NETWORKS
        .iter()
        .map(Path::new)
        .find(|dir| dir.join("ptp").is_file());
    if network.is_none() {
        missing.insert("containernetworking-plugins");
    }
    if let (Some(network), true) = (network, missing.is_empty()) {
        return namespaces().map(|()| network.to_owned());
    }
    let packages = missing.into_iter().collect::<Vec<_>>().join(" ");
    Err(format!(
        "it needs more programs: apt-get install --no-install-recommends {packages}"
    ))
}

/// Tries what a node does first: a sandbox may allow root less than that.
fn namespaces() -> Result<(), String> {
    let attempt = "dir=$(mktemp -d) && trap 'rm -rf $dir' EXIT && mkdir $dir/upper $dir/scratch \
        && mount -t overlay -o lowerdir=/var/lib,upperdir=$dir/upper,workdir=$dir/scratch overlay /var/lib \
        && mount -t tmpfs tmpfs /run && ip link add node0 type veth peer name node1";
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "--net",
            "--pid",
            "--fork",
        ])
        .args(["--mount-proc", "sh", "-c", attempt])
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    let reason = String::from_utf8_lossy(&output.stderr);
    let why = || format!("this machine allows no namespaces: {}", reason.trim());
    output.status.success().then_some(()).ok_or_else(why)
}

// === impl Traces ===

impl Traces {
    /// What there is now.
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let kernel = [
            "vm/overcommit_memory",
            "kernel/panic",
            "kernel/panic_on_oops",
        ];
        let mounts = read("/proc/self/mounts");
        let interfaces = children(Path::new("/sys/class/net"));
        Self {
            mounts: mounts.lines().map(str::to_owned).collect(),
            interfaces: interfaces
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            kernel: kernel.map(|name| read(&format!("/proc/sys/{name}"))).into(),
            groups: control_groups(),
        }
    }

    /// What is there now and was not then.
    pub fn since(&self, then: &Self) -> Vec<String> {
        let mut left: Vec<String> = self.mounts.difference(&then.mounts).cloned().collect();
        left.extend(self.interfaces.difference(&then.interfaces).cloned());
        let groups = self.groups.difference(&then.groups);
        left.extend(groups.map(|group| group.display().to_string()));
        if self.kernel != then.kernel {
            left.push(format!("{:?} in /proc/sys", self.kernel));
        }
        left
    }

    /// Removes the control groups that are there now and were not then; tells whether all are gone. The kernel refuses to remove
    /// one that is in use.
    pub fn remove_groups_since(&self) -> bool {
        let now = control_groups();
        // Those within others come later, and go first.
        let new = now
            .iter()
            .rev()
            .filter(|group| !self.groups.contains(*group));
        new.map(fs::remove_dir).filter(Result::is_err).count() == 0
    }
}

/// The control groups in which containerd puts containers, of all hierarchies.
fn control_groups() -> BTreeSet<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = if root.join("cgroup.controllers").exists() {
        vec![root.to_owned()]
    } else {
        children(root)
    };
    let tops = hierarchies.iter().map(|dir| dir.join("k8s.io"));
    tops.filter(|top| top.exists())
        .flat_map(|top| children(&top).into_iter().chain([top]))
        .collect()
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.path()).collect()
}
