//! Manifests: the permissions are the chart's, the first steps are the examples, and a real API server takes them all.

use external_cloud_secrets::cli::crds::crds_yaml;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::page;
use super::pages::{self, Page, repository};

#[test]
fn the_permissions_in_the_pages_are_those_of_the_chart() {
    let rules: Value =
        serde_saphyr::from_str(&page("charts/external-cloud-secrets/rbac.yaml")).unwrap();
    let install = Page::read("docs/install.md").manifests();
    let rules_of = |manifests: &[Value], kind: &str| {
        let found = manifests
            .iter()
            .find(|object| object["kind"] == kind)
            .unwrap();
        found["rules"].clone()
    };
    assert_eq!(rules_of(&install, "ClusterRole"), rules["cluster"]);
    assert_eq!(rules_of(&install, "Role"), rules["operatorNamespace"]);
    let named = |name: &str| {
        let found = install
            .iter()
            .find(|object| object["metadata"]["name"] == name);
        found.unwrap()["rules"].clone()
    };
    let watched = named("external-cloud-secrets-watched");
    assert_eq!(watched, rules["watchedNamespace"]);
    let mut cluster = named("external-cloud-secrets-cluster-stores");
    let mut labels = cluster.as_array_mut().unwrap().pop().unwrap();
    assert_eq!(cluster, rules["clusterStores"]);
    let names = labels.as_object_mut().unwrap().remove("resourceNames");
    assert_eq!(names, Some(json!(["shop", "payments"])));
    assert_eq!(json!([labels]), rules["namespaceLabels"]);
    let kms: Value = serde_saphyr::from_str(&page("examples/kms/role.yaml")).unwrap();
    for (shown, account) in [
        (Page::read("README.md").manifests(), "shop"),
        (vec![kms], "pay"),
    ] {
        let mut tokens = rules_of(&shown, "Role");
        let names = tokens[0].as_object_mut().unwrap().remove("resourceNames");
        assert_eq!(names, Some(json!([account])));
        assert_eq!(tokens, rules["tokens"]);
    }
}

#[test]
fn a_first_secret_on_a_page_is_the_example() {
    for (shown, folder) in [
        ("README.md", "rrsa"),
        ("docs/ssm.md", "ssm"),
        ("docs/quickstart.md", "access-key"),
    ] {
        let shown = Page::read(shown).manifests();
        let files = std::fs::read_dir(repository().join("examples").join(folder));
        let files: Vec<_> = files
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(files.len() > 2, "{folder}");
        for name in files {
            let path = format!("examples/{folder}/{}", name.display());
            let mut example: Value = serde_saphyr::from_str(&page(&path)).unwrap();
            if path == "examples/rrsa/store.yaml" {
                example["spec"]["provider"]["oos"]["network"] = json!("Vpc");
            }
            assert!(shown.contains(&example), "{path}");
        }
    }
}

#[tokio::test]
async fn a_real_api_server_takes_every_manifest() {
    let cluster = devcluster::shared().await;
    cluster.apply_crds(&crds_yaml().unwrap()).await.unwrap();
    let client = cluster.client().unwrap();
    let namespace = cluster.namespace("docs").await.unwrap();
    let mut tried = 0;
    for page in pages::all() {
        for mut manifest in page.manifests() {
            // Nothing can be tried in a namespace that is not there.
            let namespaced = manifest["metadata"]["namespace"].is_string();
            if namespaced {
                manifest["metadata"]["namespace"] = json!(namespace.name());
            }
            let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
            let types = object.types.unwrap();
            let gvk: GroupVersionKind = (&types).try_into().unwrap();
            let resource = ApiResource::from_gvk(&gvk);
            let api: Api<DynamicObject> = if namespaced {
                Api::namespaced_with(client.clone(), namespace.name(), &resource)
            } else {
                Api::all_with(client.clone(), &resource)
            };
            let params = PatchParams::apply("docs").dry_run().validation_strict();
            let name = object.metadata.name.unwrap();
            if let Err(error) = api.patch(&name, &params, &Patch::Apply(&manifest)).await {
                panic!("{}: {} {name}: {error}", page.path, types.kind);
            }
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
}
