//! Other regions of a store, asked only for a Secret that is missing while the first does not answer.
//!
//! Regions are no replicas and their versions cannot be compared: what another region answered makes
//! a Secret and never replaces one, and whatever the first region answers later rules.

use std::sync::Arc;

use super::place::{Elsewhere, EntryPlace};
use super::plan::{Facts, Standing};
use super::problem::Problem;
use super::write::Round;
use crate::provider::{CallError, Class};
use crate::refresh::{Held, Hub, Join, Joined, MOST_REGIONS, Need, ObjectKey};

/// One entry's answer.
type Answer = Result<Arc<Held>, Arc<CallError>>;

/// What all regions together answered.
#[derive(Debug)]
pub(super) struct Asked {
    /// The first region's answers, or another's in their place, in the order of `spec.data`.
    pub answers: Vec<Answer>,
    /// The first entry that no region answered.
    blamed: Option<usize>,
    /// Which entries another region answered: the entry, the region, and why the first did not.
    stood_in: Vec<(usize, String, Arc<CallError>)>,
    /// What other regions answered to no avail: the entry, the region, and its answer's code.
    failed: Vec<(usize, String, String)>,
}

/// Asks the other regions for what the first did not answer. `None` while calls are under way; the
/// object is woken when they are back.
pub(super) fn ask(
    hub: &Hub,
    key: &ObjectKey,
    request: Join,
    elsewhere: &[Vec<Elsewhere>],
    answers: Vec<Answer>,
) -> Option<Asked> {
    let unanswered = |answer: &Answer| matches!(answer, Err(e) if e.class == Class::Unavailable);
    let mut open: Vec<usize> = (0..answers.len().min(elsewhere.len()))
        .filter(|i| unanswered(&answers[*i]))
        .collect();
    let mut asked = Asked {
        answers,
        blamed: None,
        stood_in: Vec::new(),
        failed: Vec::new(),
    };
    for rank in 1..MOST_REGIONS {
        let at = |i: &usize| elsewhere[*i].get(usize::from(rank) - 1);
        open.retain(|i| at(i).is_some());
        if open.is_empty() {
            hub.leave(key, rank);
            break;
        }
        let there = key.elsewhere(rank);
        let needs: Vec<Need> = open.iter().filter_map(at).map(|e| e.need.clone()).collect();
        hub.subscribe(&there, needs);
        // What is known there is seen now; only news wakes the object again.
        hub.look(&there);
        let Joined::Ready(said) = hub.join(&there, request) else {
            return None;
        };
        let mut still = Vec::new();
        for (i, answer) in open.iter().copied().zip(said) {
            let Some(region) = at(&i).map(|place| place.region.clone()) else {
                continue;
            };
            match answer {
                Ok(held) => {
                    if let Err(error) = std::mem::replace(&mut asked.answers[i], Ok(held)) {
                        asked.stood_in.push((i, region, error));
                    }
                }
                Err(error) => {
                    if error.class == Class::Unavailable {
                        still.push(i);
                    }
                    asked.failed.push((i, region, error.code().to_owned()));
                }
            }
        }
        open = still;
    }
    asked.blamed = asked.answers.iter().position(Result::is_err);
    Some(asked)
}

// === impl Asked ===

impl Asked {
    /// The values, which are let go with what is returned.
    pub fn take_values(&mut self) -> Vec<Arc<Held>> {
        std::mem::take(&mut self.answers)
            .into_iter()
            .flatten()
            .collect()
    }

    /// Whether another region's answer is among the values.
    pub fn has_stand_in(&self) -> bool {
        !self.stood_in.is_empty()
    }

    /// Says in the round what other regions had to do with it; gives the places that were really read,
    /// where they are others.
    pub fn tell(self, facts: &Facts<'_>, round: &mut Round) -> Option<Vec<EntryPlace>> {
        if let Standing::Failed(problem) = &mut round.standing {
            let about = |(i, ..): &&(usize, String, String)| Some(*i) == self.blamed;
            for (_, region, code) in self.failed.iter().filter(about) {
                *problem = problem.clone().with_silence(region, code);
            }
            return None;
        }
        let (i, region, error) = self.stood_in.iter().min_by_key(|(i, ..)| *i)?;
        let entry = facts.object.spec.data.get(*i)?;
        let problem = Problem::read(&entry.secret_key, &entry.remote_ref, error);
        round.standing = Standing::Failed(problem.with_stand_in(region));
        let mut places = facts.places.to_vec();
        for (i, region, _) in &self.stood_in {
            places[*i].region = Some(region.clone());
        }
        Some(places)
    }
}
