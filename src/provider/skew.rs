//! How far our clock is off those of clouds, for as long as the process lasts: clients of a token service
//! come and go with each exchange.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of the clocks of services, by their URLs. Clones know the same. There are no more of them
/// than hosts that were allowed to be called and said that our clock is off.
#[derive(Debug, Clone, Default)]
pub struct Skews(Arc<Mutex<HashMap<String, Skew>>>);

#[derive(Debug, Default)]
struct Skew {
    /// Seconds to add to our clock.
    seconds: i64,
    /// Nobody was told yet.
    news: bool,
}

// === impl Skews ===

impl Skews {
    /// The seconds to add to our clock at the service of this name at `url`.
    pub(super) fn seconds(&self, service: &str, url: &str) -> i64 {
        let known = self.known();
        let skew = known.get(&name(service, url));
        skew.map_or(0, |skew| skew.seconds)
    }

    /// Takes in how far our clock is off there.
    pub(super) fn learn(&self, service: &str, url: &str, seconds: i64) {
        let news = true;
        let skew = Skew { seconds, news };
        self.known().insert(name(service, url), skew);
    }

    /// Whether something was taken in there since this was asked last.
    pub(crate) fn take_news(&self, service: &str, url: &str) -> bool {
        let mut known = self.known();
        let skew = known.get_mut(&name(service, url));
        skew.is_some_and(|skew| std::mem::take(&mut skew.news))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Skew>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(service: &str, url: &str) -> String {
    format!("{service} {url}")
}
