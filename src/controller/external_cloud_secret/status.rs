//! An object's next status. Pure: it changes only when something happened, so that a steady state
//! writes nothing.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::inputs::AppliedDigest;
use super::place::EntryPlace;
use super::plan::{Facts, Standing};
use super::problem::Problem;
use crate::api::condition::{
    FRESH, READY, STALLED, find_condition, is_true, remove_condition, set_condition, whole_seconds,
};
use crate::api::{ConditionStatus, EntryStatus, ExternalCloudSecretStatus, Reason};
use crate::refresh::Seen;

/// The most entries that status lists.
pub const MOST_ENTRIES: usize = 100;

/// What a reconcile found out and did.
#[derive(Debug)]
pub struct Report<'a> {
    /// How the object stands.
    pub standing: Standing,
    /// What is in the Secret now, if that is known.
    pub values: Option<&'a [Seen]>,
    /// Where each entry is read, or was where another region stood in.
    pub places: &'a [EntryPlace],
    /// The Secret's data was written in this round.
    pub written: bool,
    /// A Secret that satisfies this generation exists now.
    pub satisfied: bool,
    /// The last request for a refresh that was carried out.
    pub handled_refresh: Option<&'a str>,
}

/// The status that follows from `facts` and `report`.
pub fn next(facts: &Facts<'_>, report: &Report<'_>, now: Timestamp) -> ExternalCloudSecretStatus {
    let mut status = facts.status.clone();
    let object = facts.object;
    let generation = object.metadata.generation;
    status.observed_generation = generation;
    if let Some(values) = report.values {
        status.entries_total = i32::try_from(values.len()).ok();
        status.entries = entries(facts, report, values, now);
    }
    if report.satisfied {
        status.secret_name = Some(object.target_name());
    }
    if report.written {
        status.changed_time = Some(whole_seconds(now));
    }
    if let Some(handled) = report.handled_refresh {
        status.last_handled_refresh = Some(handled.to_owned());
    }
    set_ready(&mut status, report, generation, now);
    set_fresh(&mut status, facts, report, now);
    set_stalled(&mut status, report, generation, now);
    status
}

/// The message of a failure, which stays what it was while only the request id is another: a new
/// process does not write every status anew.
fn steady(old: &[Condition], type_: &str, problem: &Problem) -> String {
    let old = find_condition(old, type_).filter(|old| problem.is_told_by(old));
    old.map_or_else(|| problem.message.clone(), |old| old.message.clone())
}

fn set_ready(
    status: &mut ExternalCloudSecretStatus,
    report: &Report<'_>,
    generation: Option<i64>,
    now: Timestamp,
) {
    let (state, reason, message) = match &report.standing {
        _ if report.satisfied => {
            let name = status.secret_name.as_deref().unwrap_or_default();
            (
                ConditionStatus::True,
                Reason::SecretReady,
                format!("Secret {name} is in place"),
            )
        }
        // Suspending is not a reason why no Secret could be made: what was known stays.
        Standing::Failed(problem) if problem.reason == Reason::Suspended => {
            if find_condition(&status.conditions, READY).is_some() {
                return;
            }
            (
                ConditionStatus::Unknown,
                Reason::Pending,
                "suspended before the first refresh".into(),
            )
        }
        Standing::Failed(problem) => (
            ConditionStatus::False,
            problem.reason,
            steady(&status.conditions, READY, problem),
        ),
        Standing::Settled => (
            ConditionStatus::Unknown,
            Reason::Pending,
            "the Secret is being made".into(),
        ),
    };
    set_condition(
        &mut status.conditions,
        READY,
        state,
        reason,
        message,
        generation,
        now,
    );
}

fn set_fresh(
    status: &mut ExternalCloudSecretStatus,
    facts: &Facts<'_>,
    report: &Report<'_>,
    now: Timestamp,
) {
    let generation = facts.object.metadata.generation;
    let (state, reason, message) = match &report.standing {
        Standing::Settled => (
            ConditionStatus::True,
            Reason::Refreshed,
            refreshed(status, facts, report.values),
        ),
        Standing::Failed(problem) => (
            ConditionStatus::False,
            problem.reason,
            steady(&status.conditions, FRESH, problem),
        ),
    };
    set_condition(
        &mut status.conditions,
        FRESH,
        state,
        reason,
        message,
        generation,
        now,
    );
}

/// That all is well, and which values may not be what was meant. While it is not known what was read,
/// what was said stays.
fn refreshed(
    status: &ExternalCloudSecretStatus,
    facts: &Facts<'_>,
    values: Option<&[Seen]>,
) -> String {
    const WELL: &str = "the last due refresh worked";
    let Some(values) = values else {
        let said = find_condition(&status.conditions, FRESH)
            .filter(|said| said.reason == Reason::Refreshed.as_str());
        return said.map_or_else(|| WELL.to_owned(), |said| said.message.clone());
    };
    let entries = facts.object.spec.data.iter().zip(values);
    let mut caveats = entries.filter_map(|(entry, seen)| Some((entry, seen.caveat?)));
    match caveats.next() {
        None => WELL.to_owned(),
        Some((entry, caveat)) => {
            let also = match caveats.count() {
                0 => String::new(),
                others => format!(" (and {others} more)"),
            };
            format!("{WELL}; data[{}]{also}: {caveat}", entry.secret_key)
        }
    }
}

fn set_stalled(
    status: &mut ExternalCloudSecretStatus,
    report: &Report<'_>,
    generation: Option<i64>,
    now: Timestamp,
) {
    let ready = is_true(&status.conditions, READY);
    let stalled = |problem: &&Problem| !ready && problem.needs_user();
    let problem = match &report.standing {
        Standing::Failed(problem) => Some(problem).filter(stalled),
        Standing::Settled => None,
    };
    match problem {
        Some(problem) => {
            let (state, reason) = (ConditionStatus::True, problem.reason);
            let message = steady(&status.conditions, STALLED, problem);
            let conditions = &mut status.conditions;
            set_condition(conditions, STALLED, state, reason, message, generation, now);
        }
        None => {
            remove_condition(&mut status.conditions, STALLED);
        }
    }
}

fn entries(
    facts: &Facts<'_>,
    report: &Report<'_>,
    values: &[Seen],
    now: Timestamp,
) -> Vec<EntryStatus> {
    let old = &facts.status.entries;
    let specs = facts.object.spec.data.iter().zip(report.places);
    let mut entries = Vec::with_capacity(values.len().min(MOST_ENTRIES));
    for (i, ((entry, place), seen)) in specs.zip(values).take(MOST_ENTRIES).enumerate() {
        let digest = AppliedDigest::format(facts.key, seen.digest);
        let before = old
            .get(i)
            .filter(|old| old.key == entry.remote_ref.key && old.store == place.store);
        // A digest under a lost key differs although the value may be the same.
        let same = before.is_some_and(|old| {
            old.digest == digest
                || (AppliedDigest::read(facts.key, &old.digest).is_none() && !report.written)
        });
        let kept = before
            .filter(|_| same)
            .and_then(|old| old.changed_at.clone());
        entries.push(EntryStatus {
            store: place.store.clone(),
            region: place.region.clone(),
            key: entry.remote_ref.key.clone(),
            version: seen.version.as_deref().map(str::to_owned),
            changed_at: Some(kept.unwrap_or_else(|| whole_seconds(now))),
            digest,
        });
    }
    entries
}

#[cfg(test)]
mod tests;
