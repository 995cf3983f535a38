//! The programs of the control plane and how each is built from the pinned Go module.

/// The Kubernetes version that the pinned module builds.
pub const KUBERNETES_VERSION: &str = "v1.36.3";

pub(crate) const GO_MOD: &str = include_str!("../controlplane/go.mod");
pub(crate) const GO_SUM: &str = include_str!("../controlplane/go.sum");

// Upstream's release tags. Without the version flags /version answers `v0.0.0-master`, which kubectl and Helm refuse.
const KUBERNETES_TAGS: &str = "selinux,notest,grpcnotrace";
const KUBERNETES_LDFLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36 \
    -X k8s.io/component-base/version.gitTreeState=clean \
    -X k8s.io/component-base/version.buildDate=2026-07-23T00:00:00Z";

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
        }
    }

    /// The main package in the pinned module.
    const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
        }
    }

    /// The arguments of `go` that build this program into `output`.
    ///
    /// They are part of the cache's key. A change of `-trimpath` or the tags recompiles everything, so they are constant.
    pub(crate) fn build_arguments(self, output: &str) -> Vec<String> {
        let flags: &[&str] = match self {
            Self::Etcd => &["-ldflags", "-s -w"],
            _ => &["-tags", KUBERNETES_TAGS, "-ldflags", KUBERNETES_LDFLAGS],
        };
        ["build", "-mod=readonly", "-trimpath"]
            .iter()
            .chain(flags)
            .chain(&["-o", output, self.package()])
            .map(ToString::to_string)
            .collect()
    }

    /// Every program, in the order in which they are built.
    pub const ALL: [Self; 4] = [
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Kubectl,
    ];
}
