//! Options: those that the pages mention, and those of the operator.

use std::collections::BTreeSet;

use clap::CommandFactory;
use external_cloud_secrets::args::Cli;

use super::page;
use super::pages::{self, Page};

/// Options of other programs that the pages mention.
const OTHER_FLAGS: &[&str] = &[
    "kms-instance",
    "kms-instance-host",
    "kms-instance-name",
    "listen",
    "seed",
    "latency",
    "oidc-ca",
    "crds",
    "dir",
    "with-controllers",
    "from-literal",
    "all",
    "build-arg",
    "format",
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
    "reuse-values",
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

#[test]
fn every_flag_that_is_mentioned_exists_and_every_flag_has_its_row() {
    let mut cli = Cli::command();
    cli.build();
    let commands = std::iter::once(&cli).chain(cli.get_subcommands());
    let ours: BTreeSet<String> = commands
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    for Page { path, text } in pages::all() {
        for rest in text.split("--").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            let name = name.trim_end_matches('-').to_owned();
            let known = name.is_empty() || ours.contains(&name) || OTHER_FLAGS.contains(&&*name);
            assert!(known, "{path}: --{name}");
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
