//! What can go wrong, each in one line that says what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a cluster could not be started, reached or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `USE_EXISTING_CLUSTER=true` without a `KUBECONFIG` to say which.
    #[error("USE_EXISTING_CLUSTER=true needs KUBECONFIG to name the cluster's kubeconfig")]
    ExistingWithoutKubeconfig,

    /// `KUBEBUILDER_ASSETS` names a folder without one of the binaries.
    #[error("KUBEBUILDER_ASSETS={} has no {binary}; correct or unset it", dir.display())]
    AssetsIncomplete {
        /// The folder that was named.
        dir: PathBuf,
        /// The first binary that is not in it.
        binary: &'static str,
    },

    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no cache directory: set HOME or XDG_CACHE_HOME")]
    NoCacheDirectory,

    /// No Go to build the control plane with.
    #[error(
        "`go` is not on the PATH: install Go 1.26 or newer (go.dev/doc/install) so that the control plane can be built, \
         or skip the build with KUBEBUILDER_ASSETS (see setup-envtest) or USE_EXISTING_CLUSTER=true and KUBECONFIG"
    )]
    NoGo,

    /// `go` is older than the control plane's module asks for.
    #[error(
        "this `go` is too old to build the control plane: install Go 1.26 or newer (go.dev/doc/install), \
         or skip the build with KUBEBUILDER_ASSETS (see setup-envtest) or USE_EXISTING_CLUSTER=true and KUBECONFIG"
    )]
    OldGo,

    /// There is no Prometheus, and Debian's cannot be had.
    #[error(
        "no `prometheus` and `promtool` on the PATH, and Debian's package cannot be fetched ({0}): install Prometheus 2.42 or \
         newer (apt-get install prometheus, or prometheus.io/download)"
    )]
    NoPrometheus(String),

    /// `go build` failed.
    #[error("cannot build {binary}: {tail}")]
    Build {
        /// The binary that was being built.
        binary: &'static str,
        /// The end of what `go` printed.
        tail: String,
    },

    /// A process of the control plane ended by itself.
    #[error("{binary} ended ({status}); its log {} ends with: {tail}", log.display())]
    Ended {
        /// The binary that ended.
        binary: &'static str,
        /// Its exit status.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },

    /// A process of the control plane did not become ready.
    #[error("{what} was not ready after {seconds} s: {last}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long it was waited for.
        seconds: u64,
        /// The last answer.
        last: String,
    },

    /// Another devcluster uses the directory.
    #[error("{} is in use by another devcluster", .0.display())]
    DirectoryInUse(PathBuf),

    /// No free port was found.
    #[error("no free loopback port between {} and {}", .0.start, .0.end)]
    NoPort(std::ops::Range<u16>),

    /// The cluster is not ours to stop and start.
    #[error("this cluster was not started by this process, so it cannot be stopped or started")]
    NotOurs,

    /// etcd refused or did not answer.
    #[error("etcd: {0}")]
    Etcd(String),

    /// A file or process operation failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The file it was attempted on.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },

    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),

    /// The service-account key could not be made.
    #[error("cannot make the service-account key: {0}")]
    ServiceAccountKey(String),

    /// The API server refused or did not answer.
    #[error("API server: {0}")]
    Api(#[from] kube::Error),

    /// A kubeconfig could not be read.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),

    /// A YAML text is not what it should be.
    #[error("{what} is not valid: {reason}")]
    Yaml {
        /// Which text.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

// === impl Error ===

impl Error {
    /// Wraps an I/O error with what was attempted on which file.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }

    /// Whether another process took one of our ports between the choice and the bind.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.contains("address already in use"))
    }
}
