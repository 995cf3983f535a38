//! Reasons, codes and fields: what users look up.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use external_cloud_secrets::api::{Reason, schema};
use external_cloud_secrets::controller::external_cloud_secret::problem::reason_of;
use external_cloud_secrets::provider::{Class, alibaba, tencent};
use serde_json::Value;

use super::page;
use super::pages::repository;

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
