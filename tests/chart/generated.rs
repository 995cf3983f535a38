//! Files that are generated and kept under version control.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The chart.
pub fn chart() -> PathBuf {
    root().join("charts/external-cloud-secrets")
}

/// A file of the repository.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a file with what it should be, or writes that where `WRITE` is set.
pub fn check(path: &Path, text: &str) {
    if std::env::var_os("WRITE").is_some_and(|write| !write.is_empty()) {
        fs::write(path, text).unwrap();
        return;
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    let differ = kept.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = differ.unwrap_or_else(|| kept.lines().count().min(text.lines().count()));
    assert!(
        kept == text,
        "{}:{} is not what it should be: run `make chart-files` and look at what changes",
        path.display(),
        line + 1
    );
}

#[test]
fn the_chart_has_the_version_of_the_operator() {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&read(&chart().join("Chart.yaml"))).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
