//! Custom resource definitions: installed from YAML and waited for.

use crate::bootstrap::{FIELD_MANAGER, get};
use crate::cluster::Cluster;
use crate::error::Error;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

// === impl Cluster ===

impl Cluster {
    /// Installs or replaces every definition of a YAML text and waits until each is served.
    ///
    /// The garbage collector learns of new kinds every 30 s only, so where a definition is new and the controllers are
    /// ours, they are restarted: owned objects go at once when a custom object goes.
    pub async fn apply_crds(&self, yaml: &str) -> Result<(), Error> {
        let definitions: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(yaml)
            .map_err(|error| Error::Yaml {
                what: "the CRDs".into(),
                reason: error.to_string(),
            })?;
        let client = self.client()?;
        let mut new = false;
        for definition in &definitions {
            new |= apply(&client, definition).await?;
        }
        for definition in &definitions {
            served(&client, definition).await?;
        }
        if new {
            self.restart_controllers().await?;
        }
        Ok(())
    }

    /// [`Cluster::apply_crds`] with every `.yaml` file of a directory.
    pub async fn apply_crd_dir(&self, dir: &Path) -> Result<(), Error> {
        self.apply_crds(&read_yaml_dir(dir)?).await
    }
}

/// The text of all `.yaml` files of a directory, in the order of their names, as one YAML stream.
pub fn read_yaml_dir(dir: &Path) -> Result<String, Error> {
    let entries = fs::read_dir(dir).map_err(Error::io("read", dir))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    let texts: Result<Vec<_>, Error> = files
        .iter()
        .map(|path| fs::read_to_string(path).map_err(Error::io("read", path)))
        .collect();
    Ok(texts?.join("\n---\n"))
}

/// Applies one definition; tells whether it was new.
async fn apply(client: &Client, definition: &CustomResourceDefinition) -> Result<bool, Error> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let name = definition.metadata.name.as_deref().unwrap_or_default();
    let new = definitions.get_opt(name).await?.is_none();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    definitions
        .patch(name, &params, &Patch::Apply(definition))
        .await?;
    Ok(new)
}

async fn served(client: &Client, definition: &CustomResourceDefinition) -> Result<(), Error> {
    let name = definition.metadata.name.as_deref().unwrap_or_default();
    let not_ready = |last: &str| Error::NotReady {
        what: format!("CRD {name}"),
        seconds: PATIENCE.as_secs(),
        last: last.to_owned(),
    };
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let established = await_condition(definitions, name, conditions::is_crd_established());
    match tokio::time::timeout(PATIENCE, established).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(not_ready(&error.to_string())),
        Err(_) => return Err(not_ready("it is not established")),
    }

    // `Established` is set a moment before the handler answers.
    let spec = &definition.spec;
    let started = Instant::now();
    for version in spec.versions.iter().filter(|version| version.served) {
        let path = format!(
            "/apis/{}/{}/{}?limit=1",
            spec.group, version.name, spec.names.plural
        );
        while let Err(error) = get(client, &path).await {
            if started.elapsed() > PATIENCE {
                return Err(not_ready(&error.to_string()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
