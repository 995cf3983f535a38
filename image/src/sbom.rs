//! The list of all that is linked into the binary, in SPDX 2.3 (<https://spdx.github.io/spdx-spec/v2.3/>).
//!
//! Cargo says which packages are linked for a target, without those that only build; Cargo.lock says which bytes they are.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::digest::sha256;
use crate::failure::{Failure, Result};

const OPERATOR: &str = "external-cloud-secrets";
const LOCK: &str = include_str!("../../Cargo.lock");
/// The package that the root certificates come from. It is not linked: its data is a file of the image.
const ROOTS: &str = "webpki-root-certs";
const ROOTS_LICENSE: &str = "CDLA-Permissive-2.0";

/// One package: name and version, with its licence.
type Packages = BTreeMap<(String, String), String>;

/// The list for a binary that was built for `target`.
///
/// # Errors
/// If Cargo does not answer.
pub fn spdx(target: &str, created: Timestamp, binary: &[u8]) -> Result<String> {
    let edges = ["-e", "normal,no-proc-macro", "--prefix", "none"];
    let tree = ask(
        "cargo",
        &[
            &[
                "tree", "--locked", "-p", OPERATOR, "--target", target, "--format", "{p}\t{l}",
            ],
            &edges[..],
        ]
        .concat(),
    )?;
    let compiler = ask("rustc", &["--version"])?;
    let document = document(
        &packages(&tree),
        &checksums(LOCK),
        compiler.trim(),
        target,
        created,
        binary,
    );
    Ok(format!("{document:#}\n"))
}

fn ask(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .map_err(|error| Failure(format!("cannot start {program}: {error}")))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(Failure(format!("{program}: {}", reason.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads lines such as `serde v1.0.229 (*)⇥MIT OR Apache-2.0`.
fn packages(tree: &str) -> Packages {
    let package = |line: &str| {
        let (package, licence) = line.split_once('\t')?;
        let mut words = package.split_whitespace();
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        let licence = licence.trim_end_matches("(*)").replace('/', " OR ");
        let licence = licence.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(((name.to_owned(), version.to_owned()), licence))
    };
    tree.lines().filter_map(package).collect()
}

/// The digests of a Cargo.lock, by name and version.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    lock.split("[[package]]")
        .filter_map(|block| {
            let key = (value(block, "name")?, value(block, "version")?);
            Some((key, value(block, "checksum")?))
        })
        .collect()
}

fn value<'b>(block: &'b str, name: &str) -> Option<&'b str> {
    let line = block
        .lines()
        .find(|line| line.starts_with(&format!("{name} = \"")))?;
    line.split('"').nth(1)
}

fn document(
    packages: &Packages,
    checksums: &BTreeMap<(&str, &str), &str>,
    compiler: &str,
    target: &str,
    created: Timestamp,
    binary: &[u8],
) -> Value {
    let digest = sha256(binary);
    let mut listed = Vec::new();
    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", &id(OPERATOR, ""))];
    for ((name, version), licence) in packages {
        if name == OPERATOR {
            let mut operator = package(&id(OPERATOR, ""), name, version, licence);
            operator["checksums"] = checksum(&digest);
            listed.insert(0, operator);
            continue;
        }
        let id = id(name, version);
        listed.push(from_registry(&id, name, version, licence, checksums));
        relations.push(relation(&self::id(OPERATOR, ""), "STATIC_LINK", &id));
    }
    // The standard library and, in it, musl.
    let version = compiler.split_whitespace().nth(1).unwrap_or_default();
    let library = id("rust-std", version);
    let mut standard = package(&library, "rust-std", version, "MIT OR Apache-2.0");
    standard["comment"] = json!(format!(
        "{compiler}, for {target}, with the C library musl (MIT)"
    ));
    listed.push(standard);
    relations.push(relation(&id(OPERATOR, ""), "STATIC_LINK", &library));

    let roots = checksums.keys().find(|(name, _)| *name == ROOTS);
    if let Some((name, version)) = roots {
        let id = id(name, version);
        listed.push(from_registry(&id, name, version, ROOTS_LICENSE, checksums));
        relations.push(relation("SPDXRef-DOCUMENT", "DESCRIBES", &id));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{OPERATOR} for {target}"),
        "documentNamespace": format!("urn:{OPERATOR}:sbom:{target}:{digest}"),
        "creationInfo": {
            "created": created.to_string(),
            "creators": [concat!("Tool: external-cloud-secrets-image-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": listed,
        "relationships": relations,
    })
}

fn package(id: &str, name: &str, version: &str, licence: &str) -> Value {
    let licence = if licence.is_empty() {
        "NOASSERTION"
    } else {
        licence
    };
    json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
    })
}

fn from_registry(
    id: &str,
    name: &str,
    version: &str,
    licence: &str,
    checksums: &BTreeMap<(&str, &str), &str>,
) -> Value {
    let mut package = package(id, name, version, licence);
    package["externalRefs"] = json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": format!("pkg:cargo/{name}@{version}"),
    }]);
    if let Some(digest) = checksums.get(&(name, version)) {
        package["checksums"] = checksum(digest);
    }
    package
}

fn checksum(digest: &str) -> Value {
    json!([{ "algorithm": "SHA256", "checksumValue": digest }])
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

/// An identifier, which may hold letters, digits, dots and hyphens only.
fn id(name: &str, version: &str) -> String {
    let text = format!("{name}-{version}");
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    let text: String = text.chars().map(allowed).collect();
    format!("SPDXRef-{}", text.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "external-cloud-secrets v0.1.0 (/somewhere)\tApache-2.0\n\
        ring v0.17.14\tApache-2.0 AND ISC\n\
        itoa v1.0.18\tMIT / Apache-2.0\n\
        ring v0.17.14 (*)\tApache-2.0 AND ISC\n";

    fn listed() -> Value {
        let created = "2026-01-02T03:04:05Z".parse().unwrap();
        let compiler = "rustc 1.95.0 (abc 2026-04-14)";
        document(
            &packages(TREE),
            &checksums(LOCK),
            compiler,
            "t",
            created,
            b"binary",
        )
    }

    #[test]
    fn each_package_is_listed_once_with_its_licence_and_its_digest() {
        let document = listed();
        let find = |name: &str| {
            let packages = document["packages"].as_array().unwrap();
            let found: Vec<_> = packages.iter().filter(|p| p["name"] == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].clone()
        };
        assert_eq!(find("ring")["licenseDeclared"], "Apache-2.0 AND ISC");
        assert_eq!(find("itoa")["licenseDeclared"], "MIT OR Apache-2.0");
        assert_eq!(find("rust-std")["versionInfo"], "1.95.0");
        for name in ["ring", ROOTS, OPERATOR] {
            let digest = find(name)["checksums"][0]["checksumValue"].clone();
            assert_eq!(digest.as_str().map(str::len), Some(64), "{name}");
        }
    }

    #[test]
    fn no_list_names_a_place_of_the_machine_that_made_it() {
        assert!(!listed().to_string().contains("somewhere"));
    }

    #[test]
    fn every_relation_is_between_what_is_listed() {
        let document = listed();
        let packages = document["packages"].as_array().unwrap();
        let known =
            |id: &Value| id == "SPDXRef-DOCUMENT" || packages.iter().any(|p| p["SPDXID"] == *id);
        for relation in document["relationships"].as_array().unwrap() {
            assert!(
                known(&relation["spdxElementId"]) && known(&relation["relatedSpdxElement"]),
                "{relation}"
            );
        }
    }
}
