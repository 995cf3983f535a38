//! The ledger: who called what, and what came of it. It holds no value and no credential.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::is_principal;

const RECENT: usize = 10_000;
const SECONDS: usize = 7_200;

/// One call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// When it arrived.
    pub at: Timestamp,
    /// `oos`, `sts`, `kms` or `metadata`; Tencent's `ssm`, `tencent-sts` or `tencent-metadata`; or `unknown`.
    pub service: String,
    /// The action, or `unknown`.
    pub action: String,
    /// The ARN of the role, user or account; for `AssumeRoleWithOIDC` and
    /// `AssumeRoleWithWebIdentity` of the role that is asked for; or `unknown`.
    pub principal: String,
    /// The session's name, of a role.
    pub session: Option<String>,
    /// `OK`, the cloud's code, or `Fault.<kind>` where no such answer was given.
    pub outcome: String,
    /// The kind of the fault that struck it.
    pub fault: Option<String>,
    /// The names that were asked for.
    pub names: Vec<String>,
    /// The client's User-Agent.
    pub user_agent: Option<String>,
    /// The client's address.
    pub source: String,
    /// The `Host` that was asked, if it is one.
    #[serde(default)]
    pub host: String,
}

/// Calls of one kind, counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// As in [`Call`].
    pub service: String,
    /// As in [`Call`].
    pub action: String,
    /// As in [`Call`].
    pub principal: String,
    /// As in [`Call`].
    pub outcome: String,
    /// How many calls.
    pub calls: u64,
    /// How many names they asked for.
    pub names: u64,
}

/// The calls of one second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// The second, as Unix time.
    pub at: i64,
    /// How many calls.
    pub calls: u64,
}

/// Which calls to look at: all rules that are given must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The principal: its ARN, or its name alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// A name that was asked for. It narrows `recent` only: counts are not kept by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What the ledger says about some calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerView {
    /// How many calls.
    pub total: u64,
    /// How many names they asked for.
    pub names: u64,
    /// The calls by service, action, principal and outcome.
    pub groups: Vec<Group>,
    /// The calls by second, of the last two hours in which there were any; seconds without calls are left out.
    pub seconds: Vec<Second>,
    /// The last calls, at most 10,000, oldest first.
    pub recent: Vec<Call>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    index: HashMap<[String; 4], usize>,
    groups: Vec<Group>,
    seconds: BTreeMap<i64, HashMap<usize, u64>>,
    recent: VecDeque<Call>,
}

// === impl Filter ===

impl Filter {
    /// Calls of this service.
    pub fn service(service: &str) -> Self {
        Self {
            service: Some(service.to_owned()),
            ..Self::default()
        }
    }

    /// Calls of this action.
    pub fn action(action: &str) -> Self {
        Self {
            action: Some(action.to_owned()),
            ..Self::default()
        }
    }

    /// Narrowed to a principal.
    #[must_use]
    pub fn principal(mut self, principal: &str) -> Self {
        self.principal = Some(principal.to_owned());
        self
    }

    /// Narrowed to an outcome.
    #[must_use]
    pub fn outcome(mut self, outcome: &str) -> Self {
        self.outcome = Some(outcome.to_owned());
        self
    }

    fn holds(&self, service: &str, action: &str, principal: &str, outcome: &str) -> bool {
        let same =
            |rule: &Option<String>, text: &str| rule.as_deref().is_none_or(|rule| rule == text);
        same(&self.service, service)
            && same(&self.action, action)
            && same(&self.outcome, outcome)
            && self
                .principal
                .as_deref()
                .is_none_or(|rule| is_principal(rule, principal))
    }
}

// === impl LedgerView ===

impl LedgerView {
    /// How many of these calls match a further filter (a name is not looked at).
    pub fn calls(&self, filter: &Filter) -> u64 {
        let groups = self.groups.iter();
        let matching = groups.filter(|group| {
            filter.holds(
                &group.service,
                &group.action,
                &group.principal,
                &group.outcome,
            )
        });
        matching.map(|group| group.calls).sum()
    }

    /// The last calls that asked for a name.
    pub fn asking<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Call> {
        self.recent
            .iter()
            .filter(move |call| call.names.iter().any(|asked| asked == name))
    }
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn record(&mut self, call: Call) {
        let key = [
            call.service.clone(),
            call.action.clone(),
            call.principal.clone(),
            call.outcome.clone(),
        ];
        let groups = &mut self.groups;
        let at = *self.index.entry(key).or_insert_with(|| {
            groups.push(Group {
                service: call.service.clone(),
                action: call.action.clone(),
                principal: call.principal.clone(),
                outcome: call.outcome.clone(),
                calls: 0,
                names: 0,
            });
            groups.len() - 1
        });
        self.groups[at].calls += 1;
        self.groups[at].names += call.names.len() as u64;
        *self
            .seconds
            .entry(call.at.as_second())
            .or_default()
            .entry(at)
            .or_default() += 1;
        if self.seconds.len() > SECONDS {
            self.seconds.pop_first();
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(call);
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn view(&self, filter: &Filter) -> LedgerView {
        let chosen = |group: &Group| {
            filter.holds(
                &group.service,
                &group.action,
                &group.principal,
                &group.outcome,
            )
        };
        let groups: Vec<Group> = self
            .groups
            .iter()
            .filter(|group| chosen(group))
            .cloned()
            .collect();
        let seconds = self.seconds.iter().filter_map(|(at, counts)| {
            let counts = counts
                .iter()
                .filter(|(index, _)| chosen(&self.groups[**index]));
            let calls: u64 = counts.map(|(_, calls)| calls).sum();
            (calls > 0).then_some(Second { at: *at, calls })
        });
        let recent = self.recent.iter().filter(|call| {
            filter.holds(&call.service, &call.action, &call.principal, &call.outcome)
                && filter
                    .name
                    .as_ref()
                    .is_none_or(|name| call.names.contains(name))
        });
        LedgerView {
            total: groups.iter().map(|group| group.calls).sum(),
            names: groups.iter().map(|group| group.names).sum(),
            seconds: seconds.collect(),
            recent: recent.cloned().collect(),
            groups,
        }
    }
}
