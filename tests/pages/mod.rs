//! The pages of this repository, and what is printed on them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

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
        let yaml = self.printed("yaml").into_iter();
        yaml.flat_map(|yaml| serde_saphyr::from_multiple::<Value>(yaml).unwrap())
            .collect()
    }

    /// The commands below a heading, one text for each block, in their order.
    pub fn commands(&self, heading: &str) -> Vec<&str> {
        let blocks = self.blocks().into_iter();
        let below = blocks.filter(|block| block.heading == heading && block.language == "sh");
        let blocks: Vec<&str> = below.map(|block| block.text).collect();
        assert!(
            !blocks.is_empty(),
            "{}: no commands below {heading}",
            self.path
        );
        blocks
    }
}

fn title(line: &str) -> &str {
    line.trim_start_matches('#').trim()
}
