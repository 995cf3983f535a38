//! Kubernetes events: a side channel with a small budget, which no reconcile waits for.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// Events that wait to be published; more are dropped and counted.
const WAITING: usize = 256;
/// The pace at which events are published.
const PACE: Duration = Duration::from_millis(100);
/// How long one publication may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Publishes events.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(ObjectReference, Event)>,
    metrics: Arc<Metrics>,
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
        (Self { queue, metrics }, serve)
    }

    /// Says that a condition of `object` became `reason`.
    pub fn transition(&self, object: ObjectReference, good: bool, reason: &str, message: &str) {
        let event = Event {
            type_: if good {
                EventType::Normal
            } else {
                EventType::Warning
            },
            reason: reason.to_owned(),
            note: Some(message.chars().take(1_000).collect()),
            action: "Refresh".to_owned(),
            secondary: None,
        };
        if self.queue.try_send((object, event)).is_err() {
            self.metrics.event("dropped");
        }
    }
}
