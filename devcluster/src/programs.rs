//! The programs on this machine: looked up, and built where they are missing.

use crate::binary::{Binary, CONTROL_PLANE};
use crate::cache;
use crate::error::Error;
use crate::lookup::{Environment, Source};
use crate::report::say;
use std::path::{Path, PathBuf};

/// The programs of one control plane.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) etcd: PathBuf,
    pub(crate) apiserver: PathBuf,
    pub(crate) controller_manager: Option<PathBuf>,
    pub(crate) scheduler: Option<PathBuf>,
}

// === impl Programs ===

impl Programs {
    /// Finds or builds them.
    pub(crate) async fn provide(
        environment: &Environment,
        controllers: bool,
        workloads: bool,
    ) -> Result<Self, Error> {
        let mut need = vec![Binary::Etcd, Binary::ApiServer];
        need.extend((controllers || workloads).then_some(Binary::ControllerManager));
        need.extend(workloads.then_some(Binary::Scheduler));
        let mut paths = provide(environment, &need).await?.into_iter();
        let (Some(etcd), Some(apiserver)) = (paths.next(), paths.next()) else {
            unreachable!("one path for each binary");
        };
        Ok(Self {
            etcd,
            apiserver,
            controller_manager: paths.next(),
            scheduler: paths.next(),
        })
    }
}

/// What the process's environment says, and the cache directory of this project.
pub(crate) fn environment() -> Result<(Environment, PathBuf), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let root = cache::root(variable)?;
    Ok((
        Environment::from_variables(variable, cache::folder(&root, &CONTROL_PLANE)),
        root,
    ))
}

/// Finds the programs of a control plane with controllers, or builds them into the cache, and both Helms. Where the
/// environment names an existing cluster, no control plane is needed.
pub async fn prepare() -> Result<(), Error> {
    let (environment, _) = environment()?;
    match environment.cluster(&[], Path::exists)? {
        source @ Source::Existing { .. } => say(format_args!("{source}")),
        _ => drop(Programs::provide(&environment, true, false).await?),
    }
    for binary in [Binary::Helm4, Binary::Helm3] {
        helm(binary).await?;
    }
    Ok(())
}

/// The machine's kubectl, or one that is built from the pinned module into the cache.
pub async fn kubectl() -> Result<PathBuf, Error> {
    if let Some(path) = cache::on_path("kubectl", std::env::var("PATH").ok().as_deref()) {
        return Ok(path);
    }
    let (environment, _) = environment()?;
    let mut paths = provide(&environment, &[Binary::Kubectl]).await?;
    Ok(paths.swap_remove(0))
}

/// The kubelet of this version, built into the cache.
pub async fn kubelet() -> Result<PathBuf, Error> {
    let (environment, _) = environment()?;
    let mut paths = provide(&environment, &[Binary::Kubelet]).await?;
    Ok(paths.swap_remove(0))
}

/// A Helm of the version of `binary`, which is [`Binary::Helm3`] or [`Binary::Helm4`], built into the cache: never the
/// machine's, so that tests say the same everywhere.
pub async fn helm(binary: Binary) -> Result<PathBuf, Error> {
    let (_, root) = environment()?;
    let module = binary.module();
    let dir = cache::folder(&root, module);
    let path = dir.join(binary.file_name());
    if !path.is_file() {
        cache::build(&cache::go()?, &dir, module, &[binary]).await?;
    }
    Ok(path)
}

async fn provide(environment: &Environment, need: &[Binary]) -> Result<Vec<PathBuf>, Error> {
    let source = environment.binaries(need, Path::is_file)?;
    // Without a `go` there is nothing to announce.
    let go = matches!(source, Source::Build { .. })
        .then(cache::go)
        .transpose()?;
    say(format_args!("{source}"));
    match source {
        Source::Found { paths, .. } => Ok(paths),
        Source::Build {
            paths,
            missing,
            dir,
        } => {
            cache::build(&go.ok_or(Error::NoGo)?, &dir, &CONTROL_PLANE, &missing).await?;
            Ok(paths)
        }
        Source::Existing { .. } => unreachable!("`binaries` never answers with a cluster"),
    }
}
