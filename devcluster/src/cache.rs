//! The user's cache of binaries, filled by building pinned Go modules.

use crate::binary::{Binary, Module};
use crate::error::Error;
use crate::process::{Process, tail};
use crate::report::say;
use ring::digest::{SHA256, digest};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const WORK: &str = "build-";
const PROGRESS: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(200);

/// The user's cache directory for this project.
pub(crate) fn root(variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, Error> {
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|dir| dir.join("external-cloud-secrets"))
        .ok_or(Error::NoCacheDirectory)
}

/// The folder of a module's binaries, built with these flags from this version of it.
pub(crate) fn folder(root: &Path, module: &Module) -> PathBuf {
    let mut identity = vec![
        std::env::consts::OS.to_owned(),
        std::env::consts::ARCH.to_owned(),
    ];
    for binary in module.binaries {
        identity.extend(binary.build_arguments(""));
    }
    identity.extend([module.go_mod.to_owned(), module.go_sum.to_owned()]);
    let hash = short_hash(identity.join("\0").as_bytes());
    root.join(module.folder)
        .join(format!("{}-{hash}", module.version))
}

/// Finds an executable on a search path.
pub(crate) fn on_path(name: &str, path: Option<&str>) -> Option<PathBuf> {
    std::env::split_paths(path?)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// The machine's `go`.
pub(crate) fn go() -> Result<PathBuf, Error> {
    on_path("go", std::env::var("PATH").ok().as_deref()).ok_or(Error::NoGo)
}

/// Builds the missing binaries of a module into `folder`. Two that run at once build once: the second waits for the first.
pub(crate) async fn build(
    go: &Path,
    folder: &Path,
    module: &Module,
    missing: &[Binary],
) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let _lock = lock(&folder.join("lock")).await?;
    let missing: Vec<_> = missing
        .iter()
        .filter(|binary| !folder.join(binary.file_name()).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }

    remove_abandoned(folder)?;
    // On the same file system as the folder, so that each binary arrives by a rename and is never half there.
    let work = tempfile::Builder::new()
        .prefix(WORK)
        .tempdir_in(folder)
        .map_err(Error::io("create in", folder))?;
    for (name, text) in [("go.mod", module.go_mod), ("go.sum", module.go_sum)] {
        let path = work.path().join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
    }
    for (index, &&binary) in missing.iter().enumerate() {
        let what = format!(
            "{} ({} of {})",
            binary.file_name(),
            index + 1,
            missing.len()
        );
        compile(go, binary, work.path(), &what).await?;
        let (from, to) = (
            work.path().join(binary.file_name()),
            folder.join(binary.file_name()),
        );
        fs::rename(from, &to).map_err(Error::io("write", &to))?;
    }
    Ok(())
}

/// Removes what a build that was killed has left. Only the holder of the lock may.
pub(crate) fn remove_abandoned(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder)
        .map_err(Error::io("read", folder))?
        .flatten()
    {
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            fs::remove_dir_all(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

async fn compile(go: &Path, binary: Binary, work: &Path, what: &str) -> Result<(), Error> {
    let mut command = Command::new(go);
    command
        .args(binary.build_arguments(binary.file_name()))
        .current_dir(work);
    // Never download another Go, never link C, never pick up a workspace that happens to lie above.
    command
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off");
    let log = work.join(format!("{}.log", binary.file_name()));
    let mut process = Process::start(binary.file_name(), &command, log.clone(), Some(work))?;
    let started = Instant::now();
    let mut reported = started;
    say(format_args!("building {what}"));
    while process.status().is_none() {
        tokio::time::sleep(LOCK_POLL).await;
        if reported.elapsed() >= PROGRESS {
            reported = Instant::now();
            say(format_args!(
                "building {what}: {} s",
                started.elapsed().as_secs()
            ));
        }
    }
    if process.status().is_some_and(|status| status.success()) {
        say(format_args!(
            "built {what} in {} s",
            started.elapsed().as_secs()
        ));
        return Ok(());
    }
    let tail = tail(&log, 600);
    // Go's own words: `go.mod requires go >= 1.26.0 (running go 1.22.1; GOTOOLCHAIN=local)`.
    if tail.contains("requires go >=") {
        Err(Error::OldGo)
    } else {
        Err(Error::Build {
            binary: binary.file_name(),
            tail,
        })
    }
}

pub(crate) async fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(Error::io("open", path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    say(format_args!(
                        "waiting for another process that builds into {}",
                        path.display()
                    ));
                    told = true;
                }
                tokio::time::sleep(LOCK_POLL).await;
            }
        }
    }
}

/// Keeps a CA of somebody else's cluster as a file, named by its content so that it is written once.
pub(crate) fn store_certificate(root: &Path, pem: &[u8]) -> Result<PathBuf, Error> {
    let dir = root.join("ca");
    fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
    let path = dir.join(format!("{}.crt", short_hash(pem)));
    fs::write(&path, pem).map_err(Error::io("write", &path))?;
    Ok(path)
}

fn short_hash(bytes: &[u8]) -> String {
    let first = digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .take(8)
        .fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    format!("{first:016x}")
}
