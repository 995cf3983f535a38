//! Helm, the real program, with a home of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use devcluster::{Binary, Cluster};
use serde_json::Value;
use tempfile::TempDir;

use super::generated::chart;

/// The namespace of releases that are only rendered.
pub const NAMESPACE: &str = "secrets-system";

/// The image of releases whose values name none; every installation has to name one.
pub const IMAGE: &str = "registry.example.com/external-cloud-secrets";

/// One version of Helm.
pub struct Helm {
    program: PathBuf,
    home: TempDir,
    kubeconfig: Option<PathBuf>,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Said {
    pub success: bool,
    pub out: String,
    pub err: String,
}

impl Helm {
    /// This version, without a cluster.
    pub async fn new(version: Binary) -> Self {
        Self {
            program: devcluster::helm(version).await.unwrap(),
            home: TempDir::new().unwrap(),
            kubeconfig: None,
        }
    }

    /// This version, as the administrator of a cluster.
    pub async fn of(version: Binary, cluster: &Cluster) -> Self {
        let kubeconfig = Some(cluster.kubeconfig_path().to_owned());
        Self {
            kubeconfig,
            ..Self::new(version).await
        }
    }

    /// Runs it; of the environment of the tests it sees nothing.
    pub fn run(&self, args: &[&str]) -> Said {
        let home = |name: &str| self.home.path().join(name);
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env("HELM_CACHE_HOME", home("cache"))
            .env("HELM_CONFIG_HOME", home("config"))
            .env("HELM_DATA_HOME", home("data"));
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let output = command.output().unwrap();
        Said {
            success: output.status.success(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it to a good end and returns what it printed.
    pub fn done(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert!(said.success, "helm {}: {}", args.join(" "), said.err);
        said.out
    }

    /// A file with these values, and an image where they name none.
    pub fn values(&self, values: &Value) -> String {
        let mut values = values.clone();
        if values.get("image") != Some(&Value::Null)
            && values.pointer("/image/repository").is_none()
        {
            values["image"]["repository"] = IMAGE.into();
        }
        let path = self.home.path().join("values.json");
        std::fs::write(&path, values.to_string()).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// `helm template` of the chart with these values, and more arguments.
    pub fn template(&self, values: &Value, more: &[&str]) -> Said {
        let (chart, values) = (chart(), self.values(values));
        let mut args = vec!["template", "external-cloud-secrets"];
        args.push(chart.to_str().unwrap());
        args.extend(["--namespace", NAMESPACE]);
        args.extend(["--kube-version", devcluster::KUBERNETES_VERSION]);
        args.extend(["--values", &values]);
        args.extend(more);
        self.run(&args)
    }

    /// The objects that it makes of these values.
    pub fn objects(&self, values: &Value) -> Vec<Value> {
        let said = self.template(values, &[]);
        assert!(said.success, "{}", said.err);
        objects(&said.out)
    }
}

/// The objects of a stream of YAML.
pub fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// The object of this kind, and where it is given of this name.
pub fn find<'v>(objects: &'v [Value], kind: &str, name: &str) -> Option<&'v Value> {
    let of = |object: &&Value| {
        object["kind"] == kind && (name.is_empty() || object["metadata"]["name"] == name)
    };
    objects.iter().find(of)
}

/// A copy of the chart that may be changed.
pub fn copy_of_chart(dir: &Path) -> PathBuf {
    let copied = Command::new("cp")
        .arg("-R")
        .args([chart(), dir.to_owned()])
        .status();
    assert!(copied.unwrap().success());
    dir.join("external-cloud-secrets")
}
