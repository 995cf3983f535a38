//! A cloud that answers nobody for a minute, while values change behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloudsim::Fault;
use tokio::time::Instant;

use super::{SAMPLE, Stage};
use crate::failure::Result;
use crate::observer::Seen;
use crate::population::{Population, Store, second_value};
use crate::report::Outage;
use crate::stats::rounded;
use crate::tell;

/// How long.
const OUTAGE: Duration = Duration::from_secs(60);
/// How long recovery is waited for. What takes longer has not recovered.
const PATIENCE: Duration = Duration::from_secs(90);

/// Takes the cloud away and gives it back.
///
/// # Errors
/// If the operator ends.
pub async fn outage(stage: &mut Stage<'_>) -> Result<Outage> {
    let Stage {
        world,
        population,
        operator,
    } = stage;
    let old = world.observer.look(contents)?;
    let seen_before = world.observer.look(|seen| seen.history.len())?;
    let before = world.writes().await?;
    let admin = &world.cloud.admin;
    admin.reset_ledger().await?;
    let down = Instant::now();
    let fault = admin
        .add_fault(&Fault::error(503, "ServiceUnavailable"))
        .await?;
    let mut changed = BTreeMap::new();
    for member in population.sample(SAMPLE) {
        // The second entry: the first may have changed already.
        if let Some((_, reference)) = member.entries.get(1) {
            let value = second_value(reference);
            admin.rotate_secret(reference, &value).await?;
            changed.insert(reference.clone(), value);
        }
    }
    tokio::time::sleep_until(down + OUTAGE).await;
    let (calls, _) = world.cloud.calls(Store::Kms).await?;
    let writes = world.writes().await?.since(&before);
    tell::progress(&format!("outage: {calls} calls; {writes}"));

    let new = after(population, &old, &changed);
    admin.clear_fault(fault).await?;
    let up = Instant::now();
    let recovered = world.observer.until("recovery", PATIENCE, |seen| {
        let good = |key: &&String| {
            let object = seen.objects.get(*key);
            let secret = seen.secrets.get(*key);
            object.is_some_and(|object| object.fresh)
                && secret.is_some_and(|secret| Some(&secret.data) == new.get(*key))
        };
        match new.keys().filter(good).count() {
            all if all == new.len() => Ok(up.elapsed()),
            some => Err(format!("{some} of {}", new.len())),
        }
    });
    let recovery = match recovered.await {
        Ok(time) => Some(time),
        Err(failure) => {
            tell::progress(&failure.0);
            None
        }
    };
    operator.check()?;
    let wrong = world
        .observer
        .look(|seen| wrong(seen, seen_before, &old, &new))?;
    tell::progress(&format!(
        "outage: {wrong} wrong Secrets, recovered after {recovery:.2?}"
    ));
    Ok(Outage {
        seconds: OUTAGE.as_secs(),
        cloud_calls: Some(calls),
        api_writes: Some(writes.total()),
        wrong_secrets: Some(wrong),
        recovery_s: recovery.map(|time| rounded(time.as_secs_f64(), 3)),
    })
}

type Contents = BTreeMap<String, BTreeMap<String, String>>;

fn contents(seen: &mut Seen) -> Contents {
    let secrets = seen.secrets.iter();
    secrets
        .map(|(key, secret)| (key.clone(), secret.data.clone()))
        .collect()
}

/// What the Secrets are to hold afterwards.
fn after(population: &Population, old: &Contents, changed: &BTreeMap<String, String>) -> Contents {
    let member = |member: &crate::population::Member| {
        let key = member.key();
        let mut data = old.get(&key).cloned().unwrap_or_default();
        for (name, reference) in &member.entries {
            if let Some(value) = changed.get(reference) {
                data.insert((*name).to_owned(), value.clone());
            }
        }
        (key, data)
    };
    population.members.iter().map(member).collect()
}

/// How many Secrets ever held anything else than the old or the new, or are not what they were or should be now.
fn wrong(seen: &Seen, from: usize, old: &Contents, new: &Contents) -> u64 {
    let good = |key: &String, data: &BTreeMap<String, String>| {
        [old, new]
            .iter()
            .any(|contents| contents.get(key) == Some(data))
    };
    let history = seen.history[from..].iter();
    let mut wrong: BTreeSet<&String> = history
        .filter(|(key, data)| new.contains_key(key) && !good(key, data))
        .map(|(key, _)| key)
        .collect();
    let now = |key: &&String| {
        seen.secrets
            .get(*key)
            .is_none_or(|secret| !good(key, &secret.data))
    };
    wrong.extend(new.keys().filter(now));
    wrong.len() as u64
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::observer::SecretSeen;

    fn holding(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("password".to_owned(), value.to_owned())])
    }

    fn all_hold(value: &str) -> Contents {
        ["tenant-0/a", "tenant-0/b"]
            .map(|key| (key.to_owned(), holding(value)))
            .into()
    }

    /// Two Secrets that hold the new value, after what `history` says of the first.
    fn seen(history: &[BTreeMap<String, String>]) -> Seen {
        let mut seen = Seen::default();
        for key in ["tenant-0/a", "tenant-0/b"] {
            let secret = SecretSeen {
                first: Timestamp::UNIX_EPOCH,
                last: Timestamp::UNIX_EPOCH,
                data: holding("new"),
            };
            seen.secrets.insert(key.to_owned(), secret);
        }
        let first = history.iter().cloned();
        seen.history = first.map(|data| ("tenant-0/a".to_owned(), data)).collect();
        seen
    }

    #[test]
    fn a_secret_that_went_from_old_to_new_was_never_wrong() {
        let seen = seen(&[holding("old"), holding("new")]);
        assert_eq!(wrong(&seen, 0, &all_hold("old"), &all_hold("new")), 0);
    }

    #[test]
    fn a_secret_that_was_empty_for_a_moment_counts_once_although_it_is_right_now() {
        let nothing = BTreeMap::new();
        let seen = seen(&[nothing.clone(), holding("canary"), nothing, holding("new")]);
        assert_eq!(wrong(&seen, 0, &all_hold("old"), &all_hold("new")), 1);
        assert_eq!(wrong(&seen, 3, &all_hold("old"), &all_hold("new")), 0);
    }

    #[test]
    fn a_secret_that_is_gone_is_wrong() {
        let mut seen = seen(&[]);
        seen.secrets.remove("tenant-0/b");
        assert_eq!(wrong(&seen, 0, &all_hold("old"), &all_hold("new")), 1);
    }
}
