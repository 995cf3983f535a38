//! The Dockerfile makes the image that `make image` makes, and with the same Rust.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

/// What stands between the first `before` and the next `after`.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

/// The labels of `make image`, by their names, and `created`, which the archive has by itself.
fn labels_of_make() -> BTreeMap<String, String> {
    let makefile = read("Makefile");
    let target = between(&makefile, "\nimage: rust musl", "\n\n");
    let mut labels = BTreeMap::new();
    for label in target.split("--label ").skip(1) {
        let quoted = label.strip_prefix('"');
        let label = match quoted {
            Some(rest) => rest.split('"').next().unwrap(),
            None => label.split([' ', '\n']).next().unwrap(),
        };
        let (name, value) = label.split_once('=').unwrap();
        labels.insert(name.to_owned(), value.to_owned());
    }
    let archive = read("image/src/archive.rs");
    let own = between(&archive, "labels.insert(\n        \"", "\"");
    labels.insert(own.to_owned(), "$".to_owned());
    labels
}

/// The labels of the Dockerfile. There is one such instruction.
fn labels_of_docker() -> BTreeMap<String, String> {
    let dockerfile = read("Dockerfile");
    let lines = between(&dockerfile, "\nLABEL ", "\"\n");
    let label = |line: &str| {
        let (name, value) = line.split_once('=').unwrap();
        let value = value.trim_matches(['"', '\\', ' ']);
        (name.trim().to_owned(), value.to_owned())
    };
    lines.lines().map(label).collect()
}

#[test]
fn both_images_have_the_same_labels() {
    let (make, docker) = (labels_of_make(), labels_of_docker());
    assert_eq!(make.len(), 6);
    assert_eq!(
        make.keys().collect::<Vec<_>>(),
        docker.keys().collect::<Vec<_>>()
    );
    for (name, value) in make {
        // What only the shell knows, the Dockerfile is told by arguments.
        let told = value.starts_with('$');
        assert_eq!(docker[&name].starts_with("${"), told, "{name}");
        assert!(told || docker[&name] == value, "{name}");
    }
    let arguments = ["VERSION", "REVISION", "CREATED"];
    let last = read("Dockerfile");
    let last = last.rsplit_once("FROM scratch").unwrap().1;
    for argument in arguments {
        assert!(last.contains(&format!("\nARG {argument}=")), "{argument}");
        assert!(last.contains(&format!("\"${{{argument}}}\"")), "{argument}");
    }
    let version = format!("\nARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
    assert!(last.contains(&version), "{version}");
}

#[test]
fn both_images_run_the_same_program_as_the_same_user() {
    let (dockerfile, archive) = (read("Dockerfile"), read("image/src/archive.rs"));
    let user = between(&dockerfile, "\nUSER ", "\n");
    assert_eq!(user, between(&archive, "const USER: &str = \"", "\""));
    let environment = between(&dockerfile, "\nENV ", "\n");
    assert_eq!(
        environment,
        between(&archive, "const ENVIRONMENT: &str = \"", "\"")
    );
    // What is measured is what is in the image.
    assert!(read("bench/src/operator.rs").contains(&format!("\"{environment}\"")));
    let entrypoint = between(&dockerfile, "\nENTRYPOINT [\"", "\"]");
    let main = read("image/src/main.rs");
    assert!(main.contains(&format!("\"{entrypoint}\"")), "{entrypoint}");
}

#[test]
fn every_place_names_the_same_rust() {
    let manifest = read("Cargo.toml");
    let rust = between(&manifest, "\nrust-version = \"", "\"");
    let dockerfile = read("Dockerfile");
    let image = between(&dockerfile, "BUILDPLATFORM rust:", "-");
    assert!(
        image == rust || image.starts_with(&format!("{rust}.")),
        "{image}"
    );
    assert!(read("docs/install.md").contains(&format!("`rust:{image}-bookworm`")));
    for (place, said) in [
        ("CONTRIBUTING.md", format!("Rust {rust}, ")),
        ("README.md", format!("Rust {rust}, ")),
        ("Makefile", format!("Rust {rust} or newer")),
    ] {
        assert!(read(place).contains(&said), "{place}: {said}");
    }
}
