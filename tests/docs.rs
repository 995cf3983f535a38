//! The pages for users say what is true: reasons, flags, permissions, links, and manifests that a real API server takes.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use external_cloud_secrets::api::{Reason, schema};
use external_cloud_secrets::args::Cli;
use external_cloud_secrets::cli::crds::crds_yaml;
use external_cloud_secrets::controller::external_cloud_secret::problem::reason_of;
use external_cloud_secrets::provider::{Class, alibaba, tencent};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

/// Options of other programs that the pages mention.
const OTHER_FLAGS: &[&str] = &[
    "all",
    "all-namespaces",
    "certificate-authority",
    "cluster",
    "create-namespace",
    "dry-run",
    "duration",
    "embed-certs",
    "flatten",
    "for",
    "force-conflicts",
    "local",
    "minify",
    "overwrite",
    "platform",
    "push",
    "raw",
    "release",
    "reset-then-reuse-values",
    "server",
    "server-side",
    "set",
    "take-ownership",
    "test",
    "timeout",
    "token",
    "type",
    "user",
    "values",
    "version",
    "workspace",
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages for users, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = repository();
    let mut found = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for folder in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            found.extend(Some(path).filter(|path| path.extension().is_some_and(|e| e == "md")));
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    found.into_iter().map(read).collect()
}

/// The objects in the YAML blocks of a page.
fn manifests(text: &str) -> Vec<Value> {
    let blocks = text.split("```yaml\n").skip(1);
    let yaml = blocks.map(|block| block.split("```").next().unwrap_or_default());
    yaml.flat_map(|yaml| serde_saphyr::from_multiple::<Value>(yaml).unwrap())
        .collect()
}

fn page(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

#[test]
fn every_reason_is_explained_and_no_other() {
    let text = page("docs/troubleshooting.md");
    let headings: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let reasons = Reason::ALL.map(Reason::as_str);
    assert_eq!(headings, reasons);
}

#[test]
fn every_flag_that_is_mentioned_exists_and_every_flag_has_its_row() {
    let mut cli = Cli::command();
    cli.build();
    let commands = std::iter::once(&cli).chain(cli.get_subcommands());
    let ours: BTreeSet<String> = commands
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    for (path, text) in pages() {
        for rest in text.split("--").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            let name = name.trim_end_matches('-').to_owned();
            let known = name.is_empty() || ours.contains(&name) || OTHER_FLAGS.contains(&&*name);
            assert!(known, "{}: --{name}", path.display());
        }
    }
    let install = page("docs/install.md");
    let run = cli.find_subcommand("run").unwrap();
    for flag in run
        .get_arguments()
        .filter_map(|argument| argument.get_long())
    {
        let row = format!("\n| `--{flag}` | ");
        assert!(
            flag == "help" || install.contains(&row),
            "--{flag} is not in the table of docs/install.md"
        );
    }
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    for (path, text) in pages() {
        let folder = path.parent().unwrap();
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() {
                path.clone()
            } else {
                folder.join(file)
            };
            assert!(linked.exists(), "{}: {target}", path.display());
            if !anchor.is_empty() {
                let linked = fs::read_to_string(&linked).unwrap();
                let mut headings = linked.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| slug(line) == anchor),
                    "{}: {target}",
                    path.display()
                );
            }
        }
    }
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn the_permissions_in_the_pages_are_those_of_the_chart() {
    let rules: Value =
        serde_saphyr::from_str(&page("charts/external-cloud-secrets/rbac.yaml")).unwrap();
    let install = manifests(&page("docs/install.md"));
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
    for (shown, account) in [(manifests(&page("README.md")), "shop"), (vec![kms], "pay")] {
        let mut tokens = rules_of(&shown, "Role");
        let names = tokens[0].as_object_mut().unwrap().remove("resourceNames");
        assert_eq!(names, Some(json!([account])));
        assert_eq!(tokens, rules["tokens"]);
    }
}

#[test]
fn a_first_secret_on_a_page_is_the_example() {
    let files = [
        "namespace",
        "serviceaccount",
        "role",
        "rolebinding",
        "store",
        "secret",
    ];
    for (shown, folder) in [("README.md", "rrsa"), ("docs/ssm.md", "ssm")] {
        let shown = manifests(&page(shown));
        for name in files {
            let path = format!("examples/{folder}/{name}.yaml");
            let mut example: Value = serde_saphyr::from_str(&page(&path)).unwrap();
            if path == "examples/rrsa/store.yaml" {
                example["spec"]["provider"]["oos"]["network"] = json!("Vpc");
            }
            assert!(shown.contains(&example), "{path}");
        }
    }
}

#[test]
fn every_field_of_a_store_is_on_its_page() {
    let definitions = schema::definitions().unwrap();
    let store = definitions
        .iter()
        .find(|definition| definition["spec"]["names"]["kind"] == "ClusterCloudSecretStore");
    let version = &store.unwrap()["spec"]["versions"][0];
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    let [all, alibaba, tencent] =
        ["", "-alibaba", "-tencent"].map(|of| page(&format!("docs/identities{of}.md")));
    let auth = &spec["auth"]["properties"];
    for (schema, text) in [
        (&spec["provider"]["properties"]["oos"], page("docs/oos.md")),
        (&spec["provider"]["properties"]["kms"], page("docs/kms.md")),
        (&spec["provider"]["properties"]["ssm"], page("docs/ssm.md")),
        (&auth["rrsa"], all.clone() + &alibaba),
        (&auth["webIdentity"], all.clone() + &tencent),
        (&spec["auth"], all + &alibaba + &tencent),
    ] {
        let names = fields(schema);
        assert!(names.len() > 3, "{names:?}");
        for name in &names {
            let said = ["`", "."].iter().any(|before| {
                let said = ["`", ".", ":"].map(|after| format!("{before}{name}{after}"));
                said.iter().any(|said| text.contains(said))
            });
            assert!(said, "{name} is not on its page: {names:?}");
        }
    }
}

/// The names of all fields of a schema, and of those below them.
fn fields(schema: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        names.insert(name.clone());
        names.extend(fields(field));
        names.extend(fields(&field["items"]));
    }
    names
}

/// What a code means, if a table knows it.
type Classify = dyn Fn(&str) -> Option<Class>;

#[test]
fn every_code_in_the_pages_comes_to_the_reason_beside_it() {
    let sources = sources(&repository().join("src"));
    let mut seen = 0;
    let on_alibaba = |service| {
        move |code: &str| {
            let class = alibaba::code::classify(service, code);
            class.or_else(|| alibaba::code::classify(alibaba::code::STS, code))
        }
    };
    // Whoever knows no code takes it for nonsense; none in the pages is.
    let on_tencent = |code: &str| {
        let class = tencent::code::classify(tencent::code::STS, code);
        (class != Class::Protocol).then_some(class)
    };
    let of_ssm = |code: &str| {
        let class = tencent::code::classify(tencent::code::SSM, code);
        (class != Class::Protocol).then_some(class)
    };
    let classes: [(&str, &Classify); 5] = [
        ("docs/oos.md", &on_alibaba(alibaba::code::OOS)),
        ("docs/kms.md", &on_alibaba(alibaba::code::KMS)),
        (
            "docs/identities-alibaba.md",
            &on_alibaba(alibaba::code::STS),
        ),
        ("docs/identities-tencent.md", &on_tencent),
        ("docs/ssm.md", &of_ssm),
    ];
    for (path, classify) in classes {
        let text = page(path);
        let table = text.split("| code | reason |").nth(1).unwrap();
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        for row in rows {
            let cells: Vec<&str> = row.split('|').collect();
            let reason = cells[2].trim().trim_matches('`');
            for code in cells[1].split('`').skip(1).step_by(2) {
                seen += 1;
                let one = code.replace('*', "Any");
                if let Some(class) = classify(&one) {
                    assert_eq!(reason_of(class).as_str(), reason, "{path}: {code}");
                } else {
                    // One of our own.
                    let begins = format!("\"{}", code.split('.').next().unwrap());
                    assert!(sources.contains(&begins), "{path}: {code}");
                    let known = Reason::ALL.map(Reason::as_str);
                    assert!(known.contains(&reason), "{path}: {code}: {reason}");
                }
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

/// All code below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        text += &if path.is_dir() {
            sources(&path)
        } else {
            fs::read_to_string(path).unwrap_or_default()
        };
    }
    text
}

#[tokio::test]
async fn a_real_api_server_takes_every_manifest() {
    let cluster = devcluster::shared().await;
    cluster.apply_crds(&crds_yaml().unwrap()).await.unwrap();
    let client = cluster.client().unwrap();
    let namespace = cluster.namespace("docs").await.unwrap();
    let mut tried = 0;
    for (path, text) in pages() {
        for mut manifest in manifests(&text) {
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
                panic!("{}: {} {name}: {error}", path.display(), types.kind);
            }
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
}
