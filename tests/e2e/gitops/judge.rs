//! What Flux and Argo CD make of an object, by the libraries that they are built of: `tests/gitops/judge`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The health checks as Argo CD's users install them.
const HEALTH: &str = include_str!("../../../contrib/argocd/argocd-cm.yaml");

static JUDGE: OnceCell<Judge> = OnceCell::const_new();

/// The built program, in a directory of its own.
pub struct Judge {
    program: PathBuf,
    checks: Value,
    _dir: TempDir,
}

/// How one tool sees an object.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub status: String,
    pub message: String,
}

/// How both see it.
#[derive(Debug, Deserialize)]
pub struct Verdicts {
    pub flux: Verdict,
    pub argo: Verdict,
}

impl Judge {
    /// The program, built by the first call with the Go that the control plane is built with; Go's own cache makes that
    /// a matter of a second.
    pub async fn get() -> &'static Self {
        JUDGE.get_or_init(Self::build).await
    }

    async fn build() -> Self {
        let dir = TempDir::new().unwrap();
        let program = dir.path().join("judge");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops/judge");
        let built = Command::new("go")
            .args(["build", "-mod=readonly", "-trimpath", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(source)
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{errors}");
        let config: Value = serde_saphyr::from_str(HEALTH).unwrap();
        Self {
            program,
            checks: config["data"].clone(),
            _dir: dir,
        }
    }

    /// The health check of a kind.
    pub fn check(&self, kind: &str) -> &str {
        let key = format!("resource.customizations.health.cloudsecrets.dev_{kind}");
        let found = self.checks[&key].as_str();
        found.unwrap_or_else(|| panic!("there is no {key}"))
    }

    /// What the tools make of `object`, as the API server gave it.
    pub async fn ask(&self, object: &Value) -> Verdicts {
        let kind = object["kind"].as_str().unwrap();
        let question = json!({ "object": object, "health": self.check(kind) });
        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(question.to_string().as_bytes())
            .await
            .unwrap();
        drop(pipe);
        let output = child.wait_with_output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{kind}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
