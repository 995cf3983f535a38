//! One object's reconcile, from what was gathered to the only writes.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use kube_runtime::controller::Action;
use serde_json::json;
use tokio::time::Instant;

use super::apply::{self, Fate, Wanted};
use super::gather::{Gathered, gather};
use super::memory::{Memory, WrittenStatus};
use super::plan::{Due, Facts, Settlement, Standing};
use super::status::{self, Report};
use crate::api::condition::{FRESH, READY, find_condition};
use crate::api::{ExternalCloudSecret, ExternalCloudSecretStatus, Reason};
use crate::controller::context::Context;
use crate::refresh::{Held, Joined, ObjectKey};

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
struct Round {
    standing: Standing,
    values: Option<Vec<Arc<Held>>>,
    /// The Secret's data was written.
    written: bool,
    /// The Secret was written, be it only what it says about itself.
    wrote: bool,
    asked: bool,
    /// The API server refused the Secret, which is tried again after this long.
    again: Option<Duration>,
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
    context.memories.with(&key, &uid, |known| {
        memory.failures = known.failures;
        *known = memory;
    });
    ended
}

/// The status in the cache, or the one that was written and the cache does not show yet.
fn latest_status(object: &ExternalCloudSecret, memory: &mut Memory) -> ExternalCloudSecretStatus {
    let version = object.resource_version().unwrap_or_default();
    match &memory.status {
        Some(written) if written.before == version => written.status.clone(),
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
        Due::Look => return look(context, object, memory).await,
        Due::Fetch(request) => {
            if memory.drifted
                && let Some(wait) = memory.repair_wait(Instant::now())
            {
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
    report(context, &facts, &places, round, memory).await?;
    // The write of this round is in what the context knows now: only then a rename is complete.
    finish_rename(context, object).await?;
    // The Secret was not looked at since it was written by another process or changed by a hand.
    let seen = secret.as_ref().map(|facts| facts.resource_version.as_str());
    let unverified = settled && seen.is_some() && memory.verified.as_deref() != seen && !wrote;
    Ok(match again {
        Some(wait) => Ended::Again(wait),
        None if unverified => Ended::Again(Duration::ZERO),
        None => Ended::Done,
    })
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
                values: Some(values),
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
            memory.blocked = problem.reason == Reason::TargetConflict;
            let again = if memory.blocked {
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
    if memory.drifted {
        memory.drifted = false;
        memory.repaired(Instant::now());
    }
    memory.blocked = false;
    memory.accepted();
    memory.verified = Some(made.resource_version.clone());
    context.managed.end(&target, &writing, Some(made));
    context.hub.applied(&key, &digests);
    tracing::info!(object = %key, secret = %target.name, changed = written, "secret written");
    Ok(Round {
        standing: Standing::Settled,
        values: Some(values),
        written,
        wrote: true,
        asked: true,
        again: None,
    })
}

/// Looks whether the Secret still holds what was written, in its turn.
async fn look(
    context: &Context,
    object: &ExternalCloudSecret,
    memory: &mut Memory,
) -> Result<Ended, Failed> {
    let now = Instant::now();
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
    match found.map_err(|error| request("looking at the Secret", &error))? {
        Some((facts, true)) => memory.verified = Some(facts.resource_version),
        Some((_, false)) => memory.drifted = true,
        None => {}
    }
    // Whatever was seen, the plan decides on it.
    Ok(if memory.drifted {
        Ended::Again(Duration::ZERO)
    } else {
        Ended::Done
    })
}

/// Writes the status, if it changed.
async fn report(
    context: &Context,
    facts: &Facts<'_>,
    places: &[(String, Option<String>)],
    round: Round,
    memory: &mut Memory,
) -> Result<(), Failed> {
    let object = facts.object;
    let settled = round.standing == Standing::Settled;
    let report = Report {
        satisfied: settled || facts.satisfied(),
        standing: round.standing,
        values: round.values.as_deref(),
        places,
        written: round.written,
        handled_refresh: round.asked,
    };
    let next = status::next(facts, &report, context.clock.now());
    if next == *facts.status {
        return Ok(());
    }
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<ExternalCloudSecret> = Api::namespaced(context.client.clone(), &namespace);
    // The UID keeps the status of an object that was deleted off its successor.
    let mut patch = json!({ "metadata": { "uid": object.uid() } });
    patch["status"] = merge_patch(facts.status, &next);
    let name = object.name_any();
    let written = api
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    context.metrics.status_written(
        "ExternalCloudSecret",
        if written.is_ok() { "written" } else { "failed" },
    );
    match written {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
        Err(error) => return Err(request("writing the status", &error)),
    }
    announce(context, object, facts.status, &next);
    let before = object.resource_version().unwrap_or_default();
    memory.status = Some(WrittenStatus {
        before,
        status: next,
    });
    Ok(())
}

/// A merge patch that makes `next` of `old`: what is absent now is removed.
fn merge_patch(
    old: &ExternalCloudSecretStatus,
    next: &ExternalCloudSecretStatus,
) -> serde_json::Value {
    let (old, mut next) = (json!(old), json!(next));
    if let (Some(old), Some(next)) = (old.as_object(), next.as_object_mut()) {
        for field in old.keys() {
            next.entry(field.clone()).or_insert(serde_json::Value::Null);
        }
    }
    next
}

/// Tells users and the log about conditions that changed.
fn announce(
    context: &Context,
    object: &ExternalCloudSecret,
    old: &ExternalCloudSecretStatus,
    next: &ExternalCloudSecretStatus,
) {
    let key = ObjectKey::new(&object.namespace().unwrap_or_default(), &object.name_any());
    for type_ in [READY, FRESH] {
        let Some(new) = find_condition(&next.conditions, type_) else {
            continue;
        };
        let before = find_condition(&old.conditions, type_);
        let same = before.is_some_and(|b| b.status == new.status && b.reason == new.reason);
        let good = new.status == "True";
        if same || (type_ == FRESH && good && before.is_none()) {
            continue;
        }
        tracing::info!(object = %key, condition = type_, status = new.status, reason = new.reason, "condition changed");
        let reference = object.object_ref(&());
        context
            .events
            .transition(reference, good, &new.reason, &new.message);
    }
}

/// Deletes what a rename left behind, once the new Secret is in place.
async fn finish_rename(context: &Context, object: &ExternalCloudSecret) -> Result<(), Failed> {
    let uid = object.uid().unwrap_or_default();
    let namespace = object.namespace().unwrap_or_default();
    let target = ObjectKey::new(&namespace, &object.target_name());
    if object.spec.suspend == Some(true) {
        return Ok(());
    }
    let controlled = |facts: &super::ownership::SecretFacts| {
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
        let deleted = apply::delete_surplus(&context.client, &namespace, &secret.name, &facts.uid);
        deleted
            .await
            .map_err(|error| request("deleting the renamed Secret", &error))?;
        context.metrics.secret_written("deleted");
        tracing::info!(%secret, "renamed secret deleted");
    }
    Ok(())
}

fn request(what: &'static str, error: &kube::Error) -> Failed {
    Failed::Request(what, crate::controller::reason(error))
}
