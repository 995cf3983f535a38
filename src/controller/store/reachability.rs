//! Whether the endpoints of stores answer, as the calls of the hub tell. No call is made for it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future;

use crate::api::{ConditionStatus, Reason};
use crate::controller::context::Context;
use crate::controller::dependency::{Dependency, Dependent};
use crate::provider::CallError;

/// The time between two stores that are told of an outage, so that one with many stores is no rush of
/// writes.
const PACE: Duration = Duration::from_millis(20);

/// What a store's condition says of its endpoint at `host`, whose outage has the error `outage`. It
/// stays the same as long as the outage lasts.
pub fn condition(host: &str, outage: Option<&CallError>) -> (ConditionStatus, Reason, String) {
    match outage {
        None => (
            ConditionStatus::True,
            Reason::NoOutage,
            "no outage of the endpoint is known".to_owned(),
        ),
        Some(error) => (
            ConditionStatus::False,
            Reason::ProviderUnavailable,
            format!(
                "{host}: {}; it is called now and then until it answers",
                error.code()
            ),
        ),
    }
}

/// Wakes the stores whose endpoint went out of reach or came back, for as long as it is polled. Each
/// change is taken in at once, and endpoints take turns, however many stores one has.
pub async fn watch(context: Arc<Context>) {
    let mut outages = context.hub.outages();
    let mut out = BTreeSet::new();
    let mut to_tell: VecDeque<Vec<Dependent>> = VecDeque::new();
    loop {
        let next = async {
            if to_tell.is_empty() {
                future::pending::<()>().await;
            } else {
                tokio::time::sleep(PACE).await;
            }
        };
        tokio::select! {
            changed = outages.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = context.hub.hosts_out();
                for (route, _) in now.symmetric_difference(&out) {
                    let endpoint = Dependency::Endpoint(route.to_string());
                    to_tell.push_back(context.dependencies.of(&endpoint));
                }
                out = now;
            }
            () = next => {
                if let Some(mut stores) = to_tell.pop_front()
                    && let Some(store) = stores.pop()
                {
                    context.wake_one(store);
                    to_tell.push_back(stores);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Class;

    #[test]
    fn an_outage_names_the_host_and_the_code_and_nothing_that_changes() {
        let error = CallError::new(Class::Unavailable, "ConnectionFailed");
        let error = error.with_request_id(Some("R-1"));
        let (status, reason, message) = condition("kms.cn-hangzhou.aliyuncs.com", Some(&error));
        assert_eq!(
            (status, reason),
            (ConditionStatus::False, Reason::ProviderUnavailable)
        );
        assert!(message.starts_with("kms.cn-hangzhou.aliyuncs.com: ConnectionFailed;"));
        assert!(!message.contains("R-1"));
        assert_eq!(condition("h", None).0, ConditionStatus::True);
    }
}
