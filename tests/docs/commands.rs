//! Commands: each on a page is run by a test or by `.ci/run`, or it is said why nobody runs it.

use std::collections::BTreeSet;

use super::page;
use super::pages::census::{CENSUS, Fate, REPLACED, fate};
use super::pages::{self, Block, Page, SHELL};

/// The languages of blocks that hold no commands.
const OTHERS: [&str; 5] = ["json", "mermaid", "rust", "text", "yaml"];

/// Programs that pages have their readers start.
const PROGRAMS: [&str; 12] = [
    "$", "cargo", "cloudsim", "crane", "curl", "docker", "export", "git", "helm", "kubectl",
    "make", "skopeo",
];

#[test]
fn every_block_of_commands_is_run_or_it_is_said_why_not() {
    let mut seen = 0;
    for page in pages::all() {
        for Block {
            heading,
            language,
            text,
        } in page.blocks()
        {
            let place = format!("{}: {heading}: {text}", page.path);
            if SHELL.contains(&language) {
                seen += 1;
                assert!(fate(&page.path, heading, text).is_some(), "{place}");
                continue;
            }
            assert!(OTHERS.contains(&language), "{place}");
            let mut words = text
                .lines()
                .filter_map(|line| line.split_whitespace().next());
            assert!(!words.any(|word| PROGRAMS.contains(&word)), "{place}");
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn every_line_of_the_census_is_about_a_block() {
    let pages = pages::all();
    for (path, heading, beginning, what) in CENSUS {
        let page = pages.iter().find(|page| page.path == *path).unwrap();
        let blocks = page.blocks();
        let about = blocks.iter().any(|block| {
            let shell = SHELL.contains(&block.language) && block.heading == *heading;
            shell
                && fate(path, heading, block.text) == Some(*what)
                && block.text.starts_with(beginning)
        });
        assert!(about, "{path}: {heading}: {beginning}");
    }
}

#[test]
fn what_is_said_to_run_a_block_names_it() {
    for (path, heading, _, what) in CENSUS {
        if let Fate::Run(file, test) = what {
            let source = page(&format!("tests/{file}"));
            let names = [
                format!("\"{path}\""),
                format!("\"{heading}\""),
                format!("async fn {test}()"),
            ];
            for name in names {
                assert!(source.contains(&name), "{file}: {name}");
            }
        }
    }
}

#[test]
fn what_continuous_integration_runs_is_all_of_the_block() {
    let script = page(".ci/run");
    for page in pages::all() {
        for block in page.blocks() {
            if !SHELL.contains(&block.language) {
                continue;
            }
            let Some(Fate::Ci(commands)) = fate(&page.path, block.heading, block.text) else {
                continue;
            };
            let typed = block
                .text
                .lines()
                .map(|line| line.split('#').next().unwrap().trim());
            assert_eq!(typed.collect::<Vec<_>>(), commands, "{}", page.path);
            for command in commands {
                let mut lines = script
                    .lines()
                    .map(str::trim_start)
                    .filter(|line| !line.starts_with('#'));
                let words = |line: &str| {
                    line.split([' ', '{'])
                        .filter(|word| !word.is_empty())
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                };
                let command = words(command);
                let runs = |line: &str| words(line).windows(command.len()).any(|at| at == command);
                assert!(lines.any(runs), "{command:?}");
            }
        }
    }
}

#[test]
fn what_is_replaced_is_on_its_page() {
    let mut rows = BTreeSet::new();
    for (path, what, by) in REPLACED {
        let page = Page::read(path);
        let blocks = page.blocks();
        let mut commands = blocks
            .iter()
            .filter(|block| SHELL.contains(&block.language));
        assert!(
            commands.any(|block| block.text.contains(what)),
            "{path}: {what} by {by}"
        );
        assert!(rows.insert((path, what)), "{path}: {what} twice");
    }
}
