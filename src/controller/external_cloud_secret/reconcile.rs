//! One object's reconcile, from what was gathered to the only writes.

use std::time::Duration;

use kube::ResourceExt;
use kube_runtime::controller::Action;
use tokio::time::Instant;

use super::apply;
use super::failover;
use super::forced::{Ask, HORIZON, Step};
use super::gather::{Gathered, gather};
use super::memory::Memory;
use super::ownership::SecretFacts;
use super::place::{Elsewhere, EntryPlace};
use super::plan::{Due, Facts, Standing};
use super::report::report;
use super::request::open_request;
use super::write::{Round, repairs, write};
use crate::api::condition::{FRESH, is_true};
use crate::api::{ExternalCloudSecret, ExternalCloudSecretStatus};
use crate::controller::context::Context;
use crate::refresh::{Join, Joined, ObjectKey};

/// Why a reconcile has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The API server could not be asked.
    #[error(transparent)]
    Gather(#[from] super::gather::Unasked),
    /// The Secret could not be written.
    #[error("writing the Secret: {0}")]
    Write(#[from] apply::WriteError),
    /// A request about the object failed.
    #[error("{0}: {1}")]
    Request(&'static str, String),
}

/// How a reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything is as it should be, or waits for a change.
    Done,
    /// Values are under way; the hub wakes the object.
    Waiting,
    /// To be looked at again after this long.
    Again(Duration),
}

// === impl Ended ===

impl Ended {
    /// What the work queue is told.
    pub fn action(self) -> Action {
        match self {
            Self::Done | Self::Waiting => Action::await_change(),
            Self::Again(wait) => Action::requeue(wait),
        }
    }

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done | Self::Again(_) => "done",
        }
    }
}

/// Reconciles `object`, which is `key`.
///
/// # Errors
/// What failed and passes; the caller tries again.
pub async fn reconcile(
    context: &Context,
    key: &ObjectKey,
    object: &ExternalCloudSecret,
) -> Result<Ended, Failed> {
    let uid = object.uid().unwrap_or_default();
    if object.metadata.deletion_timestamp.is_some() {
        context.hub.unsubscribe(key);
        return Ok(Ended::Done);
    }
    let mut memory = context.memories.with(key, &uid, |memory| memory.clone());
    let status = object.status.clone().unwrap_or_default();
    let gathered = gather(context, key, object, &status, memory.blocked).await?;
    let Some(gathered) = gathered else {
        // What this process knows of it goes stale while another operator serves it.
        context.hub.unsubscribe(key);
        context.memories.forget(key);
        return Ok(Ended::Done);
    };
    if gathered.secret.is_none() {
        memory.blocked = false;
    }
    let ended = settle(context, object, key, &status, gathered, &mut memory).await;
    context.memories.keep(key, memory);
    ended
}

async fn settle(
    context: &Context,
    object: &ExternalCloudSecret,
    key: &ObjectKey,
    status: &ExternalCloudSecretStatus,
    gathered: Gathered,
    memory: &mut Memory,
) -> Result<Ended, Failed> {
    let Gathered {
        needs,
        places,
        elsewhere,
        secret,
    } = gathered;
    let blocked_before = memory.blocked;
    let suspended = object.spec.suspend == Some(true);
    let (needs, problem) = match needs {
        Ok(needs) if !suspended => (needs, None),
        Ok(_) => (Vec::new(), None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    let changed = context.hub.subscribe(key, needs);
    memory.moved |= changed && memory.subscribed;
    memory.subscribed = true;
    if secret.is_some() {
        // A Secret that is there has nothing to expect of other regions.
        context.hub.leave(key, 1);
    }
    let swept = context.sweeps.includes(key);
    let step = if suspended || problem.is_some() {
        Step::Rest
    } else {
        step(context, object, status, swept, memory)
    };
    let views = context.hub.look(key);
    let verified = memory.verified.clone();
    let unclaimed = |secret: &SecretFacts| {
        let uid = object.uid().unwrap_or_default();
        secret.is_unclaimed(&uid, &key.namespace, &key.name)
    };
    // A restored Secret has no ownerReference: that it lacks, whatever it holds.
    memory.drifted |= secret.as_deref().is_some_and(unclaimed);
    let facts = Facts {
        object,
        status,
        problem,
        views: &views,
        behind: context.hub.behind(key),
        places: &places,
        asking_elsewhere: memory.asking_elsewhere,
        forced: step.reads(),
        secret: secret.as_deref(),
        moved: memory.moved,
        drifted: memory.drifted,
        verified: verified.as_deref(),
        key: &context.key,
    };
    let mut read_at = None;
    let mut next = step.wait();
    let round = match facts.due() {
        Due::Report(standing) => {
            give_up(context, key, memory);
            if swept && step.wait().is_none() {
                // What a store's refresh cannot read, it does not wait for.
                context.sweeps.passed(key);
            }
            Round::standing(standing)
        }
        Due::Look => return look(context, &facts, memory).await,
        Due::Fetch(request) => {
            if repairs(&facts)
                && let Some(wait) = memory.repair_wait(Instant::now())
            {
                if facts.secret.is_none() && is_true(&status.conditions, FRESH) {
                    let round = Round {
                        made: false,
                        ..Round::standing(Standing::Settled)
                    };
                    report(context, &facts, &places, round, memory).await?;
                }
                return Ok(Ended::Again(wait));
            }
            let fetched = fetch(context, &facts, key, request, &elsewhere, memory).await?;
            let Some(fetched) = fetched else {
                return Ok(Ended::Waiting);
            };
            read_at = fetched.1;
            // What was asked for while the values came may be younger than they are.
            let swept = context.sweeps.includes(key);
            next = self::step(context, object, status, swept, memory).until_next();
            fetched.0
        }
    };
    let settled = round.standing == Standing::Settled;
    let (wrote, again) = (round.wrote, round.again);
    let blocked = memory.blocked && !blocked_before;
    let read_at = read_at.as_deref().unwrap_or(&places);
    report(context, &facts, read_at, round, memory).await?;
    // The write of this round is in what the context knows now: only then a rename is complete.
    if settled {
        finish_rename(context, object).await?;
    }
    if blocked {
        // What stands in the way is watched from the next round on.
        return Ok(Ended::Again(Duration::ZERO));
    }
    // The Secret was not looked at since it was written by another process or changed by a hand.
    let seen = secret.as_ref().map(|facts| &*facts.resource_version);
    let unverified = settled && seen.is_some() && memory.verified.as_deref() != seen && !wrote;
    let again = again.or(unverified.then_some(Duration::ZERO));
    let again = again.into_iter().chain(next).min();
    Ok(again.map_or(Ended::Done, Ended::Again))
}

/// Gets the values and writes what they come to; says where they were read, if elsewhere. `None` while
/// calls are under way.
async fn fetch(
    context: &Context,
    facts: &Facts<'_>,
    key: &ObjectKey,
    request: Join,
    elsewhere: &[Vec<Elsewhere>],
    memory: &mut Memory,
) -> Result<Option<(Round, Option<Vec<EntryPlace>>)>, Failed> {
    let Joined::Ready(answers) = context.hub.join(key, request) else {
        return Ok(None);
    };
    let asked = failover::ask(&context.hub, key, request, elsewhere, answers);
    memory.asking_elsewhere = asked.is_none();
    let Some(mut asked) = asked else {
        return Ok(None);
    };
    memory.moved = false;
    if memory.forced.as_mut().is_some_and(|forced| forced.end()) {
        context.sweeps.passed(key);
    }
    let settlement = facts.settle(&asked.answers);
    let values = asked.take_values();
    let only_missing = asked.has_stand_in();
    let round = write(context, facts, settlement, values, only_missing, memory);
    let mut round = round.await?;
    let read_at = asked.tell(facts, &mut round);
    Ok(Some((round, read_at)))
}

/// What to do about refreshes that somebody asks for.
fn step(
    context: &Context,
    object: &ExternalCloudSecret,
    status: &ExternalCloudSecretStatus,
    swept: bool,
    memory: &mut Memory,
) -> Step {
    let request = open_request(object, status);
    if request.is_none() && !swept && memory.forced.is_none() {
        return Step::Rest;
    }
    let ask = Ask {
        request: request.as_deref(),
        swept,
        new: matches!(status.observed_generation, None | Some(-1)),
    };
    let (namespace, now) = (object.namespace().unwrap_or_default(), Instant::now());
    let take = || context.refreshes.take_within(&namespace, HORIZON, now);
    memory.forced.get_or_insert_default().step(ask, now, take)
}

/// Gives up what was wanted of the hub. Whatever other regions were asked for is settled, or no longer
/// allowed.
fn give_up(context: &Context, key: &ObjectKey, memory: &mut Memory) {
    context.hub.cancel(key);
    context.hub.leave(key, 1);
    memory.asking_elsewhere = false;
    memory.forced.iter_mut().for_each(|forced| forced.give_up());
}

/// Looks whether the Secret still holds what was written, in its turn.
async fn look(context: &Context, facts: &Facts<'_>, memory: &mut Memory) -> Result<Ended, Failed> {
    let (object, now) = (facts.object, Instant::now());
    let turns = if memory.verified.is_none() {
        &context.verifications
    } else {
        &context.looks
    };
    let turn = *memory.look_at.get_or_insert_with(|| turns.take(now));
    if turn > now {
        return Ok(Ended::Again(turn - now));
    }
    memory.look_at = None;
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.target_name());
    let found = apply::intact(&context.client, &context.key, &namespace, &name).await;
    let known = facts.secret.map(|secret| &secret.resource_version);
    match found.map_err(|error| request("looking at the Secret", &error))? {
        Some((found, true)) if Some(&found.resource_version) == known => {
            memory.verified = Some(found.resource_version);
        }
        Some((_, false)) => memory.drifted = true,
        // It changed a moment ago or is gone; the watch is about to say so.
        Some(_) | None => return Ok(Ended::Again(Duration::from_secs(1))),
    }
    // Whatever was seen, the plan decides on it.
    Ok(Ended::Again(Duration::ZERO))
}

/// Deletes what a rename left behind, once the new Secret is in place.
async fn finish_rename(context: &Context, object: &ExternalCloudSecret) -> Result<(), Failed> {
    let uid = object.uid().unwrap_or_default();
    let namespace = object.namespace().unwrap_or_default();
    let target = ObjectKey::new(&namespace, &object.target_name());
    if object.spec.suspend == Some(true) {
        return Ok(());
    }
    let controlled = |facts: &SecretFacts| {
        facts
            .controller
            .as_ref()
            .is_some_and(|(controller, _)| **controller == *uid)
    };
    if !context
        .managed
        .get(&target)
        .is_some_and(|facts| controlled(&facts))
    {
        return Ok(());
    }
    for (secret, facts) in context.managed.controlled_by(&uid) {
        if secret.namespace != target.namespace || secret.name == target.name {
            continue;
        }
        let deleted = apply::delete_surplus(&context.client, &namespace, &secret.name, &facts);
        deleted
            .await
            .map_err(|error| request("deleting the renamed Secret", &error))?;
        context.metrics.secret_written("deleted");
        tracing::info!(%secret, "renamed secret deleted");
    }
    Ok(())
}

pub(super) fn request(what: &'static str, error: &kube::Error) -> Failed {
    Failed::Request(what, crate::controller::reason(error))
}
