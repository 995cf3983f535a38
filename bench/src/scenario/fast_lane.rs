//! A new object while at least N periodic rows are due: it must not wait for them.
//!
//! Rows are spread over the interval, so that in a healthy cloud hardly one is ever due. So the cloud stalls for some
//! seconds: every answer comes late, and rows fall due behind it. When the answers come and the stall is over, objects
//! are applied into the backlog.

use std::time::Duration;

use cloudsim::{Effect, Fault};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use super::rotate::latency;
use super::{INTERVAL, KMS_BATCH, NEVER, SAMPLE, Stage};
use crate::failure::{Failure, Result};
use crate::population::{Member, Population, Store};
use crate::report::Latency;
use crate::tell;
use crate::wait::until;

/// Objects are applied in so many groups, each into a backlog of its own.
const ROUNDS: usize = 4;
/// How late answers come: with 4 N rows at an interval of 10 s, 1.6 N fall due.
const STALL: Duration = Duration::from_secs(4);
/// The fault is taken away so long before the first late answer comes, so that the calls after it are answered at once.
const MARGIN: Duration = Duration::from_millis(50);
/// When objects are applied, after the first late answer.
const APPLIED: Duration = Duration::from_millis(30);

/// The objects that are going to be applied: the cloud has to hold their values from the start.
pub fn newcomers() -> Population {
    Population::distinct("new", Store::Kms, SAMPLE, NEVER)
}

/// Applies new objects into backlogs, and waits for their Secrets.
///
/// # Errors
/// If a Secret does not come.
pub async fn fast_lane(stage: &mut Stage<'_>, newcomers: &Population) -> Result<Latency> {
    let mut millis = Vec::with_capacity(newcomers.members.len());
    for members in newcomers.members.chunks(SAMPLE / ROUNDS) {
        let due = backlog(stage).await?;
        let world = stage.world;
        let apply = async |member: &Member| {
            let sent = Timestamp::now();
            world.apply(newcomers, member).await?;
            Ok::<_, Failure>(sent)
        };
        let sent: Vec<Timestamp> = stream::iter(members)
            .map(apply)
            .buffered(members.len())
            .try_collect()
            .await?;
        let written = world
            .observer
            .until("the new Secrets", INTERVAL * 3, |seen| {
                let time = |member: &Member| Some(seen.secrets.get(&member.key())?.first);
                let times: Option<Vec<Timestamp>> = members.iter().map(time).collect();
                times.ok_or_else(|| "not all are there".to_owned())
            });
        let took = sent.iter().zip(written.await?);
        millis.extend(took.map(|(sent, at)| at.duration_since(*sent).as_secs_f64() * 1_000.0));
        stage.operator.check()?;
        tell::progress(&format!(
            "fast lane: {} objects applied while {due} rows were due",
            members.len()
        ));
        drained(stage).await?;
    }
    stage.world.delete(newcomers).await?;
    Ok(latency("fast lane", &millis))
}

/// Stalls the cloud and says, a moment after the stall, how many rows have fallen due and were not read yet.
async fn backlog(stage: &Stage<'_>) -> Result<u64> {
    let admin = &stage.world.cloud.admin;
    let start = Instant::now();
    admin.reset_ledger().await?;
    let millis = u64::try_from(STALL.as_millis()).unwrap_or(u64::MAX);
    let stall = Fault::new(Effect::Delay { millis }).service("kms");
    let fault = admin.add_fault(&stall).await?;
    tokio::time::sleep(STALL.saturating_sub(MARGIN)).await;
    admin.clear_fault(fault).await?;
    tokio::time::sleep_until(start + STALL + APPLIED).await;
    let (_, read) = stage.world.cloud.calls(Store::Kms).await?;
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok((per_second(stage) * millis / 1_000).saturating_sub(read))
}

/// Waits until no more is read than falls due.
async fn drained(stage: &Stage<'_>) -> Result<()> {
    let limit = INTERVAL * 3;
    until("the end of the backlog", limit, async || {
        let read = async || {
            let read = stage.world.cloud.calls(Store::Kms).await;
            read.map(|(_, values)| values)
                .map_err(|Failure(reason)| reason)
        };
        let before = read().await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let more = read().await?.saturating_sub(before);
        let share = per_second(stage) / 2;
        if more <= share + share / 4 + KMS_BATCH {
            return Ok(());
        }
        Err(format!("{more} values were read in half a second"))
    })
    .await
}

/// How many rows fall due in a second.
fn per_second(stage: &Stage<'_>) -> u64 {
    stage.population.values().len() as u64 / INTERVAL.as_secs()
}
