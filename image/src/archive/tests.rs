use super::*;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn arguments(root: PathBuf, out: PathBuf) -> ArchiveArguments {
    ArchiveArguments {
        root,
        out,
        name: "thing:1".into(),
        architecture: "amd64".into(),
        entrypoint: "/thing".into(),
        created: "2026-01-02T03:04:05Z".parse().unwrap(),
        labels: vec![("org.opencontainers.image.title".into(), "thing".into())],
        most_bytes: None,
    }
}

/// A folder with a program and a file, made in one order or the other.
fn folder(backwards: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut names = [("thing", "program", 0o700), ("etc/b", "file", 0o600)];
    if backwards {
        names.reverse();
    }
    for (name, text, mode) in names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    dir
}

fn entries(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (name, content)
    });
    entries.collect()
}

#[test]
fn the_same_files_in_other_folders_at_other_times_give_the_same_archive() {
    let (one, other) = (folder(false), folder(true));
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name);
    let a = write(&arguments(one.path().into(), path("a"))).unwrap();
    let b = write(&arguments(other.path().into(), path("b"))).unwrap();
    assert_eq!(a.digest, b.digest);
    assert_eq!(fs::read(path("a")).unwrap(), fs::read(path("b")).unwrap());
    fs::write(other.path().join("etc/b"), "another").unwrap();
    let c = write(&arguments(other.path().into(), path("c"))).unwrap();
    assert_ne!(a.digest, c.digest);
}

#[test]
fn every_blob_is_named_by_its_digest_and_everything_that_is_referred_to_is_there() {
    let root = folder(false);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("thing.tar");
    write(&arguments(root.path().into(), path.clone())).unwrap();
    let files = entries(&fs::read(path).unwrap());
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let bytes = &files[&format!("blobs/{}", digest.replace(':', "/"))];
        assert_eq!(sha256(bytes), digest);
        assert_eq!(descriptor["size"], bytes.len());
        bytes.clone()
    };
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let index = parse(&files["index.json"]);
    let manifest = parse(&blob(&index["manifests"][0]));
    let config = parse(&blob(&manifest["config"]));
    assert_eq!(config["config"]["User"], USER);
    assert_eq!(config["config"]["Entrypoint"], json!(["/thing"]));
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.title"], "thing");
    assert_eq!(
        labels["org.opencontainers.image.created"],
        "2026-01-02T03:04:05Z"
    );

    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(blob(&manifest["layers"][0]).as_slice())
        .read_to_end(&mut tar)
        .unwrap();
    assert_eq!(config["rootfs"]["diff_ids"], json!([sha256(&tar)]));
    let names: Vec<_> = entries(&tar).into_keys().collect();
    assert_eq!(names, ["etc/", "etc/b", "thing"]);
}

#[test]
fn what_is_executable_stays_so_and_nothing_else_of_the_machine_is_kept() {
    let root = folder(false);
    let tar = layer::tar(root.path()).unwrap();
    let mut archive = tar::Archive::new(tar.as_slice());
    let seen = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.uid().unwrap() + header.gid().unwrap(), 0);
        assert_eq!(header.mtime().unwrap(), 0);
        header.mode().unwrap()
    });
    assert_eq!(seen.collect::<Vec<_>>(), [0o755, 0o644, 0o755]);
}

#[test]
fn an_image_that_is_too_large_is_refused() {
    let root = folder(false);
    let out = tempfile::tempdir().unwrap();
    let mut arguments = arguments(root.path().into(), out.path().join("thing.tar"));
    arguments.most_bytes = Some(100);
    let Failure(reason) = write(&arguments).unwrap_err();
    assert!(reason.ends_with("more than 100"), "{reason}");
    assert!(!arguments.out.exists());
}
