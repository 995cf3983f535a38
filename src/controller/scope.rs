//! Which namespaces are served: all of them by one watch, or some by a watch for each.

use std::collections::BTreeSet;

use futures::stream::{self, SelectAll};
use futures::{StreamExt, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::{Api, Client, Resource};
use kube_runtime::watcher::{self, Config, Event};

use super::resume::Watched;
pub use super::resume::{Events, watch};

/// The namespaces that are served.
#[derive(Debug, Clone)]
pub struct Scope {
    /// These; `None` stands for all.
    named: Option<BTreeSet<String>>,
    /// Whether `ClusterCloudSecretStore`s are served too.
    pub cluster_stores: bool,
}

/// Begins one watch.
type Begin<K> = Box<dyn Fn() -> Events<K> + Send>;

/// Several watches as one: what all of them list is one list.
struct Together<K> {
    begin: Vec<Begin<K>>,
    /// The list has begun.
    started: bool,
    /// The watches that have listed what there is.
    listed: SelectAll<Events<K>>,
    /// The watch that is listing, and whether it has listed something.
    listing: Option<(Events<K>, bool)>,
    /// How many watches have begun.
    begun: usize,
}

// === impl Scope ===

impl Default for Scope {
    fn default() -> Self {
        Self::new([], true)
    }
}

impl Scope {
    /// The namespaces `named`, or all where none is.
    pub fn new(named: impl IntoIterator<Item = String>, cluster_stores: bool) -> Self {
        let named: BTreeSet<String> = named.into_iter().collect();
        Self {
            named: (!named.is_empty()).then_some(named),
            cluster_stores,
        }
    }

    /// Whether `namespace` is served.
    pub fn includes(&self, namespace: &str) -> bool {
        let named = self.named.as_ref();
        named.is_none_or(|named| named.contains(namespace))
    }

    /// Whether only some namespaces are served.
    pub fn is_narrow(&self) -> bool {
        self.named.is_some()
    }

    /// Watches the objects of a kind in the namespaces that are served.
    pub fn watch<K>(&self, client: &Client, config: &Config) -> Events<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Watched,
    {
        self.each(|namespace| match namespace {
            None => (Api::all(client.clone()), config.clone()),
            Some(name) => (Api::namespaced(client.clone(), name), config.clone()),
        })
    }

    /// Watches the metadata of the namespaces that are served.
    pub fn watch_namespaces(
        &self,
        client: &Client,
        config: &Config,
    ) -> Events<PartialObjectMeta<Namespace>> {
        self.each(|namespace| {
            let config = match namespace {
                None => config.clone(),
                Some(name) => config.clone().fields(&format!("metadata.name={name}")),
            };
            (Api::all(client.clone()), config)
        })
    }

    fn each<K: Resource<DynamicType = ()> + Watched>(
        &self,
        api: impl Fn(Option<&str>) -> (Api<K>, Config),
    ) -> Events<K> {
        let Some(named) = &self.named else {
            let (api, config) = api(None);
            return watch(api, config);
        };
        let begin = |name: &String| -> Begin<K> {
            let (api, config) = api(Some(name));
            Box::new(move || watch(api.clone(), config.clone()))
        };
        together(named.iter().map(begin).collect())
    }
}

/// Watches nothing: there is none of it.
pub fn nothing<K: Send + 'static>() -> Events<K> {
    let empty = [Ok(Event::Init), Ok(Event::InitDone)];
    stream::iter(empty).chain(stream::pending()).boxed()
}

fn together<K: Send + 'static>(begin: Vec<Begin<K>>) -> Events<K> {
    let watches = Together {
        begin,
        started: false,
        listed: SelectAll::new(),
        listing: None,
        begun: 0,
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
                self.listing = None;
                self.begun = 0;
                return Ok(Event::Init);
            }
            if self.listing.is_none()
                && let Some(begin) = self.begin.get(self.begun)
            {
                self.begun += 1;
                self.listing = Some((begin(), false));
            }
            let Some((listing, something)) = &mut self.listing else {
                match self.listed.next().await {
                    // One has lost its place: a new list takes the place of the old one as a whole.
                    Some(Ok(Event::Init)) => self.started = false,
                    Some(event) => return event,
                    // A watch does not end by itself.
                    None => future::pending().await,
                }
                continue;
            };
            match listing.next().await {
                Some(Ok(Event::Init)) if *something => self.started = false,
                Some(Ok(Event::Init)) => {}
                Some(Ok(Event::InitDone)) => {
                    self.listed
                        .extend(self.listing.take().map(|(listed, _)| listed));
                    if self.begun == self.begin.len() {
                        return Ok(Event::InitDone);
                    }
                }
                Some(event) => {
                    *something |= event.is_ok();
                    return event;
                }
                None => future::pending().await,
            }
        }
    }
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

    #[test]
    fn no_name_stands_for_every_namespace() {
        let everywhere = Scope::new([], true);
        assert!(everywhere.includes("shop") && !everywhere.is_narrow());
        let narrow = Scope::new(["shop".to_owned()], true);
        assert!(narrow.includes("shop") && !narrow.includes("other") && narrow.is_narrow());
    }
}
