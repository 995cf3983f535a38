//! A Lease behind lines that fail, and processes that can be frozen, killed and stopped.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::super::view::LEASE;
use super::super::*;
use crate::clock::{Clock, TokioClock};

/// How long a call takes, half of it before it is done.
const LATENCY: Duration = Duration::from_millis(20);

pub fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The API server, as far as the Lease goes.
#[derive(Default)]
struct Server {
    lease: Option<Record>,
    writes: u64,
}

pub struct World {
    server: Arc<Mutex<Server>>,
    clock: TokioClock,
}

/// What a process's way to the API server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Works,
    Refuses,
    LosesRequests,
    LosesAnswers,
    /// Requests take this long, in milliseconds, and are done in the end.
    Slow(u64),
}

#[derive(Clone)]
pub struct LineHandle(Arc<Mutex<Line>>);

/// A wall clock, so many seconds from the right one.
#[derive(Clone)]
pub struct SkewedClock {
    right: TokioClock,
    seconds: Arc<AtomicI64>,
}

struct Connection {
    server: Arc<Mutex<Server>>,
    line: LineHandle,
}

/// Whether a process is stopped, as by SIGSTOP.
#[derive(Default)]
struct Ice {
    frozen: bool,
    waker: Option<Waker>,
}

pub struct Process {
    name: String,
    server: Arc<Mutex<Server>>,
    line: LineHandle,
    clock: SkewedClock,
    ice: Arc<Mutex<Ice>>,
    pub leadership: Leadership,
    pub overdue: Arc<Mutex<Option<Timestamp>>>,
    terms: Arc<Mutex<Vec<Term>>>,
    stop: Arc<Notify>,
    running: Option<JoinHandle<()>>,
}

// === impl World ===

impl World {
    pub fn new() -> Self {
        Self {
            server: Arc::default(),
            clock: TokioClock::starting_at(Timestamp::from_second(1_700_000_000).unwrap()),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn process(&self, name: &str) -> Process {
        let clock = SkewedClock {
            right: self.clock,
            seconds: Arc::default(),
        };
        Process {
            name: name.to_owned(),
            server: Arc::clone(&self.server),
            line: LineHandle(Arc::new(Mutex::new(Line::Works))),
            leadership: Leadership::new(Arc::new(clock.clone())),
            clock,
            ice: Arc::default(),
            overdue: Arc::default(),
            terms: Arc::default(),
            stop: Arc::default(),
            running: None,
        }
    }

    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub fn lease(&self) -> Record {
        self.server.lock().unwrap().lease.clone().unwrap()
    }

    pub fn delete(&self) {
        self.server.lock().unwrap().lease = None;
    }

    /// Who leads; there are never two.
    pub fn leader<'p>(&self, among: impl IntoIterator<Item = &'p Process>) -> Option<String> {
        let mut leaders = among.into_iter().filter(|process| process.leads());
        let leader = leaders.next();
        let other = leaders.next();
        assert!(other.is_none(), "two lead: {:?}", self.lease());
        leader.map(|process| process.name.clone())
    }

    pub async fn leader_within<'p>(
        &self,
        limit: Duration,
        among: impl IntoIterator<Item = &'p Process> + Clone,
    ) -> String {
        let step = Duration::from_millis(10);
        let mut passed = Duration::ZERO;
        loop {
            if let Some(leader) = self.leader(among.clone()) {
                return leader;
            }
            assert!(passed < limit, "nobody leads after {limit:?}");
            self.pass(step).await;
            passed += step;
        }
    }
}

// === impl LineHandle ===

impl LineHandle {
    pub fn set(&self, line: Line) {
        *self.0.lock().unwrap() = line;
    }

    /// Carries a call to the server, which does `act`, and its answer back.
    async fn carry<T>(&self, act: impl FnOnce() -> T) -> Result<T, String> {
        let line = *self.0.lock().unwrap();
        let there = match line {
            Line::Works | Line::LosesAnswers => LATENCY / 2,
            Line::Slow(millis) => Duration::from_millis(millis),
            Line::Refuses => return Err("refused".to_owned()),
            Line::LosesRequests => std::future::pending().await,
        };
        tokio::time::sleep(there).await;
        let done = act();
        if line == Line::LosesAnswers {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LATENCY / 2).await;
        Ok(done)
    }
}

// === impl SkewedClock ===

impl SkewedClock {
    pub fn set(&self, seconds: i64) {
        self.seconds.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let seconds = self.seconds.load(Ordering::Relaxed);
        self.right.now() + jiff::SignedDuration::from_secs(seconds)
    }
}

// === impl Connection ===

impl LeaseStore for Connection {
    fn read(&self) -> BoxFuture<'_, Result<Option<Record>, String>> {
        let read = || self.server.lock().unwrap().lease.clone();
        self.line.carry(read).boxed()
    }

    fn write<'a>(
        &'a self,
        version: Option<&'a str>,
        claim: &'a Claim,
    ) -> BoxFuture<'a, Result<Record, ClaimError>> {
        let server = Arc::clone(&self.server);
        let (version, claim, line) = (version.map(str::to_owned), claim.clone(), self.line.clone());
        async move {
            // What was sent arrives, whether somebody still waits for the answer or not.
            let write = async move {
                line.carry(|| server.lock().unwrap().write(version, claim))
                    .await
            };
            match tokio::spawn(write).await {
                Ok(Ok(written)) => written,
                Ok(Err(reason)) => Err(ClaimError::Failed(reason)),
                Err(error) => panic!("{error}"),
            }
        }
        .boxed()
    }
}

impl Server {
    fn write(&mut self, version: Option<String>, claim: Claim) -> Result<Record, ClaimError> {
        if self.lease.as_ref().map(|lease| &lease.version) != version.as_ref() {
            return Err(ClaimError::Refused);
        }
        self.writes += 1;
        let record = Record {
            version: self.writes.to_string(),
            holder: claim.holder,
            duration: LEASE,
            acquired: claim.acquired,
            renewed: Some(claim.renewed),
            transitions: claim.transitions,
            overdue: claim.overdue,
        };
        self.lease = Some(record.clone());
        Ok(record)
    }
}

// === impl Process ===

impl Process {
    pub fn start(&mut self) {
        let connection = Connection {
            server: Arc::clone(&self.server),
            line: self.line.clone(),
        };
        let clock = Arc::new(self.clock.clone());
        let leadership = self.leadership.clone();
        let mut elector = Elector::new(Arc::new(connection), leadership, clock, self.name.clone());
        let (stop, terms) = (Arc::clone(&self.stop), Arc::clone(&self.terms));
        let overdue = Arc::clone(&self.overdue);
        let life = async move {
            let leading = async {
                loop {
                    let term = elector.lead().await;
                    terms.lock().unwrap().push(term);
                    elector.hold(|| *overdue.lock().unwrap()).await;
                }
            };
            tokio::select! {
                () = leading => {}
                () = stop.notified() => {}
            }
            let overdue = *overdue.lock().unwrap();
            elector.release(overdue).await;
        };
        let ice = Arc::clone(&self.ice);
        self.running = Some(tokio::spawn(async move {
            let mut life = pin!(life);
            poll_fn(|context| {
                let mut ice = ice.lock().unwrap();
                if ice.frozen {
                    ice.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
                drop(ice);
                life.as_mut().poll(context)
            })
            .await;
        }));
    }

    pub fn leads(&self) -> bool {
        self.leadership.is_leading_now()
    }

    pub fn line(&self) -> LineHandle {
        self.line.clone()
    }

    pub fn clock(&self) -> SkewedClock {
        self.clock.clone()
    }

    /// The terms it began.
    pub fn terms(&self) -> Vec<Term> {
        self.terms.lock().unwrap().clone()
    }

    pub fn freeze(&self) {
        self.ice.lock().unwrap().frozen = true;
    }

    pub fn thaw(&self) {
        let mut ice = self.ice.lock().unwrap();
        ice.frozen = false;
        if let Some(waker) = ice.waker.take() {
            waker.wake();
        }
    }

    /// Ends it like SIGKILL. What it believed dies with it.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
        self.leadership = Leadership::new(Arc::new(self.clock.clone()));
    }

    /// Ends it like SIGTERM.
    pub async fn stop(&mut self) {
        self.stop.notify_one();
        self.running.take().unwrap().await.unwrap();
    }
}
