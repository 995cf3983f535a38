//! What users are told about an object: its status, and events about conditions that changed.

use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::memory::Memory;
use super::place::EntryPlace;
use super::plan::{Facts, Standing};
use super::reconcile::{Failed, request};
use super::status::{self, Report};
use super::write::Round;
use crate::api::condition::{FRESH, READY, find_condition};
use crate::api::{ExternalCloudSecret, ExternalCloudSecretStatus};
use crate::controller::context::Context;
use crate::refresh::ObjectKey;

/// Writes the status, if it changed.
pub(super) async fn report(
    context: &Context,
    facts: &Facts<'_>,
    places: &[EntryPlace],
    round: Round,
    memory: &Memory,
) -> Result<(), Failed> {
    let object = facts.object;
    let settled = round.standing == Standing::Settled;
    // What a status that could not be written did not tell is told from what was read since.
    let values = round
        .values
        .or_else(|| facts.held_by_secret().filter(|_| settled));
    let report = Report {
        satisfied: round.made || facts.satisfied(),
        standing: round.standing,
        values: values.as_deref(),
        places,
        written: round.written,
        handled_refresh: memory.forced.as_ref().and_then(|forced| forced.done()),
    };
    let next = status::next(facts, &report, context.clock.now());
    if next == *facts.status {
        return Ok(());
    }
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<ExternalCloudSecret> = Api::namespaced(context.client.clone(), &namespace);
    let mut written = patch(&api, facts, &next, object.resource_version()).await;
    if is_conflict(&written) {
        // Where only something else about the object changed, the status is still what it was.
        let now = api.get_opt(&object.name_any()).await;
        let now = now.map_err(|error| request("looking at the object", &error))?;
        let same = |now: &ExternalCloudSecret| {
            now.metadata.uid == object.metadata.uid
                && now.status.clone().unwrap_or_default() == *facts.status
        };
        if let Some(now) = now.filter(same) {
            written = patch(&api, facts, &next, now.resource_version()).await;
        }
    }
    context.metrics.status_written(
        "ExternalCloudSecret",
        if written.is_ok() { "written" } else { "failed" },
    );
    let written = match written {
        Ok(written) => written,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(request("writing the status", &error)),
    };
    announce(context, object, facts.status, &next);
    context.objects.wrote(written);
    Ok(())
}

/// Writes the status of exactly the object of `version`: neither its successor of the same name gets
/// it, nor an object that another process has written since.
async fn patch(
    api: &Api<ExternalCloudSecret>,
    facts: &Facts<'_>,
    next: &ExternalCloudSecretStatus,
    version: Option<String>,
) -> kube::Result<ExternalCloudSecret> {
    let (name, uid) = (facts.object.name_any(), facts.object.uid());
    let mut patch = json!({ "metadata": { "uid": uid, "resourceVersion": version } });
    patch["status"] = merge_patch(facts.status, next);
    let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
    api.patch_status(&name, &params, &patch).await
}

fn is_conflict<T>(written: &kube::Result<T>) -> bool {
    matches!(written, Err(kube::Error::Api(status)) if status.code == 409)
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
