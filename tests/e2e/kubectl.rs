//! kubectl and shell commands, as a user runs them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use devcluster::Cluster;
use serde_json::Value;
use tokio::process::Command;

/// A kubectl that talks to one cluster as its administrator.
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Kubectl {
    /// The machine's kubectl, or the one that devcluster builds.
    pub async fn of(cluster: &Cluster) -> Self {
        Self {
            program: devcluster::kubectl().await.unwrap(),
            kubeconfig: cluster.kubeconfig_path().to_owned(),
        }
    }

    /// Runs `kubectl` with these words, in the repository's directory.
    pub async fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(words);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        self.wait(command).await
    }

    /// [`run`](Self::run), which has to succeed, and what it printed.
    pub async fn print(&self, words: &[&str]) -> String {
        let output = self.run(words).await;
        let errors = &output.stderr;
        assert_eq!(output.code, Some(0), "kubectl {words:?}: {errors}");
        output.stdout
    }

    /// What `kubectl … -o json` printed.
    pub async fn json(&self, words: &[&str]) -> Value {
        let words = [words, &["-o", "json"]].concat();
        serde_json::from_str(&self.print(&words).await).unwrap()
    }

    /// Runs a script of a page in a directory, with `kubectl` on its search path, and gives what it printed. It has to
    /// succeed, command by command.
    pub async fn script(&self, text: &str, dir: &Path) -> String {
        let output = self.wait(self.shell(text, dir)).await;
        assert_eq!(output.code, Some(0), "{text}\n{}", output.stderr);
        output.stdout
    }

    /// [`script`](Self::script) in the repository's directory.
    pub async fn run_here(&self, text: &str) -> String {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        self.script(text, here).await
    }

    /// The shell that runs a script, with the cluster's administrator for `kubectl` and whoever else reads `KUBECONFIG`.
    pub fn shell(&self, text: &str, dir: &Path) -> Command {
        let paths = std::env::var("PATH").unwrap_or_default();
        let mut path = self.program.parent().unwrap().as_os_str().to_owned();
        path.push(format!(":{paths}"));
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", text]);
        command
            .env("PATH", path)
            .env("KUBECONFIG", &self.kubeconfig);
        command.current_dir(dir).kill_on_drop(true);
        command
    }

    async fn wait(&self, mut command: Command) -> Output {
        let output = command
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Output {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}
