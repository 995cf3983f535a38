//! A value that changes in the cloud: from the poll that returns it to the Secret.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{INTERVAL, SAMPLE, Stage};
use crate::failure::{Failure, Result};
use crate::population::{Member, Store, second_value};
use crate::report::Latency;
use crate::stats::{percentile, rounded};
use crate::tell;

/// One change: from when on a poll may have returned it, and from when on it must have.
struct Change<'m> {
    member: &'m Member,
    reference: &'m str,
    sent: Timestamp,
    done: Timestamp,
}

// === impl Change ===

impl Change<'_> {
    /// The poll that returned the new value: the first that must have, else the first that may have, before the write.
    fn seen_by(
        &self,
        polls: impl Iterator<Item = Timestamp>,
        written: Timestamp,
    ) -> Option<Timestamp> {
        let polls: Vec<Timestamp> = polls
            .filter(|at| (self.sent..=written).contains(at))
            .collect();
        let sure = polls.iter().find(|at| **at >= self.done);
        sure.or(polls.first()).copied()
    }
}

/// Changes one value of each of some objects, and waits for the polls that see them.
///
/// # Errors
/// If a change does not arrive.
pub async fn rotate(stage: &mut Stage<'_>) -> Result<Latency> {
    let Stage {
        world,
        population,
        operator,
    } = stage;
    world.cloud.admin.reset_ledger().await?;
    let mut changes = Vec::new();
    for member in population.sample(SAMPLE) {
        let Some((_, reference)) = member.entries.first() else {
            continue;
        };
        let sent = Timestamp::now();
        let admin = &world.cloud.admin;
        admin
            .rotate_secret(reference, &second_value(reference))
            .await?;
        let done = Timestamp::now();
        changes.push(Change {
            member,
            reference,
            sent,
            done,
        });
    }
    let changed: BTreeMap<String, String> = changes
        .iter()
        .map(|change| (change.reference.to_owned(), second_value(change.reference)))
        .collect();
    let arrived = world.observer.until("all changes", INTERVAL * 3, |seen| {
        let time = |change: &Change<'_>| {
            let secret = seen.secrets.get(&change.member.key())?;
            (secret.data == change.member.data(&changed)).then_some(secret.last)
        };
        let times: Vec<Timestamp> = changes.iter().filter_map(time).collect();
        match times.len() {
            all if all == changes.len() => Ok(times),
            some => Err(format!("{some} of {}", changes.len())),
        }
    });
    let arrived = arrived.await?;
    operator.check()?;
    let ledger = world.cloud.ledger(Store::Kms).await?;
    let mut millis = Vec::with_capacity(changes.len());
    for (change, written) in changes.iter().zip(arrived) {
        let polls = ledger.asking(change.reference).map(|call| call.at);
        let poll = change.seen_by(polls, written);
        let poll =
            poll.ok_or_else(|| Failure(format!("no poll of {} was seen", change.reference)))?;
        millis.push(written.duration_since(poll).as_secs_f64() * 1_000.0);
    }
    Ok(latency("rotate", &millis))
}

/// What so many single times come to.
pub fn latency(what: &str, millis: &[f64]) -> Latency {
    let at = |percent| percentile(millis, percent).map(|millis| rounded(millis, 1));
    let latency = Latency {
        objects: millis.len() as u64,
        p50_ms: at(50),
        p99_ms: at(99),
    };
    tell::progress(&format!(
        "{what}: {} objects, p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
        latency.objects,
        latency.p50_ms.unwrap_or_default(),
        latency.p99_ms.unwrap_or_default(),
        at(100).unwrap_or_default(),
    ));
    latency
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Population;

    #[test]
    fn the_poll_is_the_first_that_can_have_seen_the_change_and_not_a_later_one() {
        let population = Population::distinct("x", Store::Kms, 1, "10s");
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let change = Change {
            member: &population.members[0],
            reference: "canary",
            sent: at(100),
            done: at(110),
        };
        let seen_by = |polls: &[i64]| change.seen_by(polls.iter().map(|ms| at(*ms)), at(10_000));
        assert_eq!(seen_by(&[50, 105, 5_000, 9_000]), Some(at(5_000)));
        assert_eq!(
            seen_by(&[50, 105]),
            Some(at(105)),
            "it was answered in between"
        );
        assert_eq!(
            seen_by(&[50, 11_000]),
            None,
            "before the change, after the write"
        );
    }
}
