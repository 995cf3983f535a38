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

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: [Binary; 2] = [Binary::Etcd, Binary::ApiServer];
    const CONTROLLERS: [Binary; 3] = [Binary::Etcd, Binary::ApiServer, Binary::ControllerManager];

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Environment::from_variables(variable, "/cache".into())
    }

    #[test]
    fn binaries_are_looked_for_in_one_order() {
        let existing = ("USE_EXISTING_CLUSTER", "true");
        let kubeconfig = ("KUBECONFIG", "/k");
        let assets = ("KUBEBUILDER_ASSETS", "/assets");
        let all = [
            "/assets/etcd",
            "/assets/kube-apiserver",
            "/cache/etcd",
            "/cache/kube-apiserver",
        ];
        for (variables, files, said) in [
            (
                &[existing, kubeconfig, assets][..],
                &all[..],
                "using the existing cluster of KUBECONFIG=/k",
            ),
            (
                &[kubeconfig, assets],
                &all,
                "using the binaries of KUBEBUILDER_ASSETS=/assets",
            ),
            (
                &[("USE_EXISTING_CLUSTER", ""), assets],
                &all,
                "using the binaries of KUBEBUILDER_ASSETS=/assets",
            ),
            (
                &[("USE_EXISTING_CLUSTER", "false"), kubeconfig],
                &all,
                "using the cached binaries in /cache",
            ),
            (
                &[("KUBEBUILDER_ASSETS", "")],
                &all,
                "using the cached binaries in /cache",
            ),
            (
                &[],
                &all[..3],
                "building kube-apiserver into /cache (once for this version)",
            ),
            (
                &[],
                &[],
                "building etcd, kube-apiserver into /cache (once for this version)",
            ),
        ] {
            let exists = |path: &Path| files.iter().any(|file| Path::new(file) == path);
            let source = environment(variables).cluster(&CLUSTER, exists).unwrap();
            assert_eq!(source.to_string(), said, "{variables:?} {files:?}");
        }
    }

    #[test]
    fn a_cluster_of_our_own_ignores_the_existing_one() {
        let environment = environment(&[("USE_EXISTING_CLUSTER", "true"), ("KUBECONFIG", "/k")]);
        assert!(matches!(
            environment.binaries(&CLUSTER, |_| true).unwrap(),
            Source::Found { assets: false, .. }
        ));
    }

    #[test]
    fn an_existing_cluster_without_a_kubeconfig_is_an_error() {
        let error = environment(&[("USE_EXISTING_CLUSTER", "true")])
            .cluster(&CLUSTER, |_| true)
            .unwrap_err();
        assert!(matches!(error, Error::ExistingWithoutKubeconfig));
    }

    #[test]
    fn assets_without_an_api_server_are_an_error_and_not_a_build() {
        let error = environment(&[("KUBEBUILDER_ASSETS", "/assets")])
            .binaries(&CLUSTER, |path| path == Path::new("/assets/etcd"))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "KUBEBUILDER_ASSETS=/assets has no kube-apiserver; correct or unset it"
        );
    }

    #[test]
    fn assets_without_controllers_are_completed_from_the_cache() {
        let environment = environment(&[("KUBEBUILDER_ASSETS", "/assets")]);
        let Source::Build { paths, missing, .. } = environment
            .binaries(&CONTROLLERS, |path| {
                path.starts_with("/assets") && !path.ends_with("kube-controller-manager")
            })
            .unwrap()
        else {
            panic!("the controllers are nowhere");
        };
        assert_eq!(missing, [Binary::ControllerManager]);
        assert_eq!(paths[0], Path::new("/assets/etcd"));
        assert_eq!(paths[2], Path::new("/cache/kube-controller-manager"));
    }
}
