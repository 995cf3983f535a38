//! Kubernetes events: a side channel with a small budget, which no reconcile waits for.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::turns::{KeyedTurns, Turns};
use crate::metrics::Metrics;

/// Events that wait to be published; more are dropped and counted.
const WAITING: usize = 256;
/// The pace at which events are published.
const PACE: Duration = Duration::from_millis(100);
/// The most bytes of an event's note.
const NOTE: usize = 1_024;
/// How long one publication may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Publishes events.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(ObjectReference, Event)>,
    budget: Arc<Budget>,
    metrics: Arc<Metrics>,
}

/// How many events there may be: ten thousand objects that converge are not ten thousand more writes.
#[derive(Debug)]
struct Budget {
    /// Of all: 200 at once, and two a second.
    all: Turns,
    /// Of each namespace: 20 at once, and one in ten seconds.
    namespaces: KeyedTurns,
    /// Of each kind of object and reason: 10 at once, and one a minute, which are kept whatever else
    /// there is.
    kinds: KeyedTurns,
}

// === impl Events ===

impl Events {
    /// A channel to the API server behind `client`, and the task that serves it.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, mut waiting) = mpsc::channel::<(ObjectReference, Event)>(WAITING);
        let reporter = Reporter {
            controller: "external-cloud-secrets".into(),
            instance: None,
        };
        let recorder = Recorder::new(client, reporter);
        let counted = Arc::clone(&metrics);
        let serve = async move {
            while let Some((object, event)) = waiting.recv().await {
                let published = tokio::time::timeout(DEADLINE, recorder.publish(&event, &object));
                let fate = if matches!(published.await, Ok(Ok(()))) {
                    "published"
                } else {
                    "failed"
                };
                counted.event(fate);
                tokio::time::sleep(PACE).await;
            }
        };
        let budget = Arc::default();
        let events = Self {
            queue,
            budget,
            metrics,
        };
        (events, serve)
    }

    /// Says that a condition of `object` became `reason`.
    pub fn transition(&self, object: ObjectReference, good: bool, reason: &str, message: &str) {
        let kind = object.kind.as_deref().unwrap_or_default();
        let namespace = object.namespace.as_deref().unwrap_or_default();
        if !self
            .budget
            .admits((kind, reason), namespace, Instant::now())
        {
            self.metrics.event("dropped");
            return;
        }
        let event = Event {
            type_: if good {
                EventType::Normal
            } else {
                EventType::Warning
            },
            reason: reason.to_owned(),
            note: Some(note(message)),
            action: "Refresh".to_owned(),
            secondary: None,
        };
        if self.queue.try_send((object, event)).is_err() {
            self.metrics.event("dropped");
        }
    }

    /// Forgets what the budget need not remember any more.
    pub fn sweep(&self, now: Instant) {
        self.budget.namespaces.sweep(now);
        self.budget.kinds.sweep(now);
    }
}

/// As much of `message` as an event's note may have: 1,024 bytes.
fn note(message: &str) -> String {
    message[..message.floor_char_boundary(NOTE)].to_owned()
}

// === impl Budget ===

impl Default for Budget {
    fn default() -> Self {
        Self {
            all: Turns::bursts(Duration::from_millis(500), 200),
            namespaces: KeyedTurns::bursts(Duration::from_secs(10), 20),
            kinds: KeyedTurns::bursts(Duration::from_mins(1), 10),
        }
    }
}

impl Budget {
    /// Whether there may be an event about an object of this kind, for this reason.
    fn admits(&self, (kind, reason): (&str, &str), namespace: &str, now: Instant) -> bool {
        if self.kinds.take_now(&format!("{kind}/{reason}"), now) {
            return true;
        }
        // What the namespace has left is not spent where nothing is left for all.
        self.all.is_free(now) && self.namespaces.take_now(namespace, now) && self.all.take_now(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    const OBJECT: &str = "ExternalCloudSecret";

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_objects_are_a_few_hundred_events_and_the_first_of_each_kind_are_kept() {
        let (budget, now) = (Budget::default(), Instant::now());
        let ready = (OBJECT, "SecretReady");
        let admitted = |ready, number: usize| {
            let namespace = |i: usize| format!("n{}", i % 1_000);
            (0..number)
                .filter(|i| budget.admits(ready, &namespace(*i), now))
                .count()
        };
        assert_eq!(admitted(ready, 10_000), 210);
        for reason in Reason::ALL {
            let kind = (OBJECT, reason.as_str());
            let first = if reason == Reason::SecretReady { 0 } else { 10 };
            assert_eq!(admitted(kind, 100), first, "{reason:?}");
        }
        assert_eq!(admitted(("CloudSecretStore", "SecretReady"), 1), 1);
        let hour = now + Duration::from_hours(1);
        let later = (0..10_000).filter(|_| budget.admits(ready, "n", hour));
        assert_eq!(later.count(), 10 + 20);
    }

    #[test]
    fn a_note_is_cut_between_letters() {
        assert_eq!(note("as it is"), "as it is");
        assert_eq!(note(&"密".repeat(1_000)), "密".repeat(341));
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_does_not_use_up_what_others_have() {
        let (budget, now) = (Budget::default(), Instant::now());
        let kind = (OBJECT, "AccessDenied");
        let loud = (0..10_000).filter(|_| budget.admits(kind, "loud", now));
        assert_eq!(loud.count(), 10 + 20);
        assert!(budget.admits(kind, "quiet", now));
    }
}
