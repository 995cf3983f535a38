//! kubectl and Helm, as a user would run them, and waiting with a bound.

use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Two programs and the cluster they talk to.
pub struct Tools {
    pub kubectl: PathBuf,
    pub helm: PathBuf,
    pub kubeconfig: PathBuf,
    /// Where Helm keeps what it keeps.
    pub home: PathBuf,
}

impl Tools {
    /// Runs kubectl to a good end.
    pub fn kubectl(&self, arguments: &str) -> String {
        self.run(&self.kubectl, arguments, "")
    }

    /// Applies YAML.
    pub fn apply(&self, yaml: &str) {
        self.run(&self.kubectl, "apply -f -", yaml);
    }

    /// Objects as kubectl prints them.
    pub fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.kubectl(&format!("get {what} -o json"))).unwrap()
    }

    /// Runs Helm to a good end.
    pub fn helm(&self, arguments: &str, values: &str) -> String {
        self.run(&self.helm, arguments, values)
    }

    /// Starts a kubectl that goes on until it is killed.
    pub fn watch(&self, arguments: &str) -> Child {
        self.start(&self.kubectl, arguments)
    }

    fn run(&self, program: &Path, arguments: &str, input: &str) -> String {
        let mut child = self.start(program, arguments);
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let name = program.file_name().unwrap().display();
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments}: {reason}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn start(&self, program: &Path, arguments: &str) -> Child {
        Command::new(program)
            .args(arguments.split_whitespace())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Asks `probe` until it gives something, and says how long that took; its errors say what is still missing.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> Result<T, String>,
) -> (T, Duration)
where
    T: Debug,
{
    let start = Instant::now();
    loop {
        match probe() {
            Ok(found) => return (found, start.elapsed()),
            Err(missing) => assert!(
                start.elapsed() < limit,
                "{what}: not within {limit:?}; last seen: {missing}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
