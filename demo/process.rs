//! The programs that the demo starts, each a process of its own, and what makes sure that they end.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Reads process ids until its input ends. If the last line is not `done`, the demo was killed: then it ends the
/// processes, the last one first, and removes the demo's directory.
const SENTINEL: &str = r#"
trap '' INT HUP TERM
pids=
while read -r word; do
  [ "$word" = done ] && exit 0
  pids="$word $pids"
done
for pid in $pids; do
  kill -TERM "$pid" 2>/dev/null
  for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -0 "$pid" 2>/dev/null || break; sleep 1; done
  kill -KILL "$pid" 2>/dev/null
done
rm -rf -- "$1"
"#;

/// A running program. Its output goes to a file.
pub struct Program {
    pub name: &'static str,
    pub log: PathBuf,
    child: Child,
}

/// Outlives the demo if the demo is killed, and cleans up then.
pub struct Sentinel(Child);

// === impl Program ===

impl Program {
    /// Starts `command` in a process group of its own, so that Ctrl-C reaches the demo alone, which then stops its
    /// programs in order.
    pub fn start(
        name: &'static str,
        command: &mut Command,
        dir: &Path,
        sentinel: &mut Sentinel,
    ) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(|error| Failure(format!("cannot start {program}: {error}")))?;
        sentinel.watch(child.id())?;
        Ok(Self { name, log, child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines that it has written.
    pub fn last_lines(&self, count: usize) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Its resident memory in KiB.
    pub fn resident_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, and insists in the end.
    pub async fn stop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        if self.ended().is_none() {
            // The id is its own: only we reap it.
            let id = self.id().to_string();
            let _ = Command::new("kill").arg(id).stderr(Stdio::null()).status();
        }
        while self.ended().is_none() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        self.kill();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

// === impl Sentinel ===

impl Sentinel {
    /// Starts to guard `dir`.
    pub fn start(dir: &Path) -> Result<Self> {
        let child = Command::new("sh")
            .args(["-c", SENTINEL, "demo-sentinel"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    fn watch(&mut self, id: u32) -> Result<()> {
        self.say(&id.to_string())
    }

    /// Nothing is left to be cleaned up.
    pub fn dismiss(mut self) {
        let _ = self.say("done");
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }

    fn say(&mut self, line: &str) -> Result<()> {
        if let Some(input) = &mut self.0.stdin {
            writeln!(input, "{line}")?;
        }
        Ok(())
    }
}
