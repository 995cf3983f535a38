//! One object's reconcile, from what was gathered to the only writes.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube_runtime::controller::Action;
use tokio::time::Instant;

use super::apply::{self, Fate, Wanted};
use super::gather::{Gathered, gather};
use super::memory::Memory;
use super::ownership::SecretFacts;
use super::plan::{Due, Facts, Settlement, Standing};
use super::report::report;
use crate::api::condition::{FRESH, is_true};
use crate::api::{ExternalCloudSecret, ExternalCloudSecretStatus, Reason};
use crate::controller::context::Context;
use crate::refresh::{Held, Joined, ObjectKey, Seen};

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

/// What one round did.
pub(super) struct Round {
    pub standing: Standing,
    pub values: Option<Vec<Seen>>,
    /// The Secret's data was written.
    pub written: bool,
    /// The Secret was written, be it only what it says about itself.
    pub wrote: bool,
    /// The cloud was asked, or answered from what was read a moment ago.
    pub asked: bool,
    /// A Secret that satisfies this generation is there.
    pub made: bool,
    /// The API server refused the Secret, which is tried again after this long.
    pub again: Option<Duration>,
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

// === impl Round ===

impl Round {
    fn standing(standing: Standing) -> Self {
        Self {
            made: standing == Standing::Settled,
            standing,
            values: None,
            written: false,
            wrote: false,
            asked: false,
            again: None,
        }
    }
}

/// Reconciles `object`.
///
/// # Errors
/// What failed and passes; the caller tries again.
pub async fn reconcile(context: &Context, object: &ExternalCloudSecret) -> Result<Ended, Failed> {
    let key = ObjectKey::new(&object.namespace().unwrap_or_default(), &object.name_any());
    let uid = object.uid().unwrap_or_default();
    if object.metadata.deletion_timestamp.is_some() {
        context.hub.unsubscribe(&key);
        return Ok(Ended::Done);
    }
    let mut memory = context.memories.with(&key, &uid, |memory| memory.clone());
    let status = latest_status(object, &mut memory);
    let gathered = gather(context, object, &status, memory.blocked).await?;
    if gathered.secret.is_none() {
        memory.blocked = false;
    }
    let ended = settle(context, object, &key, &status, gathered, &mut memory).await;
    context.memories.keep(&key, memory);
    ended
}

/// The status in the cache, or the one that was written and the cache does not show yet.
fn latest_status(object: &ExternalCloudSecret, memory: &mut Memory) -> ExternalCloudSecretStatus {
    let version = object.resource_version().unwrap_or_default();
    match &memory.status {
        Some(written) if !written.is_shown_by(&version) => written.status.clone(),
        _ => {
            memory.status = None;
            object.status.clone().unwrap_or_default()
        }
    }
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
    let views = context.hub.look(key);
    let verified = memory.verified.clone();
    let unclaimed = |secret: &SecretFacts| {
        let uid = object.uid().unwrap_or_default();
        secret.is_unclaimed(&uid, &key.namespace, &key.name)
    };
    // A restored Secret has no ownerReference: that it lacks, whatever it holds.
    memory.drifted |= secret.as_ref().is_some_and(unclaimed);
    let facts = Facts {
        object,
        status,
        problem,
        views: &views,
        behind: context.hub.behind(key),
        secret: secret.as_ref(),
        moved: memory.moved,
        drifted: memory.drifted,
        verified: verified.as_deref(),
        key: &context.key,
    };
    let round = match facts.due() {
        Due::Report(standing) => {
            context.hub.cancel(key);
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
            match context.hub.join(key, request) {
                Joined::Pending => return Ok(Ended::Waiting),
                Joined::Ready(answers) => {
                    memory.moved = false;
                    let settlement = facts.settle(&answers);
                    let values: Vec<Arc<Held>> = answers.into_iter().flatten().collect();
                    apply(context, &facts, settlement, values, memory).await?
                }
            }
        }
    };
    let settled = round.standing == Standing::Settled;
    let (wrote, again) = (round.wrote, round.again);
    let blocked = memory.blocked && !blocked_before;
    report(context, &facts, &places, round, memory).await?;
    // The write of this round is in what the context knows now: only then a rename is complete.
    if settled {
        finish_rename(context, object).await?;
    }
    if blocked {
        // What stands in the way is watched from the next round on.
        return Ok(Ended::Again(Duration::ZERO));
    }
    // The Secret was not looked at since it was written by another process or changed by a hand.
    let seen = secret.as_ref().map(|facts| facts.resource_version.as_str());
    let unverified = settled && seen.is_some() && memory.verified.as_deref() != seen && !wrote;
    Ok(match again {
        Some(wait) => Ended::Again(wait),
        None if unverified => Ended::Again(Duration::ZERO),
        None => Ended::Done,
    })
}

/// Whether a write now would mend what somebody else did to the Secret. Somebody may do it again
/// and again.
fn repairs(facts: &Facts<'_>) -> bool {
    let was_there = facts.status.secret_name.as_deref() == Some(&facts.object.target_name());
    // Whoever takes our annotations away may do so for ever.
    let touched = facts.verified.is_some()
        && facts
            .secret
            .is_some_and(|secret| facts.verified != Some(&secret.resource_version))
        && !facts.moved
        && !facts.behind;
    facts.drifted || touched || (facts.secret.is_none() && was_there)
}

/// Writes what the values come to.
async fn apply(
    context: &Context,
    facts: &Facts<'_>,
    settlement: Settlement,
    values: Vec<Arc<Held>>,
    memory: &mut Memory,
) -> Result<Round, Failed> {
    let object = facts.object;
    let key = ObjectKey::new(&object.namespace().unwrap_or_default(), &object.name_any());
    let digests: Vec<_> = values.iter().map(|held| Some(held.digest)).collect();
    let seen: Vec<Seen> = values.iter().map(|held| held.seen()).collect();
    // The data is rendered: nothing needs the values themselves any more.
    drop(values);
    let (data, inputs) = match settlement {
        Settlement::Failed(problem) => {
            return Ok(Round {
                asked: true,
                ..Round::standing(Standing::Failed(problem))
            });
        }
        Settlement::Same => {
            context.hub.applied(&key, &digests);
            let round = Round::standing(Standing::Settled);
            return Ok(Round {
                values: Some(seen),
                asked: true,
                ..round
            });
        }
        Settlement::Write { data, inputs } => (data, inputs),
    };
    let target = ObjectKey::new(&key.namespace, &object.target_name());
    let now = context.clock.now();
    let wanted = Wanted {
        object,
        data: &data,
        inputs: &inputs,
        key: &context.key,
        now,
    };
    let writing = context.managed.begin(&target);
    let fate = wanted.write(&context.client, facts.secret).await;
    context
        .metrics
        .secret_written(fate.as_ref().map_or("failed", Fate::as_str));
    let (made, written) = match fate {
        Err(error) => {
            context.managed.end(&target, &writing, None);
            return Err(error.into());
        }
        Ok(Fate::Refused(problem)) => {
            context.managed.end(&target, &writing, None);
            // A conflict ends with an event of the Secret that is in the way; what made the API
            // server refuse, such as a quota, ends without one.
            let conflict = problem.reason == Reason::TargetConflict;
            memory.blocked = conflict && context.managed.get(&target).is_none();
            let again = if conflict {
                None
            } else {
                let lasting = memory.refused();
                Some(lasting.ok_or(apply::WriteError::Passing(problem.message.clone()))?)
            };
            return Ok(Round {
                asked: true,
                again,
                ..Round::standing(Standing::Failed(problem))
            });
        }
        Ok(Fate::Created(made) | Fate::Updated(made)) => (made, true),
        Ok(Fate::Annotated(made)) => (made, false),
    };
    if repairs(facts) {
        memory.repaired(Instant::now());
    }
    memory.drifted = false;
    memory.blocked = false;
    memory.accepted();
    memory.verified = Some(made.resource_version.clone());
    context.managed.end(&target, &writing, Some(made));
    context.hub.applied(&key, &digests);
    tracing::info!(object = %key, secret = %target.name, changed = written, "secret written");
    Ok(Round {
        standing: Standing::Settled,
        made: true,
        values: Some(seen),
        written,
        wrote: true,
        asked: true,
        again: None,
    })
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
            .is_some_and(|(controller, _)| *controller == uid)
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
