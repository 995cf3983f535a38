//! Several watches as one.

use std::time::Duration;

use futures::stream::{self, SelectAll};
use futures::{StreamExt, future};
use kube_runtime::watcher::{self, Event};
use tokio::time::Instant;

use super::Events;

/// What is told of an event, if anything.
type Told<K> = Option<watcher::Result<Event<K>>>;

/// Begins one watch.
pub type Begin<K> = Box<dyn Fn() -> Events<K> + Send>;

/// Several watches as one: what all of them list is one list.
struct Together<K> {
    begin: Vec<Begin<K>>,
    /// The list has begun.
    started: bool,
    /// The watches that have listed what there is.
    listed: SelectAll<Events<K>>,
    /// The watch that is listing.
    listing: Option<Listing<K>>,
    /// How many watches have begun.
    begun: usize,
    /// All have listed before: the operator serves.
    serves: bool,
    /// The watches that may not list any more. As soon as one may, all list anew.
    shut_out: SelectAll<Events<K>>,
}

/// A watch that is listing.
struct Listing<K> {
    events: Events<K>,
    /// Whether it has listed something.
    something: bool,
    /// Since when it is told that it may not.
    forbidden: Option<Instant>,
}

/// How long a list that was allowed before may be refused until the others go on without it. An API
/// server that is just back refuses what it allows a moment later.
const FORBIDDEN: Duration = Duration::from_secs(30);

/// The watches that `begin` begins, as one.
pub fn together<K: Send + 'static>(begin: Vec<Begin<K>>) -> Events<K> {
    let watches = Together {
        begin,
        started: false,
        listed: SelectAll::new(),
        listing: None,
        begun: 0,
        serves: false,
        shut_out: SelectAll::new(),
    };
    let next = |mut watches: Together<K>| async {
        let event = watches.next().await;
        Some((event, watches))
    };
    stream::unfold(watches, next).boxed()
}

// === impl Together ===

impl<K: Send + 'static> Together<K> {
    /// The next event of all watches. They list one after another, and those that have are not asked
    /// before all have: what changes meanwhile is told afterwards.
    async fn next(&mut self) -> watcher::Result<Event<K>> {
        loop {
            if !self.started {
                self.started = true;
                self.listed.clear();
                self.shut_out.clear();
                self.listing = None;
                self.begun = 0;
                return Ok(Event::Init);
            }
            if self.listing.is_none()
                && let Some(begin) = self.begin.get(self.begun)
            {
                self.begun += 1;
                self.listing = Some(Listing {
                    events: begin(),
                    something: false,
                    forbidden: None,
                });
            }
            let event = if let Some(listing) = &mut self.listing {
                let event = listing.events.next().await;
                self.list(event)
            } else {
                self.watch().await
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// What `event` of the watch that is listing means for all of them.
    fn list(&mut self, event: Option<watcher::Result<Event<K>>>) -> Told<K> {
        let listing = self.listing.as_mut()?;
        match event? {
            Ok(Event::Init) => {
                self.started &= !listing.something;
                None
            }
            Ok(Event::InitDone) => {
                self.listed.extend(self.listing.take().map(|l| l.events));
                self.ended()
            }
            Err(error) if self.serves && is_forbidden(&error) => {
                let now = Instant::now();
                let since = *listing.forbidden.get_or_insert(now);
                if now.duration_since(since) >= FORBIDDEN && !listing.something {
                    self.shut_out.extend(self.listing.take().map(|l| l.events));
                    return self.ended().or(Some(Err(error)));
                }
                Some(Err(error))
            }
            event => {
                listing.something |= event.is_ok();
                Some(event)
            }
        }
    }

    /// One has listed, or may not: that was the last, or the next begins.
    fn ended(&mut self) -> Told<K> {
        let all = self.begun == self.begin.len();
        self.serves |= all;
        all.then_some(Ok(Event::InitDone))
    }

    /// What those tell that have listed, and whether one that might not list may now.
    async fn watch(&mut self) -> Told<K> {
        tokio::select! {
            Some(event) = self.listed.next() => match event {
                // One has lost its place: a new list takes the place of the old one as a whole.
                Ok(Event::Init) => self.started = false,
                event => return Some(event),
            },
            Some(event) = self.shut_out.next() => match event {
                // It begins to list, which is not to say that it may.
                Ok(Event::Init) => {}
                Ok(_) => self.started = false,
                Err(error) => return Some(Err(error)),
            },
            // A watch does not end by itself.
            else => future::pending().await,
        }
        None
    }
}

/// Whether the API server says that this may not be listed.
fn is_forbidden(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::FutureExt;
    use futures::channel::mpsc;

    use super::*;

    type Sender = mpsc::UnboundedSender<watcher::Result<Event<&'static str>>>;

    /// Watches whose events a test makes, in the order in which they began.
    #[derive(Default, Clone)]
    struct Begun(Arc<Mutex<Vec<Sender>>>);

    impl Begun {
        fn together(&self, number: usize) -> Events<&'static str> {
            let begin = || -> Begin<&'static str> {
                let begun = self.clone();
                Box::new(move || {
                    let (sender, events) = mpsc::unbounded();
                    begun.0.lock().unwrap().push(sender);
                    events.boxed()
                })
            };
            together((0..number).map(|_| begin()).collect())
        }

        fn send(&self, watch: usize, event: Event<&'static str>) {
            self.0.lock().unwrap()[watch]
                .unbounded_send(Ok(event))
                .unwrap();
        }

        fn fail(&self, watch: usize) {
            let error = watcher::Error::NoResourceVersion;
            self.0.lock().unwrap()[watch]
                .unbounded_send(Err(error))
                .unwrap();
        }

        fn forbid(&self, watch: usize) {
            let status = kube::core::Status::failure("canary", "Canary").with_code(403);
            let error = kube::Error::Api(Box::new(status));
            self.0.lock().unwrap()[watch]
                .unbounded_send(Err(watcher::Error::InitialListFailed(error)))
                .unwrap();
        }

        fn list(&self, watch: usize, object: &'static str) {
            self.send(watch, Event::Init);
            self.send(watch, Event::InitApply(object));
            self.send(watch, Event::InitDone);
        }
    }

    /// What comes without waiting.
    fn now(events: &mut Events<&'static str>) -> Vec<String> {
        let next = || match events.next().now_or_never()?? {
            Ok(event) => Some(format!("{event:?}")),
            Err(_) => Some("error".to_owned()),
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn several_watches_list_as_one_and_then_tell_what_each_tells() {
        let begun = Begun::default();
        let mut events = begun.together(2);
        assert_eq!(now(&mut events), ["Init"]);
        begun.list(0, "a");
        begun.send(0, Event::Delete("a"));
        let first = now(&mut events);
        assert_eq!(
            first,
            ["InitApply(\"a\")"],
            "the change waits for the lists"
        );
        begun.list(1, "b");
        let all = ["InitApply(\"b\")", "InitDone", "Delete(\"a\")"];
        assert_eq!(now(&mut events), all);
        begun.send(1, Event::Apply("c"));
        assert_eq!(now(&mut events), ["Apply(\"c\")"]);
    }

    #[test]
    fn a_watch_that_lost_its_place_makes_all_list_anew() {
        let begun = Begun::default();
        let mut events = begun.together(2);
        now(&mut events);
        begun.list(0, "a");
        now(&mut events);
        begun.list(1, "b");
        now(&mut events);
        begun.send(1, Event::Init);
        assert_eq!(now(&mut events), ["Init"]);
        begun.list(2, "a");
        now(&mut events);
        begun.list(3, "c");
        assert_eq!(now(&mut events), ["InitApply(\"c\")", "InitDone"]);
    }

    #[test]
    fn a_list_that_is_refused_holds_up_the_rest_and_is_told() {
        let begun = Begun::default();
        let mut events = begun.together(2);
        now(&mut events);
        begun.list(0, "a");
        now(&mut events);
        for _ in 0..3 {
            begun.send(1, Event::Init);
            begun.fail(1);
        }
        assert_eq!(now(&mut events), ["error"; 3]);
        begun.list(1, "b");
        assert_eq!(now(&mut events), ["InitApply(\"b\")", "InitDone"]);
        // One that breaks off in the middle begins anew, and all with it.
        begun.send(0, Event::Init);
        now(&mut events);
        begun.send(2, Event::Init);
        begun.send(2, Event::InitApply("gone"));
        begun.fail(2);
        begun.send(2, Event::Init);
        let again = ["InitApply(\"gone\")", "error", "Init"];
        assert_eq!(now(&mut events), again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_may_not_be_listed_any_more_holds_up_the_others_for_half_a_minute() {
        let begun = Begun::default();
        let mut events = begun.together(2);
        now(&mut events);
        begun.list(0, "a");
        now(&mut events);
        begun.list(1, "b");
        now(&mut events);
        begun.send(0, Event::Init);
        assert_eq!(now(&mut events), ["Init"]);
        for _ in 0..4 {
            begun.send(2, Event::Init);
            begun.forbid(2);
            assert_eq!(now(&mut events), ["error"]);
            tokio::time::advance(FORBIDDEN / 3).await;
        }
        begun.list(3, "b");
        assert_eq!(now(&mut events), ["InitApply(\"b\")", "InitDone"]);
        begun.send(3, Event::Apply("c"));
        assert_eq!(now(&mut events), ["Apply(\"c\")"]);
        // It may again: all list anew.
        begun.list(2, "a");
        assert_eq!(now(&mut events), ["Init"]);
        begun.list(4, "a");
        now(&mut events);
        begun.list(5, "c");
        assert_eq!(now(&mut events), ["InitApply(\"c\")", "InitDone"]);
    }

    #[tokio::test(start_paused = true)]
    async fn before_all_have_listed_none_is_left_out() {
        let begun = Begun::default();
        let mut events = begun.together(1);
        now(&mut events);
        for _ in 0..4 {
            begun.forbid(0);
            assert_eq!(now(&mut events), ["error"]);
            tokio::time::advance(FORBIDDEN).await;
        }
    }
}
