//! The commands of a page for users, to be run as they stand there.

use std::fs;
use std::path::Path;

/// A page under `docs/`.
pub struct Page {
    text: String,
}

impl Page {
    /// The page of this file name.
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs")
            .join(name);
        Self {
            text: fs::read_to_string(path).unwrap(),
        }
    }

    /// The commands below a heading, one text for each block, in their order.
    pub fn commands(&self, heading: &str) -> Vec<&str> {
        let start = format!("\n## {heading}\n");
        let (_, section) = self
            .text
            .split_once(&start)
            .unwrap_or_else(|| panic!("no heading {heading}"));
        let section = section.split("\n## ").next().unwrap();
        let blocks = section.split("```sh\n").skip(1);
        let blocks: Vec<&str> = blocks
            .map(|block| block.split("```").next().unwrap())
            .collect();
        assert!(!blocks.is_empty(), "no commands below {heading}");
        blocks
    }
}
