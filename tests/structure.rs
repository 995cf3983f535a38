//! The rules that keep the code small and safe, checked on the sources themselves.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The most lines of a file of code.
const MOST_LINES: usize = 400;

/// Modules that decide and never do: files, and folders whose every file is one.
const PURE: &[&str] = &[
    "src/api.rs",
    "src/api",
    "src/controller/class.rs",
    "src/controller/external_cloud_secret/inputs.rs",
    "src/controller/external_cloud_secret/ownership.rs",
    "src/controller/external_cloud_secret/plan.rs",
    "src/controller/external_cloud_secret/problem.rs",
    "src/controller/external_cloud_secret/property.rs",
    "src/controller/external_cloud_secret/render.rs",
    "src/controller/external_cloud_secret/request.rs",
    "src/controller/external_cloud_secret/status.rs",
    "src/controller/store/admission.rs",
    "src/controller/store/glob.rs",
    "src/controller/store/tencent.rs",
    "src/controller/dependency.rs",
    "src/controller/quote.rs",
    "src/controller/store/alibaba/account_role.rs",
    "src/credential/alibaba/chain.rs",
    "src/credential/alibaba/environment.rs",
    "src/credential/alibaba/issued.rs",
    "src/credential/alibaba/profile.rs",
    "src/credential/cache/lifetime.rs",
    "src/credential/identity.rs",
    "src/credential/issued.rs",
    "src/credential/session.rs",
    "src/credential/tencent/environment.rs",
    "src/credential/tencent/issued.rs",
    "src/digest.rs",
    "src/lease/view.rs",
    "src/metrics/places.rs",
    "src/provider/alibaba/code.rs",
    "src/provider/alibaba/endpoint.rs",
    "src/provider/alibaba/ca.rs",
    "src/provider/alibaba/kms/answer.rs",
    "src/provider/alibaba/kms/name.rs",
    "src/provider/alibaba/kms/support.rs",
    "src/provider/alibaba/oos/answer.rs",
    "src/provider/alibaba/sign.rs",
    "src/provider/decode.rs",
    "src/provider/endpoint.rs",
    "src/provider/error.rs",
    "src/provider/hex.rs",
    "src/provider/tencent/ssm/answer.rs",
    "src/provider/tencent/ssm/request.rs",
    "src/provider/tencent/ssm/way.rs",
    "src/refresh/backlog.rs",
    "src/refresh/ladder.rs",
    "src/refresh/schedule.rs",
    "src/secret_bytes.rs",
];

/// Names of files that every provider has and that are pure wherever they are.
const PURE_NAMES: &[&str] = &["code.rs", "endpoint.rs", "sign.rs", "plan.rs", "render.rs"];

/// What a pure module may not name: whoever waits, calls or asks the machine.
const IMPURE: &[&str] = &[
    "Client",
    "Api<",
    "Api::",
    "kube_runtime",
    "reqwest",
    "hyper",
    "tokio",
    "std::env",
    "std::fs",
    "std::net::Tcp",
    "Timestamp::now",
    "SystemTime::now",
    "Instant::now",
    "SystemRandom",
];

/// A file under version control.
struct Source {
    path: String,
    text: String,
}

#[test]
fn a_pure_module_does_not_wait_call_or_ask_the_machine() {
    let sources = sources();
    let pure: Vec<&Source> = sources.iter().filter(|s| is_pure(&s.path)).collect();
    for expected in PURE {
        let found = pure.iter().any(|source| under(&source.path, expected));
        assert!(
            found,
            "{expected} is not there: correct the list of pure modules"
        );
    }
    let mut wrong = Vec::new();
    for source in pure {
        let code = without_tests(&source.text);
        for (name, line) in named(&code, IMPURE) {
            wrong.push(format!("{}:{line}: {name}", source.path));
        }
    }
    assert!(
        wrong.is_empty(),
        "pure modules that are not:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn only_clocks_ask_for_the_wall_clock() {
    let wrong = uses(
        &["Timestamp::now", "SystemTime::now", "Zoned::now"],
        |path| path.starts_with("src/") && path != "src/clock.rs",
    );
    assert!(
        wrong.is_empty(),
        "the time is passed in:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_file_of_code_is_longer_than_four_hundred_lines() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| has_extension(&source.path, &["rs"]))
        .filter(|source| source.text.lines().count() > MOST_LINES)
        .map(|source| format!("{}: {}", source.path, source.text.lines().count()))
        .collect();
    assert!(
        long.is_empty(),
        "files that hold two things:\n{}",
        long.join("\n")
    );
}

#[test]
fn nothing_is_left_to_do_or_switched_off() {
    // Written in two parts, so that this list does not find itself.
    let words: Vec<String> = [
        ("todo", "!"),
        ("unimplemented", "!"),
        ("dbg", "!("),
        ("#[", "ignore"),
        ("FIX", "ME"),
        ("TO", "DO"),
        ("XX", "X"),
    ]
    .map(|(a, b)| format!("{a}{b}"))
    .to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let wrong = uses(&words, |path| has_extension(path, &["rs"]));
    assert!(wrong.is_empty(), "left over:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let words: Vec<String> = [
        ("/wo", "rk/"),
        ("/ho", "me/"),
        ("/ro", "ot/"),
        ("/tmp/", "wt"),
        ("shared/", "reference"),
        ("shared/", "design"),
        ("reference/rust-", "stack"),
        ("reference/al", "ibaba"),
        ("reference/st", "yle"),
        ("reference/te", "ncent"),
    ]
    .map(|(a, b)| format!("{a}{b}"))
    .to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let wrong = uses(&words, |path| {
        has_extension(path, &["rs", "md", "yaml", "toml", "sh", "Makefile", "go"])
            && path != "tests/structure.rs"
    });
    assert!(
        wrong.is_empty(),
        "places that others do not have:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_operator_depends_on_no_simulator_and_no_control_plane() {
    let operator = package("external-cloud-secrets");
    for forbidden in ["cloudsim", "devcluster", "bench", "image"] {
        let kinds = dependency_kinds(&operator, forbidden);
        assert!(
            kinds.iter().all(|kind| kind == "dev"),
            "{forbidden}: {kinds:?}"
        );
    }
    assert!(
        dependency_kinds(&operator, "cloudsim").contains("dev"),
        "the check found nothing to check"
    );
}

#[test]
fn the_simulator_shares_no_code_with_the_operator_and_not_its_hmac() {
    let simulator = package("cloudsim");
    assert!(dependency_kinds(&simulator, "external-cloud-secrets").is_empty());
    let wrong = uses(&["ring::hmac", "external_cloud_secrets"], |path| {
        path.starts_with("cloudsim/")
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        dependency_kinds(&simulator, "hmac").contains("normal"),
        "the check found nothing to check"
    );
}

#[test]
fn every_crate_forbids_unsafe_code_through_the_workspace() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for member in ["", "bench", "cloudsim", "devcluster", "image"] {
        let path = root().join(member).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap();
        let follows = manifest.contains("[lints]\nworkspace = true");
        let own = sources().iter().any(|s| {
            s.path == format!("{member}/src/lib.rs") && s.text.contains("#![forbid(unsafe_code)]")
        });
        assert!(follows || own, "{member}");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository, generated and fetched ones apart.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    assert!(found.len() > 100, "only {} files seen", found.len());
    found
}

fn collect(dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || matches!(&*name, "target" | "Cargo.lock") {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path
                .strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push(Source { path, text });
        }
    }
}

fn is_pure(path: &str) -> bool {
    let provider = path.starts_with("src/provider/") || path.starts_with("src/controller/");
    let named = provider
        && PURE_NAMES
            .iter()
            .any(|name| path.ends_with(&format!("/{name}")));
    named || PURE.iter().any(|pure| under(path, pure))
}

fn under(path: &str, pure: &str) -> bool {
    path == pure
        || path
            .strip_prefix(pure)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// A file's own code: tests at its end may do what they like.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().map(|line| {
        if line.trim_start().starts_with("//") {
            ""
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn named<'w>(text: &str, words: &[&'w str]) -> Vec<(&'w str, usize)> {
    let line = |(n, line): (usize, &str)| {
        let found = words
            .iter()
            .filter(|word| line.contains(**word))
            .map(|word| (*word, n + 1));
        found.collect::<Vec<_>>()
    };
    text.lines().enumerate().flat_map(line).collect()
}

fn uses(words: &[&str], of: impl Fn(&str) -> bool) -> Vec<String> {
    let sources = sources();
    let chosen: Vec<&Source> = sources.iter().filter(|source| of(&source.path)).collect();
    assert!(!chosen.is_empty(), "no file to look at");
    let wrong = |source: &&Source| {
        let found = named(&source.text, words).into_iter();
        found
            .map(|(word, line)| format!("{}:{line}: {word}", source.path))
            .collect::<Vec<_>>()
    };
    chosen.iter().flat_map(wrong).collect()
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit('.').next().unwrap_or_default();
    extensions.contains(&extension)
}

/// What cargo knows of a package of the workspace.
fn package(name: &str) -> Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .find(|package| package["name"] == name)
        .unwrap()
        .clone()
}

/// As what `package` depends on `name`: `normal`, `build`, `dev`.
fn dependency_kinds(package: &Value, name: &str) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().unwrap();
    let of = dependencies
        .iter()
        .filter(|dependency| dependency["name"] == name);
    of.map(|dependency| dependency["kind"].as_str().unwrap_or("normal").to_owned())
        .collect()
}
