//! Quotas: how many calls there may be in a second, counted apart as a cloud counts them.

use std::collections::HashMap;
use std::hash::Hash;

use crate::seed::KmsSettings;

/// The kinds of calls that KMS counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Values and metadata of one secret, or of a batch.
    Read,
    /// Lists, and whatever else is rare.
    List,
    /// Creations and deletions.
    Write,
}

/// The calls of the current second, by what a cloud counts apart: accounts, regions, kinds, actions.
#[derive(Debug)]
pub(crate) struct Quotas<K> {
    second: i64,
    calls: HashMap<K, u32>,
}

// === impl Kind ===

impl Kind {
    pub(crate) fn limit(self, settings: &KmsSettings) -> Option<u32> {
        match self {
            Self::Read => settings.reads_per_second,
            Self::List => settings.lists_per_second,
            Self::Write => settings.writes_per_second,
        }
    }
}

// === impl Quotas ===

impl<K: Eq + Hash> Quotas<K> {
    /// Counts a call; `false` if it is one too many in this second of Unix time.
    pub(crate) fn take(&mut self, second: i64, of: K, limit: u32) -> bool {
        if second != self.second {
            self.second = second;
            self.calls.clear();
        }
        let calls = self.calls.entry(of).or_default();
        *calls += 1;
        *calls <= limit
    }
}

impl<K> Default for Quotas<K> {
    fn default() -> Self {
        Self {
            second: 0,
            calls: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_region_and_kind_has_its_own_quota_each_second() {
        let mut quotas = Quotas::default();
        assert!(quotas.take(1, ("a", "r", Kind::Read), 1));
        assert!(!quotas.take(1, ("a", "r", Kind::Read), 1));
        assert!(quotas.take(1, ("a", "r", Kind::List), 1));
        assert!(quotas.take(1, ("a", "q", Kind::Read), 1));
        assert!(quotas.take(1, ("b", "r", Kind::Read), 1));
        assert!(quotas.take(2, ("a", "r", Kind::Read), 1));
    }
}
