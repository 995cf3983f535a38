//! Quotas: how many calls of a kind an account has in a second.

use std::collections::HashMap;

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

/// The calls of the current second.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    second: i64,
    calls: HashMap<(String, String, Kind), u32>,
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

impl Quotas {
    /// Counts a call; `false` if it is one too many in this second of Unix time.
    pub(crate) fn take(
        &mut self,
        second: i64,
        account: &str,
        region: &str,
        kind: Kind,
        limit: u32,
    ) -> bool {
        if second != self.second {
            self.second = second;
            self.calls.clear();
        }
        let calls = self
            .calls
            .entry((account.to_owned(), region.to_owned(), kind))
            .or_default();
        *calls += 1;
        *calls <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_region_and_kind_has_its_own_quota_each_second() {
        let mut quotas = Quotas::default();
        assert!(quotas.take(1, "a", "r", Kind::Read, 1));
        assert!(!quotas.take(1, "a", "r", Kind::Read, 1));
        assert!(quotas.take(1, "a", "r", Kind::List, 1));
        assert!(quotas.take(1, "a", "q", Kind::Read, 1));
        assert!(quotas.take(1, "b", "r", Kind::Read, 1));
        assert!(quotas.take(2, "a", "r", Kind::Read, 1));
    }
}
