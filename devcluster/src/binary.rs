//! The programs that devcluster runs or hands out, and how each is built from a pinned Go module.

/// The Kubernetes version that the pinned module builds.
pub const KUBERNETES_VERSION: &str = "v1.36.3";

/// A pinned Go module and the programs that are built from it.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its folder in the cache.
    pub(crate) folder: &'static str,
    pub(crate) version: &'static str,
    pub(crate) go_mod: &'static str,
    pub(crate) go_sum: &'static str,
    /// In the order in which they are built.
    pub(crate) binaries: &'static [Binary],
}

pub(crate) static CONTROL_PLANE: Module = Module {
    folder: "controlplane",
    version: KUBERNETES_VERSION,
    go_mod: include_str!("../controlplane/go.mod"),
    go_sum: include_str!("../controlplane/go.sum"),
    binaries: &Binary::ALL,
};

// Modules of their own: what Helm drags along would change what the control plane is built from.
static HELM_3: Module = Module {
    folder: "helm",
    version: "v3.20.0",
    go_mod: include_str!("../helm3/go.mod"),
    go_sum: include_str!("../helm3/go.sum"),
    binaries: &[Binary::Helm3],
};

static HELM_4: Module = Module {
    folder: "helm",
    version: "v4.2.4",
    go_mod: include_str!("../helm4/go.mod"),
    go_sum: include_str!("../helm4/go.sum"),
    binaries: &[Binary::Helm4],
};

// Upstream's release tags. Without the version flags /version answers `v0.0.0-master`, which kubectl and Helm refuse.
const KUBERNETES_TAGS: &str = "selinux,notest,grpcnotrace";
const KUBERNETES_LDFLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36 \
    -X k8s.io/component-base/version.gitTreeState=clean \
    -X k8s.io/component-base/version.buildDate=2026-07-23T00:00:00Z";

// Without them it takes every cluster that it does not ask for one of version 1.20.
const HELM_3_LDFLAGS: &str = "-s -w \
    -X helm.sh/helm/v3/internal/version.version=v3.20.0 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=35 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=35";

/// A program that devcluster runs or hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binary {
    /// The store behind the API server.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers: garbage collection, namespaces, service accounts.
    ControllerManager,
    /// The command-line client.
    Kubectl,
    /// What gives Pods a node.
    Scheduler,
    /// What runs Pods on a node.
    Kubelet,
    /// The package manager, as those who have not moved on have it.
    Helm3,
    /// The package manager.
    Helm4,
}

// === impl Binary ===

impl Binary {
    /// The file name, which is the same in every source of binaries.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Helm3 | Self::Helm4 => "helm",
        }
    }

    /// What it is built from.
    pub(crate) fn module(self) -> &'static Module {
        match self {
            Self::Helm3 => &HELM_3,
            Self::Helm4 => &HELM_4,
            _ => &CONTROL_PLANE,
        }
    }

    /// The main package in its module.
    const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Helm4 => "helm.sh/helm/v4/cmd/helm",
        }
    }

    /// The arguments of `go` that build this program into `output`.
    ///
    /// They are part of the cache's key. A change of `-trimpath` or the tags recompiles everything, so they are constant.
    pub(crate) fn build_arguments(self, output: &str) -> Vec<String> {
        let flags: &[&str] = match self {
            Self::Etcd | Self::Helm4 => &["-ldflags", "-s -w"],
            Self::Helm3 => &["-ldflags", HELM_3_LDFLAGS],
            _ => &["-tags", KUBERNETES_TAGS, "-ldflags", KUBERNETES_LDFLAGS],
        };
        ["build", "-mod=readonly", "-trimpath"]
            .iter()
            .chain(flags)
            .chain(&["-o", output, self.package()])
            .map(ToString::to_string)
            .collect()
    }

    /// Every program of the control plane, in the order in which they are built.
    pub const ALL: [Self; 4] = [
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Kubectl,
    ];
}
