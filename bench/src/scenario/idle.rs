//! An operator with stores and without objects.

use std::time::Duration;

use crate::failure::Result;
use crate::operator::Operator;
use crate::report::Idle;
use crate::stats::{percentile, rounded};
use crate::tell;

/// What an operator does at its start is over after this.
const WARM_UP: Duration = Duration::from_secs(5);
const READY: Duration = Duration::from_secs(30);

/// Watches an operator for `time`.
///
/// # Errors
/// If it ends.
pub async fn idle(operator: &mut Operator, time: Duration) -> Result<Idle> {
    operator.ready(READY).await?;
    tokio::time::sleep(WARM_UP).await;
    let before = operator.cpu()?;
    let samples = operator.memory(time).await?;
    let cpu = operator.cpu()?.saturating_sub(before).as_secs_f64();
    let per_minute = cpu * 60.0 / time.as_secs_f64();
    let rss = percentile(&samples, 50);
    tell::progress(&format!(
        "idle: {:.1} MiB, {per_minute:.3} CPU seconds per minute",
        rss.unwrap_or_default()
    ));
    Ok(Idle {
        rss_mib: rss.map(|mib| rounded(mib, 1)),
        cpu_seconds_per_minute: Some(rounded(per_minute, 3)),
    })
}
