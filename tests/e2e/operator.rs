//! The operator's process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::wait::{SOON, until};

/// The rules of the operator's ServiceAccount.
pub const RBAC: &str = include_str!("../../charts/external-cloud-secrets/rbac.yaml");

/// How an operator is started.
#[derive(Debug, Clone)]
pub struct Setup {
    pub kubeconfig: PathBuf,
    pub namespace: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub log: PathBuf,
}

/// A running operator. It ends with this value, and also when the test process dies.
pub struct Operator {
    child: Child,
    setup: Setup,
    /// Where its HTTP server is.
    pub url: String,
}

impl Operator {
    /// Starts an operator and waits until it is ready.
    pub async fn start(setup: Setup) -> Self {
        let operator = Self::listening(setup).await;
        let log = operator.setup.log.clone();
        let url = format!("{}/readyz", operator.url);
        until(
            "the operator's readiness",
            Duration::from_secs(40),
            async || match reqwest::get(&url).await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                other => Err(format!("{other:?}\n{}", tail(&log))),
            },
        )
        .await;
        operator
    }

    /// Starts an operator and waits until its HTTP server answers, ready or not.
    pub async fn listening(setup: Setup) -> Self {
        let mut operator = Self::launch(setup);
        let log = operator.setup.log.clone();
        let port = until("the operator's address", SOON, async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            address(&text).ok_or_else(|| tail(&log))
        })
        .await;
        operator.url = format!("http://{port}");
        operator
    }

    /// Starts the process. A shell watches the pipe from the test process, so that a test process
    /// that is killed leaves no operator behind.
    pub fn launch(setup: Setup) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&setup.log)
            .unwrap();
        let watch = "\"$@\" <&- & pid=$!; echo $pid >\"$0\"; \
                     trap 'kill -TERM $pid; wait $pid; code=$?; kill %2; exit $code' TERM; \
                     { cat >/dev/null <&3; kill -KILL $pid 2>/dev/null; } & \
                     wait $pid; code=$?; kill %2 2>/dev/null; exit $code";
        let child = Command::new("bash")
            .args(["-c", &format!("exec 3<&0; {watch}")])
            .arg(pid_file(&setup.log))
            .arg(env!("CARGO_BIN_EXE_external-cloud-secrets"))
            .args(["run", "--http-address", "127.0.0.1:0"])
            .args(["--namespace", &setup.namespace])
            .args(&setup.args)
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| matches!(&**name, "PATH" | "HOME")))
            .env("KUBECONFIG", &setup.kubeconfig)
            .env("RUST_LOG", "trace")
            .env("ALLOW_INSECURE_ENDPOINTS", "true")
            .envs(setup.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            setup,
            url: String::new(),
        }
    }

    /// Stops it with SIGTERM and returns its exit code and how long that took.
    pub fn stop(mut self) -> (Option<i32>, Duration) {
        let start = std::time::Instant::now();
        self.signal("TERM");
        // Waiting closes the pipe otherwise, and then the watchdog kills.
        let pipe = self.child.stdin.take();
        let status = self.child.wait().unwrap();
        drop(pipe);
        (status.code(), start.elapsed())
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) {
        self.signal_program("KILL");
        self.child.wait().unwrap();
    }

    /// Stops it in the middle of whatever it does, until it is told to go on.
    pub fn freeze(&self) {
        self.signal_program("STOP");
    }

    /// Has it go on.
    pub fn thaw(&self) {
        self.signal_program("CONT");
    }

    /// Its process id.
    pub fn pid(&self) -> String {
        let text = std::fs::read_to_string(pid_file(&self.setup.log)).unwrap();
        text.trim().to_owned()
    }

    /// Whether it leads, as it says itself.
    pub async fn leads(&self) -> bool {
        let metrics = self.page("/metrics").await;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("cloudsecrets_leader "));
        line.unwrap().ends_with(" 1")
    }

    /// Waits until it leads.
    pub async fn wait_leading(&self, limit: Duration) {
        until("its leading", limit, async || {
            if self.leads().await {
                Ok(())
            } else {
                Err(tail(&self.setup.log))
            }
        })
        .await;
    }

    /// Waits until it ends by itself; returns its exit code and what it wrote.
    pub async fn end(mut self, limit: Duration) -> (Option<i32>, String) {
        let status = until("the operator's end", limit, async || {
            self.child.try_wait().unwrap().ok_or("it runs")
        })
        .await;
        (status.code(), self.log())
    }

    /// Stops it and starts it again, with a log of its own.
    pub async fn restart(self) -> Self {
        let setup = self.successor();
        self.stop();
        Self::start(setup).await
    }

    /// How it would be started again, with a log of its own.
    pub fn successor(&self) -> Setup {
        Setup {
            log: next_log(&self.setup.log),
            ..self.setup.clone()
        }
    }

    /// Everything it has logged since its start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.setup.log).unwrap_or_default()
    }

    /// How it was started.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// A page of its HTTP server.
    pub async fn page(&self, path: &str) -> String {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        answer.text().await.unwrap()
    }

    /// The HTTP status and the body of a page, if the server answers.
    pub async fn answer(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    fn signal(&self, name: &str) {
        send(name, &self.child.id().to_string());
    }

    /// Signals the operator itself, past the shell around it.
    fn signal_program(&self, name: &str) {
        send(name, &self.pid());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // The watchdog kills the operator when its pipe ends.
        if let Some(mut pipe) = self.child.stdin.take() {
            let _ = pipe.flush();
        }
        let _ = self.child.wait();
    }
}

/// Signals a process.
pub fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args(["-s", signal, pid]).status();
    assert!(sent.unwrap().success(), "SIG{signal} to {pid}");
}

fn pid_file(log: &Path) -> PathBuf {
    PathBuf::from(format!("{}.pid", log.to_string_lossy()))
}

fn address(log: &str) -> Option<String> {
    let line = log
        .lines()
        .find(|line| line.contains("started") && line.contains("127.0.0.1:"))?;
    let rest = line.split("127.0.0.1:").nth(1)?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("127.0.0.1:{port}"))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn next_log(log: &Path) -> PathBuf {
    let text = log.to_string_lossy();
    PathBuf::from(format!("{text}+"))
}
