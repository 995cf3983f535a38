//! Prometheus: the machine's, or Debian's package unpacked into the cache. Nothing is installed and no service starts.

use crate::cache;
use crate::error::Error;
use crate::programs;
use crate::report::say;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SERVER: &str = "prometheus";
const TOOL: &str = "promtool";

/// The programs of Prometheus.
#[derive(Clone, Debug)]
pub struct Prometheus {
    /// The server.
    pub server: PathBuf,
    /// `promtool`.
    pub tool: PathBuf,
}

/// Prometheus from the PATH, or else from the cache, into which Debian's package is unpacked once; root is not needed for that.
///
/// # Errors
///
/// Where there is neither Prometheus nor apt, which says what to install.
pub async fn prometheus() -> Result<Prometheus, Error> {
    let path = std::env::var("PATH").ok();
    let on_path = |name| cache::on_path(name, path.as_deref());
    if let (Some(server), Some(tool)) = (on_path(SERVER), on_path(TOOL)) {
        return Ok(Prometheus { server, tool });
    }
    let (_, root) = programs::environment()?;
    let folder = root.join("prometheus");
    let found = Prometheus {
        server: folder.join(SERVER),
        tool: folder.join(TOOL),
    };
    if !found.tool.is_file() {
        fetch(&folder).await?;
    }
    Ok(found)
}

/// Downloads and unpacks the package. Two that run at once do so once: the second waits for the first.
async fn fetch(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let _lock = cache::lock(&folder.join("lock")).await?;
    if folder.join(TOOL).is_file() {
        return Ok(());
    }
    say(format_args!(
        "unpacking Debian's prometheus into {} (once)",
        folder.display()
    ));
    cache::remove_abandoned(folder)?;
    let work = tempfile::Builder::new()
        .prefix(cache::WORK)
        .tempdir_in(folder)
        .map_err(Error::io("create in", folder))?;
    // A machine that never ran `apt-get update` has no lists, and only root may fill the machine's own.
    let own = |name: &str| format!("Dir::{name}={}", work.path().join(name).display());
    let own = [own("State"), own("Cache")];
    let own = ["-o", &*own[0], "-o", &*own[1]];
    for dir in ["State/lists/partial", "Cache/archives/partial", "root"] {
        let dir = work.path().join(dir);
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
    }
    let download = ["download", SERVER];
    if run(work.path(), "apt-get", &download).is_err() {
        run(work.path(), "apt-get", &[&own[..], &["update"]].concat())?;
        run(work.path(), "apt-get", &[&own[..], &download].concat())?;
    }
    let entries = fs::read_dir(work.path()).map_err(Error::io("read", work.path()))?;
    let package = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .ok_or_else(|| Error::NoPrometheus("apt-get downloaded nothing".to_owned()))?;
    let package = package.to_string_lossy();
    run(work.path(), "dpkg", &["-x", &*package, "root"])?;
    // The tool comes last: where it is, both are.
    for name in [SERVER, TOOL] {
        let to = folder.join(name);
        let from = work.path().join("root/usr/bin").join(name);
        fs::rename(from, &to).map_err(Error::io("write", &to))?;
    }
    Ok(())
}

fn run(dir: &Path, program: &str, args: &[&str]) -> Result<(), Error> {
    let output = Command::new(program).args(args).current_dir(dir).output();
    let output = output.map_err(|error| Error::NoPrometheus(format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    Err(Error::NoPrometheus(format!("{program}: {last}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_apt_is_told_what_to_install() {
        let error = run(Path::new("/"), "no-such-apt-get", &["download"]).unwrap_err();
        let text = error.to_string();
        for part in ["no-such-apt-get: ", "apt-get install prometheus", "2.42"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
