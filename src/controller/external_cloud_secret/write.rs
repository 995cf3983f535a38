//! A round's write: what the values come to, put into the Secret.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use super::apply::{self, Fate, Wanted};
use super::memory::Memory;
use super::plan::{Facts, Settlement, Standing};
use super::reconcile::Failed;
use crate::api::Reason;
use crate::controller::context::Context;
use crate::refresh::{Held, ObjectKey, Seen};

/// What one round did.
pub(super) struct Round {
    pub standing: Standing,
    pub values: Option<Vec<Seen>>,
    /// The Secret's data was written.
    pub written: bool,
    /// The Secret was written, be it only what it says about itself.
    pub wrote: bool,
    /// A Secret that satisfies this generation is there.
    pub made: bool,
    /// The API server refused the Secret, which is tried again after this long.
    pub again: Option<Duration>,
}

// === impl Round ===

impl Round {
    pub fn standing(standing: Standing) -> Self {
        Self {
            made: standing == Standing::Settled,
            standing,
            values: None,
            written: false,
            wrote: false,
            again: None,
        }
    }
}

/// Whether a write now would mend what somebody else did to the Secret. Somebody may do it again
/// and again.
pub(super) fn repairs(facts: &Facts<'_>) -> bool {
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

/// Writes what the values come to; with `only_missing`, into a Secret that is made for it and into no
/// other.
pub(super) async fn write(
    context: &Context,
    facts: &Facts<'_>,
    settlement: Settlement,
    values: Vec<Arc<Held>>,
    only_missing: bool,
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
            return Ok(Round::standing(Standing::Failed(problem)));
        }
        Settlement::Same => {
            context.hub.applied(&key, &digests);
            let round = Round::standing(Standing::Settled);
            return Ok(Round {
                values: Some(seen),
                ..round
            });
        }
        Settlement::Write { data, inputs } => (data, inputs),
    };
    let target = key.beside(&object.target_name());
    let now = context.clock.now();
    let wanted = Wanted {
        object,
        data: &data,
        inputs: &inputs,
        key: &context.key,
        now,
        only_missing,
    };
    let writing = context.managed.begin(&target, &key);
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
    if only_missing {
        // A Secret that is there has nothing to expect of the regions that stood in.
        context.hub.leave(&key, 1);
    }
    tracing::info!(object = %key, secret = %target.name, changed = written, "secret written");
    Ok(Round {
        standing: Standing::Settled,
        made: true,
        values: Some(seen),
        written,
        wrote: true,
        again: None,
    })
}
