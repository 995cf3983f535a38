//! Where the binaries come from: a pure function of the environment and of what is on the disk.

use crate::binary::Binary;
use crate::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// What the environment says about clusters and binaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `USE_EXISTING_CLUSTER=true`.
    pub use_existing: bool,
    /// `KUBECONFIG`.
    pub kubeconfig: Option<PathBuf>,
    /// `KUBEBUILDER_ASSETS`.
    pub assets: Option<PathBuf>,
    /// The folder of the cache for this version and these flags.
    pub cache: PathBuf,
}

/// Where the binaries come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// No binary is needed: the cluster runs already.
    Existing {
        /// Its kubeconfig.
        kubeconfig: PathBuf,
    },
    /// The binaries are all there.
    Found {
        /// One path for each binary that was asked for, in that order.
        paths: Vec<PathBuf>,
        /// The folder of the first one.
        dir: PathBuf,
        /// Whether that folder is `KUBEBUILDER_ASSETS`.
        assets: bool,
    },
    /// Some binaries have to be built into the cache.
    Build {
        /// One path for each binary that was asked for, in that order, as they will be after the build.
        paths: Vec<PathBuf>,
        /// The binaries to build.
        missing: Vec<Binary>,
        /// The cache's folder.
        dir: PathBuf,
    },
}

// === impl Environment ===

impl Environment {
    /// Reads the variables. An empty one counts as absent.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, cache: PathBuf) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            use_existing: variable("USE_EXISTING_CLUSTER")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            kubeconfig: variable("KUBECONFIG").map(PathBuf::from),
            assets: variable("KUBEBUILDER_ASSETS").map(PathBuf::from),
            cache,
        }
    }

    /// Says where a cluster with these binaries comes from. `exists` tells whether a file is there.
    pub fn cluster(
        &self,
        need: &[Binary],
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Source, Error> {
        if !self.use_existing {
            return self.binaries(need, exists);
        }
        let kubeconfig = self
            .kubeconfig
            .clone()
            .ok_or(Error::ExistingWithoutKubeconfig)?;
        Ok(Source::Existing { kubeconfig })
    }

    /// Says where these binaries come from, for a cluster of our own.
    ///
    /// `KUBEBUILDER_ASSETS` is taken at its word: without etcd or kube-apiserver it is an error, not a reason to build for
    /// minutes. What `setup-envtest` does not ship (kube-controller-manager) is taken from the cache beside it.
    pub fn binaries(
        &self,
        need: &[Binary],
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Source, Error> {
        let mut paths = Vec::new();
        let mut missing = Vec::new();
        for &binary in need {
            let asset = self.assets.as_ref().map(|dir| dir.join(binary.file_name()));
            if let Some(asset) = asset.filter(|path| exists(path)) {
                paths.push(asset);
                continue;
            }
            if let (Some(dir), Binary::Etcd | Binary::ApiServer) = (&self.assets, binary) {
                return Err(Error::AssetsIncomplete {
                    dir: dir.clone(),
                    binary: binary.file_name(),
                });
            }
            let cached = self.cache.join(binary.file_name());
            if !exists(&cached) {
                missing.push(binary);
            }
            paths.push(cached);
        }
        if !missing.is_empty() {
            return Ok(Source::Build {
                paths,
                missing,
                dir: self.cache.clone(),
            });
        }
        let dir = paths
            .first()
            .and_then(|path| path.parent())
            .unwrap_or(&self.cache)
            .to_path_buf();
        let assets = self.assets.as_ref() == Some(&dir);
        Ok(Source::Found { paths, dir, assets })
    }
}

// === impl Source ===

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Existing { kubeconfig } => write!(
                f,
                "using the existing cluster of KUBECONFIG={}",
                kubeconfig.display()
            ),
            Self::Found {
                dir, assets: true, ..
            } => write!(
                f,
                "using the binaries of KUBEBUILDER_ASSETS={}",
                dir.display()
            ),
            Self::Found {
                dir, assets: false, ..
            } => write!(f, "using the cached binaries in {}", dir.display()),
            Self::Build { dir, missing, .. } => {
                let names: Vec<_> = missing.iter().map(|binary| binary.file_name()).collect();
                write!(
                    f,
                    "building {} into {} (once for this version)",
                    names.join(", "),
                    dir.display()
                )
            }
        }
    }
}
