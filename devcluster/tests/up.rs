//! The program `devcluster`: how it starts, and above all how it ends.
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_devcluster");
const PATIENCE: Duration = Duration::from_mins(1);

/// A running `devcluster up` and its children.
struct Up {
    child: Child,
    dir: TempDir,
    errors: BufReader<std::process::ChildStderr>,
    etcd: u32,
    apiserver: u32,
}

// === impl Up ===

impl Up {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = isolated(Command::new(PROGRAM));
        command.args(["up", "--dir"]).arg(dir.path());
        Self::spawn(command, dir)
    }

    /// Starts a parent of its own for it, as a script would be.
    fn start_under_a_shell() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = isolated(Command::new("/bin/sh"));
        command
            .args(["-c", r#""$0" up --dir "$1" & wait"#, PROGRAM])
            .arg(dir.path());
        Self::spawn(command, dir)
    }

    fn spawn(mut command: Command, dir: TempDir) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut ids = [0, 0];
        while ids[1] == 0 {
            let mut line = String::new();
            assert!(
                errors.read_line(&mut line).unwrap() > 0,
                "it ended before it was ready"
            );
            for (id, name) in ids.iter_mut().zip(["etcd", "kube-apiserver"]) {
                if let Some(number) = line
                    .trim()
                    .strip_prefix(&format!("devcluster: {name} is process "))
                {
                    *id = number.parse().unwrap();
                }
            }
        }
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "devcluster: ready\n");
        assert!(is_running(ids[0]) && is_running(ids[1]));
        Self {
            child,
            dir,
            errors,
            etcd: ids[0],
            apiserver: ids[1],
        }
    }

    fn wait_for_no_children(&self) {
        let started = Instant::now();
        while is_running(self.etcd) || is_running(self.apiserver) {
            assert!(started.elapsed() < PATIENCE, "the children live on");
            sleep(Duration::from_millis(20));
        }
    }
}

/// Keeps the variables of an enclosing test run out, except where its binaries are.
fn isolated(mut command: Command) -> Command {
    command
        .env_remove("USE_EXISTING_CLUSTER")
        .env_remove("KUBECONFIG");
    command
}

/// Whether a process exists and has not ended. One that nobody has reaped has ended.
fn is_running(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.starts_with(" Z"))
    })
}

fn signal(id: u32, name: &str) {
    assert!(
        Command::new("kill")
            .args([name, &id.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_killed_parent_leaves_no_children() {
    let mut up = Up::start();
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    let started = Instant::now();
    up.wait_for_no_children();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "the watchdogs took {:?}",
        started.elapsed()
    );
}

#[test]
fn the_end_of_the_parent_process_is_the_end_of_the_cluster() {
    let mut up = Up::start_under_a_shell();
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    up.wait_for_no_children();
    let mut said = String::new();
    up.errors.read_to_string(&mut said).unwrap();
    assert_eq!(
        said,
        "devcluster: the parent process is gone, stopping\ndevcluster: stopped\n"
    );
}

#[test]
fn sigterm_stops_the_apiserver_before_etcd_and_exits_with_success() {
    let mut up = Up::start();
    signal(up.child.id(), "-TERM");
    let started = Instant::now();
    while is_running(up.apiserver) {
        // In this order: an etcd that is gone while the API server is still there went first.
        assert!(
            is_running(up.etcd) || !is_running(up.apiserver),
            "etcd ended first"
        );
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(2));
    }
    assert!(up.child.wait().unwrap().success());
    up.wait_for_no_children();
    assert_clean_log(
        &up.dir.path().join("etcd.log"),
        "received signal; shutting down",
    );
}

fn assert_clean_log(log: &Path, words: &str) {
    let text = fs::read_to_string(log).unwrap();
    assert!(
        text.contains(words),
        "{} does not say {words:?}",
        log.display()
    );
}

#[test]
fn sigint_before_it_is_ready_ends_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = isolated(Command::new(PROGRAM));
    let mut child = command
        .args(["up", "--dir"])
        .arg(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    errors.read_line(&mut String::new()).unwrap();
    signal(child.id(), "-INT");
    assert!(child.wait().unwrap().success());
    let mut said = String::new();
    errors.read_to_string(&mut said).unwrap();
    assert!(said.contains("interrupted before it was ready"), "{said}");
}

#[test]
fn an_existing_cluster_is_handed_on_and_left_alone() {
    let up = Up::start();
    let other = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .env("USE_EXISTING_CLUSTER", "true")
        .env("KUBECONFIG", up.dir.path().join("kubeconfig"));
    command
        .args(["up", "--dir"])
        .arg(other.path())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "devcluster: ready\n");
    for name in ["kubeconfig", "ca.crt"] {
        let read = |dir: &Path| fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(
            read(up.dir.path()).trim_end(),
            read(other.path()).trim_end()
        );
    }
    signal(child.id(), "-TERM");
    assert!(child.wait().unwrap().success());
    assert!(is_running(up.apiserver) && is_running(up.etcd));
    signal(up.child.id(), "-KILL");
    up.wait_for_no_children();
}

#[test]
fn a_directory_is_used_by_one_cluster_at_a_time() {
    let up = Up::start();
    let output = isolated(Command::new(PROGRAM))
        .args(["up", "--dir"])
        .arg(up.dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        text(&output).contains("is in use by another devcluster"),
        "{}",
        text(&output)
    );
    signal(up.child.id(), "-KILL");
    up.wait_for_no_children();
}

#[test]
fn a_missing_go_gives_one_clear_line() {
    let empty = tempfile::tempdir().unwrap();
    let output = isolated(Command::new(PROGRAM))
        .env_remove("KUBEBUILDER_ASSETS")
        .env("XDG_CACHE_HOME", empty.path())
        .env("PATH", empty.path())
        .args(["up", "--dir"])
        .arg(empty.path().join("cluster"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = text(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    for words in [
        "`go` is not on the PATH",
        "install Go",
        "KUBEBUILDER_ASSETS",
        "setup-envtest",
        "USE_EXISTING_CLUSTER",
    ] {
        assert!(said.contains(words), "{said} does not say {words}");
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
