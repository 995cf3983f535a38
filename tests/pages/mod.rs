//! The pages of this repository, and what is printed on them.

pub mod census;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use census::{Fate, fate};

/// The languages of commands: as they are typed, and with a prompt and what they print.
pub const SHELL: [&str; 2] = ["sh", "console"];

/// What the values of the chart begin with, where a page prints them.
const VALUES: &str = "# values.yaml\n";

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Where it is, seen from the repository's root.
    pub path: String,
    pub text: String,
}

/// What stands between two fences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block<'p> {
    /// The heading above it.
    pub heading: &'p str,
    pub language: &'p str,
    pub text: &'p str,
}

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the repository, wherever it is.
pub fn all() -> Vec<Page> {
    let mut found = Vec::new();
    collect(repository(), &mut found);
    found.sort();
    let name = |path: PathBuf| {
        path.strip_prefix(repository())
            .unwrap()
            .display()
            .to_string()
    };
    found
        .into_iter()
        .map(|path| Page::read(&name(path)))
        .collect()
}

/// The pages below a folder, but for those that are built or fetched.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

// === impl Page ===

impl Page {
    /// The page at this path.
    pub fn read(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: fs::read_to_string(repository().join(path)).unwrap(),
        }
    }

    /// All that stands between fences, in its order.
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut heading = "";
        let mut open: Option<(&str, usize)> = None;
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let fence = line.trim().strip_prefix("```");
            match (open, fence) {
                (None, Some(language)) => open = Some((language, at + line.len())),
                (None, None) if line.starts_with('#') => heading = title(line),
                (Some((language, start)), Some("")) => {
                    let text = &self.text[start..at];
                    blocks.push(Block {
                        heading,
                        language,
                        text,
                    });
                    open = None;
                }
                _ => {}
            }
            at += line.len();
        }
        assert!(open.is_none(), "{}: a block without an end", self.path);
        blocks
    }

    /// The lines outside of fences.
    pub fn prose(&self) -> Vec<&str> {
        let mut fenced = false;
        let outside = self.text.lines().filter(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        });
        outside.collect()
    }

    /// The headings, without their signs.
    pub fn headings(&self) -> Vec<&str> {
        let lines = self.prose().into_iter();
        lines
            .filter(|line| line.starts_with('#'))
            .map(title)
            .collect()
    }

    /// What is printed in a language, in its order.
    pub fn printed(&self, language: &str) -> Vec<&str> {
        let blocks = self.blocks().into_iter();
        let of = blocks.filter(|block| block.language == language);
        of.map(|block| block.text).collect()
    }

    /// The objects in the YAML.
    pub fn manifests(&self) -> Vec<Value> {
        self.manifests_below(|_| true)
    }

    /// The objects in the YAML below headings.
    pub fn manifests_below(&self, of: impl Fn(&str) -> bool) -> Vec<Value> {
        let yaml = self.blocks().into_iter().filter(|block| {
            block.language == "yaml" && !block.text.starts_with(VALUES) && of(block.heading)
        });
        yaml.flat_map(|block| serde_saphyr::from_multiple::<Value>(block.text).unwrap())
            .collect()
    }

    /// The values of the chart that are printed, each a file.
    pub fn values(&self) -> Vec<&str> {
        let yaml = self.printed("yaml").into_iter();
        yaml.filter(|yaml| yaml.starts_with(VALUES)).collect()
    }

    /// The commands below a heading that tests run, one text for each block, in their order.
    pub fn commands(&self, heading: &str) -> Vec<&str> {
        let blocks = self.blocks().into_iter();
        let run = blocks.filter(|block| {
            let fate = fate(&self.path, block.heading, block.text);
            block.heading == heading
                && SHELL.contains(&block.language)
                && matches!(fate, Some(Fate::Run(..)))
        });
        let run: Vec<&str> = run.map(|block| block.text).collect();
        assert!(
            !run.is_empty(),
            "{}: no commands below {heading}",
            self.path
        );
        run
    }

    /// [`commands`](Self::commands), of which there must be exactly as many as the test has names for.
    pub fn all_commands<const N: usize>(&self, heading: &str) -> [&str; N] {
        let commands = self.commands(heading);
        let found = commands.len();
        commands
            .try_into()
            .unwrap_or_else(|_| panic!("{}: {found} below {heading}, not {N}", self.path))
    }
}

/// Commands of a console, each with the lines that it is said to print.
pub fn console(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command, Vec::new())),
            None => commands.last_mut().unwrap().1.push(line),
        }
    }
    commands
}

fn title(line: &str) -> &str {
    line.trim_start_matches('#').trim()
}
