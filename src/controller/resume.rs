//! Watches that go on whatever happens: what fails is tried again, more and more slowly.
//!
//! A place that the API server has forgotten (410) is no failure of its own. It follows an outage, whose
//! waits must not be added to: the list is begun anew at once, though not again and again.

use std::fmt::Debug;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use kube::{Api, Resource};
use kube_runtime::WatchStreamExt;
use kube_runtime::utils::{Backoff, ResetTimerBackoff};
use kube_runtime::watcher::{self, Config, Error, Event, ExponentialBackoff, watcher};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// What a watch brings.
pub type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// The first wait after a failure. Each is lengthened by up to as much again, so that not all watches
/// come at once.
const FIRST_WAIT: Duration = Duration::from_millis(800);
/// The longest wait, less what it is lengthened by.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// After this long without a failure the waits begin anew.
const CALM: Duration = Duration::from_mins(2);
/// How long a lost place costs the usual wait after one that cost none.
const ONCE_IN: Duration = Duration::from_mins(1);

/// What can be watched.
pub trait Watched: Clone + Debug + DeserializeOwned + Send + 'static {}

impl<K: Clone + Debug + DeserializeOwned + Send + 'static> Watched for K {}

/// Watches what is behind `api`.
pub fn watch<K: Resource + Watched>(api: Api<K>, config: Config) -> Events<K> {
    resumed(watcher(api, config)).boxed()
}

/// What the wait after a failure is taken from, and what not.
enum Told<K> {
    Event(Event<K>),
    LostPlace(Error),
}

/// Waits that begin anew after a time without failures, and never because something was told.
struct Calm(ResetTimerBackoff<ExponentialBackoff>);

fn resumed<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    let mut last: Option<Instant> = None;
    let told = events.map(move |event| match event {
        Ok(event) => Ok(Told::Event(event)),
        Err(error) => {
            let now = Instant::now();
            let seldom = last.is_none_or(|last| now.duration_since(last) >= ONCE_IN);
            if !seldom || !is_lost_place(&error) {
                return Err(error);
            }
            last = Some(now);
            Ok(Told::LostPlace(error))
        }
    });
    told.backoff(waits()).map(|told| match told? {
        Told::Event(event) => Ok(event),
        Told::LostPlace(error) => Err(error),
    })
}

/// The waits between two tries: short enough that an outage is over soon after its end.
fn waits() -> Calm {
    let doubling = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    Calm(ResetTimerBackoff::new(doubling.into(), CALM))
}

// === impl Calm ===

impl Iterator for Calm {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for Calm {
    /// A watch tells that it begins to list before the server has answered anything.
    fn reset(&mut self) {}
}

fn is_lost_place(error: &Error) -> bool {
    let status = match error {
        Error::WatchError(status) | Error::WatchStartFailed(kube::Error::Api(status)) => {
            Some(status)
        }
        _ => None,
    };
    status.is_some_and(|status| status.code == 410)
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> watcher::Result<Event<()>> {
        let status = Status::failure("canary", "Canary").with_code(code);
        Err(Error::WatchError(Box::new(status)))
    }

    /// How long after the start each event comes, in tenths of a second.
    async fn times(events: Vec<watcher::Result<Event<()>>>) -> Vec<u128> {
        let start = Instant::now();
        let events = resumed(stream::iter(events));
        let times = events.map(|_| start.elapsed().as_millis() / 100);
        times.collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_place_costs_no_wait_once_in_a_while() {
        let waits = times(vec![refused(410), Ok(Event::Init)]).await;
        assert_eq!(waits, [0, 0]);
        let waits = times(vec![refused(410), refused(410), Ok(Event::Init)]).await;
        assert!(waits[1] == 0 && waits[2] >= 8, "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_waits_longer_and_longer_and_a_lost_place_adds_nothing() {
        let waits = times(vec![
            refused(500),
            refused(500),
            refused(410),
            Ok(Event::Init),
        ])
        .await;
        assert!(waits[1] >= 8 && waits[2] > waits[1] + 8, "{waits:?}");
        assert_eq!(waits[2], waits[3]);
        let refusals: fn() -> Vec<watcher::Result<Event<()>>> = || vec![refused(500)];
        // A list that is refused was told of before it was asked for.
        for events in [refusals, || vec![Ok(Event::Init), refused(500)]] {
            let waits = times((0..100).flat_map(|_| events()).collect()).await;
            let apart = waits.windows(2).map(|pair| pair[1] - pair[0]);
            let (longest, all) = (apart.max().unwrap(), waits[waits.len() - 1]);
            assert!((100..=200).contains(&longest), "{waits:?}");
            assert!((9_000..20_000).contains(&all), "{waits:?}");
        }
    }
}
