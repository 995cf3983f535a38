//! kubectl, as a user would run it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::{Failure, Result};
use crate::tell;

const LIMIT: Duration = Duration::from_secs(30);

/// A kubectl and the cluster it talks to.
pub struct Kubectl {
    pub path: PathBuf,
    pub kubeconfig: PathBuf,
}

// === impl Kubectl ===

impl Kubectl {
    /// How one types it: its name alone, if it is on the search path.
    pub fn typed(&self) -> String {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&paths).any(|dir| Some(dir.as_path()) == self.path.parent());
        if found {
            "kubectl".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    /// Shows a command, runs it and shows what it prints.
    pub async fn show(&self, arguments: &str) -> Result<()> {
        tell::command(&format!("kubectl {arguments}"));
        let words: Vec<&str> = arguments.split_whitespace().collect();
        tell::output(&self.run(&words, None).await?);
        Ok(())
    }

    /// Runs a command with `input` and gives what it prints.
    pub async fn run(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        let mut child = Command::new(&self.path)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure(format!("cannot start {}: {error}", self.path.display())))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(input.unwrap_or_default().as_bytes()).await?;
        }
        let what = format!("kubectl {}", arguments.join(" "));
        let output = tokio::time::timeout(LIMIT, child.wait_with_output())
            .await
            .map_err(|_| Failure(format!("{what}: no end within {} s", LIMIT.as_secs())))??;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(Failure(format!("{what}: {}", reason.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }
}
