//! Options: those that the pages mention, and those of the operator.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory;
use external_cloud_secrets::args::Cli;

use super::pages::{self, Page, SHELL};

const OURS: &str = "external-cloud-secrets";

/// Options of other programs that the pages mention.
const OTHERS: &[(&str, &[&str])] = &[
    ("cargo", &["release", "test", "workspace"]),
    (
        "cloudsim",
        &[
            "kms-instance",
            "kms-instance-host",
            "kms-instance-name",
            "latency",
            "listen",
            "oidc-ca",
            "seed",
        ],
    ),
    ("devcluster", &["crds", "dir", "with-controllers"]),
    ("docker", &["build-arg", "platform", "push"]),
    ("git", &["format"]),
    (
        "helm",
        &[
            "create-namespace",
            "force-conflicts",
            "install",
            "namespace",
            "reset-then-reuse-values",
            "set",
            "take-ownership",
            "values",
            "version",
        ],
    ),
    (
        "kubectl",
        &[
            "all",
            "all-namespaces",
            "certificate-authority",
            "cluster",
            "dry-run",
            "duration",
            "embed-certs",
            "flatten",
            "for",
            "from-literal",
            "local",
            "minify",
            "namespace",
            "overwrite",
            "raw",
            "server",
            "server-side",
            "timeout",
            "token",
            "type",
            "user",
        ],
    ),
];

/// The options of every program.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut cli = Cli::command();
    cli.build();
    let commands = std::iter::once(&cli).chain(cli.get_subcommands());
    let ours = commands
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_long().map(str::to_owned));
    let mut known = BTreeMap::from([(OURS.to_owned(), ours.collect())]);
    for (program, options) in OTHERS {
        let options = options.iter().map(|&option| option.to_owned());
        known.insert((*program).to_owned(), options.collect());
    }
    known
}

/// The options in a text.
fn options(text: &str) -> Vec<String> {
    let names = text.split("--").skip(1).map(|rest| {
        let letters = rest
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '-');
        letters.collect::<String>().trim_end_matches('-').to_owned()
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// The commands in a text, each with its program's name.
fn commands(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", " ");
    let parts = joined.split(['\n', '|', ';', '&', '(', ')']);
    let commands = parts.filter_map(|part| {
        let mut words = part.split_whitespace();
        let before = ["$", "do", "then", "exec", "until", "export"];
        let program = words.find(|word| !before.contains(word) && !word.contains('='))?;
        let name = program.rsplit('/').next()?;
        Some((name.to_owned(), part.to_owned()))
    });
    commands.collect()
}

#[test]
fn every_option_of_a_command_is_one_of_its_program() {
    let known = known();
    let (mut seen, mut mentioned) = (0, BTreeSet::new());
    for page in pages::all() {
        let blocks = page.blocks().into_iter();
        let blocks = blocks.filter(|block| SHELL.contains(&block.language));
        let mut typed: Vec<_> = blocks.flat_map(|block| commands(block.text)).collect();
        let prose = page.prose().join("\n");
        for paragraph in prose.split("\n\n") {
            typed.extend(paragraph.split('`').skip(1).step_by(2).flat_map(commands));
        }
        for (program, command) in typed {
            let Some(of) = known.get(&program) else {
                continue;
            };
            for option in options(&command) {
                assert!(of.contains(&option), "{}: {command}: --{option}", page.path);
                seen += 1;
                mentioned.insert((program.clone(), option));
            }
        }
        // What stands alone is somebody's.
        for option in options(&page.text) {
            let mut of = known.iter().filter(|(_, of)| of.contains(&option));
            let first = of.next().map(|(program, _)| program.clone());
            let program = first.unwrap_or_else(|| panic!("{}: --{option}", page.path));
            mentioned.insert((program, option));
        }
    }
    assert!(seen > 40, "{seen}");
    for (program, options) in OTHERS {
        for option in *options {
            let there = mentioned.contains(&((*program).to_owned(), (*option).to_owned()));
            assert!(there, "no page has --{option} of {program}");
        }
    }
}

#[test]
fn every_option_of_the_operator_has_its_row_and_no_other() {
    for (page, program) in [
        ("docs/install.md", OURS),
        ("cloudsim/README.md", "cloudsim"),
    ] {
        let page = Page::read(page);
        let rows = page
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("| `--"));
        let rows: BTreeSet<String> = rows
            .map(|row| row.split(['`', ' ']).next().unwrap().to_owned())
            .collect();
        let expected = if program == OURS {
            let mut cli = Cli::command();
            cli.build();
            let run = cli.find_subcommand("run").unwrap().get_arguments();
            let options = run.filter_map(|argument| argument.get_long().map(str::to_owned));
            options.filter(|option| option != "help").collect()
        } else {
            known()[program].clone()
        };
        assert_eq!(rows, expected, "{}", page.path);
    }
}
