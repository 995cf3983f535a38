//! Rows that wait for a call, served round-robin by namespace.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::row::RowId;

/// Rows that wait. One that is dropped or moved meanwhile keeps its place until its turn.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    turns: VecDeque<Arc<str>>,
    waiting: BTreeMap<Arc<str>, VecDeque<RowId>>,
    len: usize,
}

// === impl Rounds ===

impl Rounds {
    pub fn push(&mut self, namespace: &Arc<str>, row: RowId) {
        let queue = self.waiting.entry(Arc::clone(namespace)).or_default();
        if queue.is_empty() {
            self.turns.push_back(Arc::clone(namespace));
        }
        queue.push_back(row);
        self.len += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The namespace whose turn it is among those that are `admitted`.
    pub fn front(&self, admitted: impl FnMut(&&Arc<str>) -> bool) -> Option<&Arc<str>> {
        self.turns.iter().find(admitted)
    }

    /// Puts a namespace before all others.
    pub fn prefer(&mut self, namespace: &Arc<str>) {
        if let Some(at) = self.turns.iter().position(|other| other == namespace)
            && let Some(namespace) = self.turns.remove(at)
        {
            self.turns.push_front(namespace);
        }
    }

    /// The row whose turn it is. It may be gone.
    pub fn next(&self) -> Option<RowId> {
        let queue = self.waiting.get(self.turns.front()?)?;
        queue.front().copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = RowId> {
        self.waiting.values().flatten().copied()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> impl Iterator<Item = RowId> + use<> {
        self.turns.clear();
        self.len = 0;
        std::mem::take(&mut self.waiting).into_values().flatten()
    }

    /// The next row by turn, if `wanted` takes it; otherwise it keeps its turn.
    pub fn pop_if(&mut self, wanted: impl FnOnce(RowId) -> bool) -> Option<RowId> {
        let namespace = self.turns.front()?;
        let queue = self.waiting.get_mut(namespace)?;
        let row = *queue.front()?;
        if !wanted(row) {
            return None;
        }
        queue.pop_front();
        self.len -= 1;
        let namespace = self.turns.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        Some(row)
    }
}
