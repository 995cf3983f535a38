//! Where an entry is read: its store, and the store's other regions.

use crate::refresh::Need;

/// Where an entry is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryPlace {
    /// The store, as `Kind/name`.
    pub store: String,
    /// Its region.
    pub region: Option<String>,
    /// Whether the same store may be read in other regions, known only where the Secret is missing.
    pub has_others: bool,
}

/// Another region that an entry may be read in.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// The region.
    pub region: String,
    /// What is read there.
    pub need: Need,
}
