//! What becomes of each block of commands on the pages.

use super::Page;

/// What becomes of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// A test runs it as it stands there: its file below `tests/`, and its name.
    Run(&'static str, &'static str),
    /// `.ci/run` has these commands in it.
    Ci(&'static [&'static str]),
    /// Nobody runs it, for this reason.
    NotRun(&'static str),
}

/// Every block: its page, the heading above it, what it begins with (nothing: all below that heading), and what becomes of it.
pub const CENSUS: &[(&str, &str, &str, Fate)] = &[
    (
        "CONTRIBUTING.md",
        "Release",
        "",
        NotRun("a release is a person's doing; `make test` has the test that it names"),
    ),
    (
        "README.md",
        "external-cloud-secrets",
        "",
        Ci(&["make demo", "make test"]),
    ),
    ("README.md", "Install", "", FIRST_SECRET),
    ("README.md", "A first Secret on ACK", "", FIRST_SECRET),
    ("README.md", "Status", "", FIRST_SECRET),
    (
        "charts/external-cloud-secrets/README.md",
        "external-cloud-secrets",
        "",
        LIFE,
    ),
    ("cloudsim/README.md", "cloudsim", "", SIMULATOR),
    (
        "cloudsim/README.md",
        "Trying the operator without an account",
        "",
        TRYING,
    ),
    ("cloudsim/README.md", "The admin API", "", SIMULATOR),
    (
        "docs/alerts.md",
        "Alerts and the dashboard",
        "",
        FIRST_SECRET,
    ),
    (
        "docs/backup.md",
        "With kubectl",
        "",
        Run(
            "e2e/restore.rs",
            "whatever_a_backup_holds_comes_back_as_the_page_says",
        ),
    ),
    (
        "docs/backup.md",
        "After a snapshot of etcd was restored",
        "",
        Run(
            "e2e/restore.rs",
            "after_a_snapshot_of_etcd_everything_is_read_again_at_once",
        ),
    ),
    (
        "docs/gitops.md",
        "Argo CD",
        "",
        Run(
            "e2e/gitops.rs",
            "the_health_checks_are_merged_into_what_argo_cd_has_already",
        ),
    ),
    (
        "docs/install.md",
        "The image",
        "make image",
        Ci(&["make image"]),
    ),
    ("docs/install.md", "The image", "skopeo", NotRun(REGISTRY)),
    (
        "docs/install.md",
        "The image",
        "mkdir layout",
        NotRun(REGISTRY),
    ),
    (
        "docs/install.md",
        "The image",
        "docker",
        NotRun("it needs a container engine, and an image from a registry"),
    ),
    ("docs/install.md", "With Helm", "", LIFE),
    ("docs/install.md", "The definitions", "", LIFE),
    ("docs/install.md", "Upgrade", "", LIFE),
    ("docs/install.md", "Uninstall and reinstall", "", LIFE),
    ("docs/install.md", "With kubectl", "", BY_HAND),
    ("docs/install.md", "Outside a cluster", "", BY_HAND),
    (
        "docs/quickstart.md",
        "A first Secret on any cluster",
        "",
        BY_HAND,
    ),
    (
        "docs/scale.md",
        "Measure it",
        "",
        NotRun("it measures for minutes, on a machine that does nothing else"),
    ),
    (
        "docs/troubleshooting.md",
        "Troubleshooting",
        "",
        FIRST_SECRET,
    ),
    (
        "docs/upgrades.md",
        "Back to an older version",
        "",
        Run(
            "chart/versions.rs",
            "going_back_leaves_the_newer_definitions_with_helm_4",
        ),
    ),
    (
        "docs/upgrades.md",
        "Definitions first",
        "",
        Run(
            "e2e/upgrade.rs",
            "what_an_earlier_version_left_is_neither_rewritten_nor_read_anew",
        ),
    ),
];

use Fate::{Ci, NotRun, Run};

const FIRST_SECRET: Fate = Run(
    "chart/first_secret.rs",
    "a_first_secret_arrives_as_the_pages_say",
);
const LIFE: Fate = Run("chart/life.rs", "a_release_comes_and_goes_as_the_page_says");
const BY_HAND: Fate = Run(
    "chart/by_hand.rs",
    "without_helm_the_operator_runs_as_the_page_says",
);
const SIMULATOR: Fate = Run("e2e/trying.rs", "the_simulator_answers_as_its_page_says");
const TRYING: Fate = Run(
    "e2e/trying.rs",
    "the_operator_is_tried_without_an_account_as_the_page_says",
);
const REGISTRY: &str = "it needs that program, and a registry";

/// What a user puts in the place of what stands on a page, and what a test puts there.
pub const REPLACED: &[(&str, &str, &str)] = &[
    (
        "charts/external-cloud-secrets/README.md",
        "REGISTRY",
        "a registry's name",
    ),
    ("cloudsim/README.md", "127.0.0.1:8080", "a free port"),
    ("cloudsim/README.md", "127.0.0.1:8180", "a free port"),
    ("cloudsim/README.md", "127.0.0.1:8181", "a free port"),
    (
        "docs/install.md",
        "make chart",
        "what it does after building, for it builds in the clone; `.ci/run` has it",
    ),
    (
        "docs/install.md",
        "oci://registry.example.com",
        "a registry of the test's, without TLS",
    ),
    ("docs/install.md", "127.0.0.1:8080", "a free port"),
    (
        "docs/install.md",
        "cargo build --release",
        "nothing: the test was built with the program",
    ),
    (
        "docs/install.md",
        "target/release/external-cloud-secrets",
        "that program",
    ),
    (
        "docs/quickstart.md",
        "ACCESS_KEY_ID",
        "the id of a key of the simulated cloud",
    ),
    ("docs/quickstart.md", "ACCESS_KEY_SECRET", "its secret"),
    ("docs/troubleshooting.md", "NAME", "the object's name"),
    (
        "docs/troubleshooting.md",
        "NAMESPACE",
        "the object's namespace",
    ),
];

/// What becomes of a block that begins so below a heading of a page.
pub fn fate(page: &str, heading: &str, text: &str) -> Option<Fate> {
    let of = |row: &&(&str, &str, &str, Fate)| {
        row.0 == page && row.1 == heading && text.starts_with(row.2)
    };
    CENSUS.iter().find(of).map(|row| row.3)
}

// === impl Page ===

impl Page {
    /// The text of commands of this page with what a user replaces, which [`REPLACED`] must name.
    pub fn replaced(&self, text: &str, by: &[(&str, &str)]) -> String {
        let mut text = text.to_owned();
        for (what, by) in by {
            let named = REPLACED
                .iter()
                .any(|row| row.0 == self.path && row.1 == *what);
            assert!(named, "{}: {what} is not among what is replaced", self.path);
            assert!(
                text.contains(what),
                "{}: {what} is not in {text}",
                self.path
            );
            text = text.replace(what, by);
        }
        text
    }
}
