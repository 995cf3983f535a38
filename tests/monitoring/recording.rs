//! An operator is brought from state to state once for all tests, and its metrics are kept as they were in each.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::OnceCell;

use super::end_to_end::scene::Scene;
use super::end_to_end::wait::until;
use super::end_to_end::world::World;
use super::leaders;
use super::series::{Scrape, State};
use super::server::{Monitoring, Server};
use super::states;

/// How long a state may take to come about: the probes of a parked identity and a budget that recovers take their time.
const LONG: Duration = Duration::from_mins(4);

static RECORDING: OnceCell<Recording> = OnceCell::const_new();

/// What was seen.
pub struct Recording {
    /// The namespace of the objects.
    pub namespace: String,
    /// The namespace of the object that a throttling cloud is asked for.
    pub throttled: String,
    /// The namespace of very many objects that fail.
    pub crowd: String,
    /// What was scraped, by the state's name. Beside each state, `after NAME` is what was scraped when it was over.
    pub states: BTreeMap<String, State>,
    /// The Prometheus that scraped the operator all the time.
    pub server: Server,
    /// When it began, in seconds since 1970.
    pub start: f64,
    /// When it ended.
    pub end: f64,
}

/// The recording in the making.
pub struct Recorder<'w> {
    pub world: &'w World,
    server: Server,
    states: BTreeMap<String, State>,
}

/// The recording, which is made once.
pub async fn recording() -> &'static Recording {
    RECORDING.get_or_init(record).await
}

async fn record() -> Recording {
    let start = now();
    let world = World::own().await;
    let monitoring = Monitoring::of_the_chart().await;
    let url = {
        let operator = world.operator.lock().await;
        operator.as_ref().unwrap().url.clone()
    };
    let server = Server::start(&monitoring, &url).await;
    let mut recorder = Recorder {
        world: &world,
        server,
        states: BTreeMap::new(),
    };
    let scene = Scene::new(&world, "shop").await;
    let (throttled, crowd) = states::pass_through(&mut recorder, &scene).await;
    leaders::pass_through(&mut recorder).await;
    Recording {
        namespace: scene.namespace,
        throttled,
        crowd,
        states: recorder.states,
        server: recorder.server,
        start,
        end: now(),
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

impl Recorder<'_> {
    /// Waits until the operator shows all these parts of lines, and keeps its page.
    pub async fn seen(&mut self, state: &str, shown: &[&str]) {
        let page = until(state, LONG, async || {
            let page = self.world.metrics().await;
            let lacks = |part: &&&str| !page.lines().any(|line| line.contains(**part));
            match shown.iter().find(lacks) {
                Some(part) => Err(format!("no {part} in {}", troubles(&page).join("\n"))),
                None => Ok(page),
            }
        })
        .await;
        self.keep(state, &[&page]);
        self.scraped().await;
    }

    /// Waits until Prometheus has seen it too, twice, so that some step of a query finds it.
    async fn scraped(&self) {
        let after = now() + 1.0;
        let query = [("query", "max(timestamp(cloudsecrets_build_info))")];
        until("a scrape", LONG, async || {
            let found = self.server.data("query", &query).await;
            let at = found["result"][0]["value"][1].as_str().unwrap_or("0");
            let at: f64 = at.parse().unwrap();
            (at > after).then_some(()).ok_or(found)
        })
        .await;
    }

    /// Waits until the operator shows nothing that an alert could be about, and keeps its page.
    pub async fn well(&mut self, state: &str) {
        let page = until(state, LONG, async || {
            let page = self.world.metrics().await;
            let troubles = troubles(&page);
            if troubles.is_empty() {
                Ok(page)
            } else {
                Err(troubles.join("\n"))
            }
        })
        .await;
        self.keep(state, &[&page]);
    }

    /// Waits until a refresh is so long overdue, and keeps the operator's page.
    pub async fn overdue(&mut self, state: &str, least: Duration) {
        let page = until(state, LONG, async || {
            let page = self.world.metrics().await;
            let name = "cloudsecrets_hub_oldest_overdue_seconds ";
            let value = page.lines().find_map(|line| line.strip_prefix(name));
            let seconds: f64 = value.unwrap().parse().unwrap();
            (seconds > least.as_secs_f64())
                .then_some(page)
                .ok_or(seconds)
        })
        .await;
        self.keep(state, &[&page]);
    }

    /// Waits until no line has this part, and keeps the operator's page.
    pub async fn without(&mut self, state: &str, part: &str) {
        let page = until(state, LONG, async || {
            let page = self.world.metrics().await;
            let line = page.lines().find(|line| line.contains(part));
            match line.map(str::to_owned) {
                Some(line) => Err(line),
                None => Ok(page),
            }
        })
        .await;
        self.keep(state, &[&page]);
    }

    /// The page of the only replica in a state.
    pub fn state(&self, name: &str) -> String {
        self.states[name][0].text.clone()
    }

    /// Keeps these pages, of one replica each.
    pub fn keep(&mut self, state: &str, pages: &[&str]) {
        let scrape = |(i, text): (usize, &&str)| Scrape {
            pod: format!("external-cloud-secrets-{i}"),
            text: (*text).to_owned(),
        };
        let scrapes = pages.iter().enumerate().map(scrape).collect();
        self.states.insert(state.to_owned(), scrapes);
    }
}

/// The lines of a page that tell of trouble.
fn troubles(page: &str) -> Vec<String> {
    const NAMES: [&str; 6] = [
        "object_unhealthy",
        "unhealthy_object_stores",
        "undecodable_objects",
        "hub_outages",
        "hub_parked_identities",
        "hub_slowed_budgets",
    ];
    let bad = |line: &&str| {
        let name = line.strip_prefix("cloudsecrets_");
        name.is_some_and(|name| NAMES.iter().any(|bad| name.starts_with(bad)))
            && !line.ends_with(" 0")
    };
    page.lines().filter(bad).map(str::to_owned).collect()
}
