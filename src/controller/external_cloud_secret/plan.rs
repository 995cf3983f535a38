//! What to do about one object. Pure: facts in, a decision out; tested by tables.

use std::sync::Arc;

use super::inputs::{AppliedDigest, Data, Inputs, data_digest, inputs_digest, place_of};
use super::ownership::{Ownership, SecretFacts};
use super::place::EntryPlace;
use super::problem::Problem;
use super::render::render;
use crate::api::condition::{FRESH, READY, find_condition, is_true};
use crate::api::{
    DataEntry, ExternalCloudSecret, ExternalCloudSecretSpec, ExternalCloudSecretStatus, Reason,
};
use crate::digest::{Digest, DigestKey};
use crate::provider::{CallError, Class};
use crate::refresh::{Held, Join, Seen, View};

/// Everything that was gathered about one object.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The object as it is in the cache, with the latest status known.
    pub object: &'a ExternalCloudSecret,
    /// Its status, which may be newer than the object's own.
    pub status: &'a ExternalCloudSecretStatus,
    /// The first thing in the way of asking the cloud: spec, stores, identities.
    pub problem: Option<Problem>,
    /// What the hub knows, in the order of `spec.data`.
    pub views: &'a [View],
    /// A value was read that is not in the Secret.
    pub behind: bool,
    /// Where each entry is read, in the order of `spec.data`.
    pub places: &'a [EntryPlace],
    /// The other regions are being asked for what the first did not answer.
    pub asking_elsewhere: bool,
    /// Somebody asked for a refresh, and its turn has come.
    pub forced: Option<u64>,
    /// The Secret of the target's name, as far as it is watched.
    pub secret: Option<&'a SecretFacts>,
    /// The object's references are others than the last time this process looked.
    pub moved: bool,
    /// The Secret's data was seen to differ from what was written.
    pub drifted: bool,
    /// The version of the Secret that is known to hold what was written.
    pub verified: Option<&'a str>,
    /// The key of all digests.
    pub key: &'a DigestKey,
}

/// What is to be done before anything can be settled.
#[derive(Debug)]
pub enum Due {
    /// Nothing: this is how things stand.
    Report(Standing),
    /// Look at the Secret itself, in its turn: it may have drifted.
    Look,
    /// Get the values.
    Fetch(Join),
}

/// How an object stands, for its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The Secret satisfies this generation and the last due refresh worked.
    Settled,
    /// It does not, or the refresh did not.
    Failed(Problem),
}

/// What the values come to.
#[derive(Debug)]
pub enum Settlement {
    /// The Secret already holds them.
    Same,
    /// The Secret is to hold this data.
    Write {
        /// All keys, rendered.
        data: Data,
        /// What the Secret is going to say about them.
        inputs: Inputs,
    },
    /// They cannot be had or used.
    Failed(Problem),
}

// === impl Facts ===

impl Facts<'_> {
    /// Decides what is due.
    pub fn due(&self) -> Due {
        if let Some(problem) = self.standing_problem() {
            return Due::Report(Standing::Failed(problem));
        }
        let forced = self.forced;
        let changed = self.status.observed_generation != self.object.metadata.generation;
        let fresh = is_true(&self.status.conditions, FRESH);
        let known = self.views.iter().all(|view| matches!(view, View::Fresh(_)));
        // What failed is tried again when somebody did something about it, or when this process
        // knows nothing of it yet; otherwise its own ladder says when.
        let unknown = self.views.iter().any(|view| matches!(view, View::Unknown));
        let retry = forced.is_some() || self.moved || changed || (!fresh && unknown);
        // While other regions are asked, the first has had its try.
        let retry = retry && !self.asking_elsewhere;
        if !retry
            && let Some(problem) = self.failed_view()
            && !self.may_ask_elsewhere()
        {
            return Due::Report(Standing::Failed(problem));
        }
        let wanted = !self.satisfied() || self.drifted || self.behind || forced.is_some();
        let again = self.moved || (!fresh && !known);
        if wanted || again {
            return Due::Fetch(Join {
                anew: forced,
                retry,
            });
        }
        match self.secret {
            // What is told now does not wait for a turn to look.
            Some(secret) if fresh && self.verified != Some(&secret.resource_version) => Due::Look,
            _ => Due::Report(Standing::Settled),
        }
    }

    /// Decides what the answers of the hub come to.
    pub fn settle(&self, answers: &[Result<Arc<Held>, Arc<CallError>>]) -> Settlement {
        if answers.len() != self.object.spec.data.len() {
            // The object went from the hub while it was worked on. Fewer keys are never written.
            let message = "the values are not complete; they are read again";
            return Settlement::Failed(Problem::new(Reason::Pending, message));
        }
        let errors = answers.iter().map(|answer| answer.as_ref().err());
        if let Some(problem) = self.unread(errors) {
            return Settlement::Failed(problem);
        }
        let held: Vec<Arc<Held>> = answers.iter().flatten().cloned().collect();
        let values: Vec<Digest> = held.iter().map(|held| held.digest).collect();
        let made_of = self.inputs(&values);
        let same = |secret: &SecretFacts| {
            secret
                .inputs
                .as_ref()
                .is_some_and(|inputs| inputs.made_of(self.key, made_of))
        };
        if !self.drifted && self.secret.is_some_and(same) {
            return Settlement::Same;
        }
        match render(&self.object.spec, &held) {
            Ok(data) => {
                let written = data.iter().map(|(name, value)| (name, value.expose()));
                let inputs = Inputs::new(self.key, made_of, data_digest(self.key, written));
                Settlement::Write { data, inputs }
            }
            Err(problem) => Settlement::Failed(problem),
        }
    }

    /// Whether a Secret of ours holds what this generation asks for, made of the values that status
    /// says were applied.
    pub fn satisfied(&self) -> bool {
        let Some(secret) = self
            .secret
            .filter(|secret| self.ownership(secret) == Ownership::Ours)
        else {
            return false;
        };
        let ready = find_condition(&self.status.conditions, READY);
        let said = ready.is_some_and(|ready| {
            ready.status == "True" && ready.observed_generation == self.object.metadata.generation
        });
        let Some(inputs) = &secret.inputs else {
            return false;
        };
        // Under another digest key, or with more entries than status holds, the condition's word
        // has to do until the values are read at their slots.
        if let Some(seen) = self.seen()
            && self.is_made_of(inputs, &seen)
        {
            return true;
        }
        let entries = &self.status.entries;
        if !inputs.is_under(self.key) || entries.len() != self.object.spec.data.len() {
            return said;
        }
        let applied: Option<Vec<Digest>> = self.applied().into_iter().collect();
        applied.map_or(said, |applied| {
            inputs.made_of(self.key, self.inputs(&applied))
        })
    }

    /// What the hub has read of every entry, if the Secret was made of exactly that.
    pub fn held_by_secret(&self) -> Option<Vec<Seen>> {
        let inputs = self.secret?.inputs.as_ref()?;
        self.seen().filter(|seen| self.is_made_of(inputs, seen))
    }

    fn seen(&self) -> Option<Vec<Seen>> {
        let seen = |view: &View| match view {
            View::Fresh(seen) => Some(seen.clone()),
            View::Unknown | View::Failed(_) => None,
        };
        let all: Option<Vec<Seen>> = self.views.iter().map(seen).collect();
        all.filter(|all| all.len() == self.object.spec.data.len())
    }

    fn is_made_of(&self, inputs: &Inputs, seen: &[Seen]) -> bool {
        let digests: Vec<Digest> = seen.iter().map(|seen| seen.digest).collect();
        inputs.made_of(self.key, self.inputs(&digests))
    }

    /// The digests that status says were applied, in the order of `spec.data`.
    pub fn applied(&self) -> Vec<Option<Digest>> {
        applied(self.key, self.status, &self.object.spec)
    }

    fn standing_problem(&self) -> Option<Problem> {
        if self.object.spec.suspend == Some(true) {
            return Some(Problem::new(Reason::Suspended, "spec.suspend is true"));
        }
        if self.problem.is_some() {
            return self.problem.clone();
        }
        let secret = self.secret?;
        match self.ownership(secret) {
            Ownership::Ours => None,
            Ownership::Foreign(why) => Some(conflict(&self.object.target_name(), &why)),
        }
    }

    fn failed_view(&self) -> Option<Problem> {
        self.unread(self.views.iter().map(|view| match view {
            View::Failed(error) => Some(error),
            View::Unknown | View::Fresh(_) => None,
        }))
    }

    /// The first failed read, of those in the order of `spec.data`.
    fn unread<'e>(
        &self,
        errors: impl Iterator<Item = Option<&'e Arc<CallError>>>,
    ) -> Option<Problem> {
        let entries = self.object.spec.data.iter().zip(errors);
        let read = |(i, (entry, error)): (usize, (&DataEntry, Option<&Arc<CallError>>))| {
            let problem = Problem::read(&entry.secret_key, &entry.remote_ref, error?);
            Some(match self.stand_in(i) {
                Some(region) => problem.with_stand_in(region),
                None => problem,
            })
        };
        let mut problems = entries.enumerate().filter_map(read);
        let first = problems.next()?;
        // What is told already is told on as long as it lasts: in an outage entries fail one by one.
        let told = find_condition(&self.status.conditions, FRESH);
        let told = |problem: &Problem| told.is_some_and(|told| problem.is_told_by(told));
        if told(&first) {
            return Some(first);
        }
        Some(problems.find(told).unwrap_or(first))
    }

    /// The other region whose answer the Secret holds for an entry.
    fn stand_in(&self, entry: usize) -> Option<&str> {
        let region = self.status.entries.get(entry)?.region.as_deref()?;
        let own = self.places.get(entry)?.region.as_deref()?;
        (region != own && self.satisfied()).then_some(region)
    }

    /// Whether the Secret is missing for no other reason than that first regions do not answer, and
    /// there are others.
    fn may_ask_elsewhere(&self) -> bool {
        let may = |(view, place): (&View, &EntryPlace)| match view {
            View::Failed(error) => error.class == Class::Unavailable && place.has_others,
            View::Unknown | View::Fresh(_) => true,
        };
        self.secret.is_none() && self.views.iter().zip(self.places).all(may)
    }

    fn ownership(&self, secret: &SecretFacts) -> Ownership {
        let meta = &self.object.metadata;
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        secret.ownership(&text(&meta.uid), &text(&meta.namespace), &text(&meta.name))
    }

    fn inputs(&self, values: &[Digest]) -> Digest {
        inputs_digest(
            self.key,
            &self.object.target_name(),
            &self.object.spec,
            values,
        )
    }
}

/// The digests that `status` says were applied, in the order of `spec.data`: those whose entry is
/// of the same key of the same store.
pub fn applied(
    key: &DigestKey,
    status: &ExternalCloudSecretStatus,
    spec: &ExternalCloudSecretSpec,
) -> Vec<Option<Digest>> {
    let read = |(i, entry): (usize, &DataEntry)| {
        let told = status.entries.get(i)?;
        let store = spec.store_of(entry).map(place_of)?;
        let same = told.key == entry.remote_ref.key && told.store == store;
        same.then(|| AppliedDigest::read(key, &told.digest))
            .flatten()
    };
    spec.data.iter().enumerate().map(read).collect()
}

/// A Secret that is not ours to write.
pub fn conflict(target: &str, why: &str) -> Problem {
    let message = format!(
        "Secret {target} exists and {why}; delete it, or choose another name in spec.target.name"
    );
    Problem::new(Reason::TargetConflict, message)
}

#[cfg(test)]
mod tests;
