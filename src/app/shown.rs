//! What `/readyz` and `/metrics` show.

use std::sync::Arc;
use std::time::Duration;

use crate::controller::caches::Caches;
use crate::controller::watch;
use crate::http::HttpClient;
use crate::lease::Leadership;
use crate::metrics::{Census, Metrics};
use crate::server::{Probed, Readiness};

/// A hub that has let nothing through for so long, although it could, will not by itself. Calls end
/// within seconds and clouds ask for two minutes at most.
const STALLED: Duration = Duration::from_mins(10);

/// What is shown of this process.
pub(super) struct Shown {
    pub caches: Arc<Caches>,
    pub metrics: Arc<Metrics>,
    pub leadership: Leadership,
    pub http: HttpClient,
}

impl Probed for Shown {
    fn ready(&self) -> Readiness {
        if !self.caches.filled.all(&watch::ALL) {
            Readiness::Filling
        } else if self.leadership.is_leading_now() {
            Readiness::Leading
        } else {
            Readiness::StandingBy
        }
    }

    fn alive(&self) -> bool {
        let context = self.caches.context();
        let hub = context.filter(|_| self.leadership.is_leading_now());
        hub.is_none_or(|context| context.hub.figures().stalled < STALLED)
    }

    fn metrics(&self) -> Result<Vec<u8>, prometheus::Error> {
        let leads = self.leadership.is_leading_now();
        let hub = self.caches.context().filter(|_| leads);
        let hub = hub.map(|context| context.hub.figures());
        // Who stands by counts no object: the sum over all processes is right.
        let objects = self.caches.census();
        let objects = objects.iter().map(AsRef::as_ref).filter(|_| leads);
        let own: [&dyn Census; 1] = [&self.http];
        let census: Vec<&dyn Census> = own.into_iter().chain(objects).collect();
        self.metrics.render(leads, hub.unwrap_or_default(), &census)
    }
}
