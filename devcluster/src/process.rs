//! A child process that cannot outlive us, whatever kills us.
//!
//! `PR_SET_PDEATHSIG` would need unsafe code and follows the *thread* that spawned, which in a test ends long before the
//! process. So each child starts as a shell that forks a watchdog and then becomes the program (same process id). The
//! watchdog reads from a pipe whose only writing end we hold: end of file means that we are gone, however we went.

use crate::error::Error;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

// A line on the pipe tells the watchdog that the child has been reaped, so that its id may belong to someone else by now.
const WATCHDOG: &str = r#"
scratch=$1; shift
exec 3<&0 </dev/null
(
  read -r word <&3 && exit 0
  kill -9 $$
  [ -n "$scratch" ] || exit 0
  for attempt in 1 2 3 4 5; do rm -rf -- "$scratch" && exit 0; sleep 1; done
) &
exec 3<&-
exec "$@"
"#;

const POLL: Duration = Duration::from_millis(25);

/// A running child process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    pipe: Option<ChildStdin>,
    log: PathBuf,
    status: Option<ExitStatus>,
}

// === impl Process ===

impl Process {
    /// Starts `command` with its output in `log`. If we die, it is killed and then `scratch` is removed.
    pub fn start(
        name: &'static str,
        command: &Command,
        log: PathBuf,
        scratch: Option<&Path>,
    ) -> Result<Self, Error> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(Error::io("open", &log))?;
        let errors = output.try_clone().map_err(Error::io("open", &log))?;
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", WATCHDOG, name])
            .arg(scratch.unwrap_or(Path::new("")));
        shell.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            shell.current_dir(dir);
        }
        // A process group of its own: Ctrl-C must reach us only, so that we can stop the children in order.
        shell
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let mut child = shell
            .spawn()
            .map_err(Error::io("start", Path::new(command.get_program())))?;
        let pipe = child.stdin.take();
        Ok(Self {
            name,
            child,
            pipe,
            log,
            status: None,
        })
    }

    /// The process id of the program itself.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The exit status, once it has ended.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                self.dismiss_watchdog();
            }
        }
        self.status
    }

    /// An error if the process has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        let Some(status) = self.status() else {
            return Ok(());
        };
        Err(Error::Ended {
            binary: self.name,
            status: status.to_string(),
            log: self.log.clone(),
            tail: tail(&self.log, 600),
        })
    }

    /// Asks it to end, and insists after `patience`.
    pub async fn stop(mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        if self.status().is_none() {
            // Until it is reaped, and only `status` reaps it, the id is its own.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        while self.status().is_none() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
    }

    fn dismiss_watchdog(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // The watchdog may be gone with the machine's blessing; there is nothing to do about it.
            let _ = pipe.write_all(b"done\n");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status().is_none() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
        self.dismiss_watchdog();
    }
}

/// The last non-empty lines of a file, at most about `limit` bytes, as one line.
pub(crate) fn tail(path: &Path, limit: usize) -> String {
    let text = fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let mut lines = Vec::new();
    let mut length = 0;
    for line in text.lines().rev().filter(|line| !line.trim().is_empty()) {
        length += line.len();
        if length > limit && !lines.is_empty() {
            break;
        }
        lines.push(line.trim());
    }
    lines.reverse();
    lines.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, dir: &Path) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::start("etcd", &command, dir.join("etcd.log"), None).unwrap()
    }

    #[tokio::test]
    async fn a_process_that_ends_is_reported_with_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = start(
            "echo one; echo 'bind: address already in use' >&2; exit 3",
            dir.path(),
        );
        while process.status().is_none() {
            tokio::time::sleep(POLL).await;
        }
        let error = process.check().unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("one | bind: address already in use"),
            "{error}"
        );
        assert!(error.is_port_taken());
    }

    #[tokio::test]
    async fn one_that_does_not_end_when_asked_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let process = start("trap '' TERM; while :; do sleep 0.1; done", dir.path());
        let id = process.id().cast_signed();
        process.stop(Duration::from_millis(200)).await;
        let pid = Pid::from_raw(id).unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
