//! Who pays for calls: the account whose budget a group uses, and what its stores allow of that.

use std::sync::Arc;

use tokio::time::Instant;

use super::StoreLimits;
use super::line::Line;
use super::row::{GroupId, LineId, ReaderId};
use super::table::{LineKey, Table};
use crate::budget::Budget;
use crate::credential::IdentityId;
use crate::provider::Quota;

/// How many identities' accounts are remembered, used or not.
const MOST_ACCOUNTS: usize = 10_000;
/// How many lines without groups are kept for their budgets.
const SPARE_LINES: usize = 64;

// === impl Table ===

impl Table {
    /// The line of `identity` for calls that `quota` counts: who pays for them.
    pub(super) fn line_id(&mut self, identity: IdentityId, quota: &Quota, now: Instant) -> LineId {
        let account = self.accounts.get(&identity).cloned();
        // Until the cloud has accepted an identity, or told whose it is, it has a budget of its own:
        // anybody can claim to be anybody's.
        let account = account.unwrap_or_else(|| Arc::from(format!("{identity:?}")));
        let key: LineKey = (account, quota.name, Arc::from(quota.scope.as_str()));
        if let Some(id) = self.line_ids.get(&key) {
            return *id;
        }
        let id = LineId(self.fresh_id());
        let share = self.limits.quota_share;
        let full = quota.per_second.filter(|_| share > 0.0);
        let budget = Budget::new(full.map(|full| f64::from(full) * share), now);
        self.line_ids.insert(key, id);
        self.lines.insert(id, Line::new(budget));
        id
    }

    /// Notes whose the identity is: from now on it shares that account's budgets.
    pub fn learn_account(&mut self, identity: IdentityId, account: &str, now: Instant) {
        let known = self.accounts.get(&identity);
        if known.is_some_and(|known| **known == *account) {
            return;
        }
        if self.accounts.len() >= MOST_ACCOUNTS {
            let used = &self.identities;
            self.accounts
                .retain(|identity, _| used.contains_key(identity));
        }
        self.accounts.insert(identity, Arc::from(account));
        for id in self.groups_of(identity) {
            let Some(quota) = self.groups.get(&id).map(|group| group.quota.clone()) else {
                continue;
            };
            self.leave_line(id, now);
            let line = self.line_id(identity, &quota, now);
            self.enter_line(id, line);
            self.note(id, now);
        }
    }

    pub(super) fn enter_line(&mut self, id: GroupId, line_id: LineId) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.line = line_id;
        }
        if let Some(line) = self.lines.get_mut(&line_id) {
            line.groups.insert(id);
        }
    }

    /// Takes the group out of its line. A line without groups stays as long as its budget remembers
    /// something.
    pub(super) fn leave_line(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let line_id = group.line;
        let Some(line) = self.lines.get_mut(&line_id) else {
            return;
        };
        line.withdraw(id, &mut group.link);
        line.groups.remove(&id);
        self.note_line(line_id, now);
        // Most lines outlive their groups, for a budget must not be had twice; they are looked through
        // when there are many.
        if self.lines.len() > self.groups.len() + SPARE_LINES {
            let lines = &mut self.lines;
            lines.retain(|_, line| !line.groups.is_empty() || !line.budget.is_fresh(now));
            self.line_ids.retain(|_, id| lines.contains_key(id));
        }
    }

    /// Takes in that one more object reads through the store `name`, which allows this.
    pub(super) fn limit(
        &mut self,
        id: ReaderId,
        name: &Arc<str>,
        limits: StoreLimits,
        now: Instant,
    ) {
        if let Some(reader) = self.readers.get_mut(&id) {
            reader.limit(name, limits, now);
        }
        self.note_all(id, now);
    }

    /// Takes in that one object less reads through these stores.
    pub(super) fn unlimit(&mut self, stores: &[(ReaderId, Arc<str>)], now: Instant) {
        for (id, name) in stores {
            if let Some(reader) = self.readers.get_mut(id) {
                reader.unlimit(name, now);
            }
            self.note_all(*id, now);
        }
    }
}
