//! The way into the work queue, which lets in a few objects at a time.
//!
//! The queue keeps the room that it once took, 700 bytes for each object that ever waited in it at the
//! same time, and after a start all of them wait. Whoever waits here takes a tenth of that, and gives it
//! back. The queue also wants a cache of what it works on: whoever is let in has a ticket there, until
//! nothing is to be done about it any more. When an object is reconciled, how often and beside whom, is
//! decided by the queue alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube_runtime::controller::Action;
use kube_runtime::reflector::store::Writer;
use kube_runtime::reflector::{self, ObjectRef, Store};
use kube_runtime::watcher::Event;

use crate::api::ExternalCloudSecret;
use crate::refresh::ObjectKey;

/// What the queue knows of an object: its name.
pub type Ticket = PartialObjectMeta<ExternalCloudSecret>;

/// How many objects are in the queue at once because they were woken. Those that asked to be looked at
/// later are in it besides.
const MOST_INSIDE: usize = 256;

/// Who waits before the queue, and who was let in and is not begun yet.
#[derive(Debug)]
pub struct Gate {
    waiting: Mutex<Waiting>,
    tickets: Store<Ticket>,
}

#[derive(Debug)]
struct Waiting {
    tickets: Writer<Ticket>,
    /// Each is here once, however often it is woken.
    places: HashMap<ObjectKey, Place>,
    /// By what woke them: the first is for those who may have to ask the hub, the second for those it answered.
    lines: [VecDeque<ObjectKey>; 2],
    /// The line whose turn it is.
    turn: usize,
    inside: usize,
    /// That of the queue, when it has asked in vain.
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Line,
    Inside,
}

// === impl Gate ===

impl Default for Gate {
    fn default() -> Self {
        let (reader, mut tickets) = reflector::store();
        // The queue begins when its cache is complete, and that is so from the start.
        tickets.apply_watcher_event(&Event::Init);
        tickets.apply_watcher_event(&Event::InitDone);
        Self {
            waiting: Mutex::new(Waiting {
                tickets,
                places: HashMap::new(),
                lines: Default::default(),
                turn: 0,
                inside: 0,
                waker: None,
            }),
            tickets: reader,
        }
    }
}

impl Gate {
    /// Who has a ticket.
    pub fn tickets(&self) -> Store<Ticket> {
        self.tickets.clone()
    }

    /// Those `woken` by a change and those `answered` by the hub, as they are let in.
    pub fn admitted(
        self: &Arc<Self>,
        woken: impl Stream<Item = ObjectKey> + Send + 'static,
        answered: impl Stream<Item = ObjectKey> + Send + 'static,
    ) -> BoxStream<'static, ObjectRef<Ticket>> {
        let (gate, mut woken) = (
            Arc::clone(self),
            [woken.fuse().boxed(), answered.fuse().boxed()],
        );
        let admitted = stream::poll_fn(move |cx| gate.poll(&mut woken, cx));
        admitted
            .map(|object| ObjectRef::new(&object.name).within(&object.namespace))
            .boxed()
    }

    /// Notes that `object` is looked at: it has left the queue, and what wakes it from now on wakes it
    /// again.
    pub fn begun(&self, object: &ObjectKey) {
        let mut waiting = self.lock();
        if waiting.places.get(object) != Some(&Place::Inside) {
            // It came by itself.
            return;
        }
        waiting.places.remove(object);
        waiting.inside -= 1;
        if waiting.places.is_empty() {
            waiting.places.shrink_to_fit();
            waiting.lines.iter_mut().for_each(VecDeque::shrink_to_fit);
        }
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }

    /// Notes how a look at `object` ended. Who is not to be looked at again has no ticket any more.
    pub fn ended(&self, object: &ObjectKey, action: &Action) {
        let mut waiting = self.lock();
        let inside = waiting.places.get(object) == Some(&Place::Inside);
        if !inside && *action == Action::await_change() {
            let ticket = Event::Delete(ticket(object));
            waiting.tickets.apply_watcher_event(&ticket);
        }
    }

    fn poll(
        &self,
        woken: &mut [BoxStream<'static, ObjectKey>; 2],
        cx: &mut Context<'_>,
    ) -> Poll<Option<ObjectKey>> {
        let mut waiting = self.lock();
        let mut ended = true;
        // The first that is read may use up what a task may read at a time.
        for line in [waiting.turn, 1 - waiting.turn] {
            ended &= loop {
                match woken[line].poll_next_unpin(cx) {
                    Poll::Ready(Some(object)) => waiting.line_up(line, object),
                    Poll::Ready(None) => break true,
                    Poll::Pending => break false,
                }
            };
        }
        if let Some(object) = waiting.let_in() {
            return Poll::Ready(Some(object));
        }
        if ended && waiting.lines.iter().all(VecDeque::is_empty) {
            return Poll::Ready(None);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    fn line_up(&mut self, line: usize, object: ObjectKey) {
        // Whoever is not begun yet will see what it is woken for.
        if !self.places.contains_key(&object) {
            self.places.insert(object.clone(), Place::Line);
            self.lines[line].push_back(object);
        }
    }

    fn let_in(&mut self) -> Option<ObjectKey> {
        if self.inside >= MOST_INSIDE {
            return None;
        }
        let turns = [self.turn, 1 - self.turn];
        let line = turns
            .into_iter()
            .find(|line| !self.lines[*line].is_empty())?;
        let object = self.lines[line].pop_front()?;
        self.turn = 1 - line;
        self.places.insert(object.clone(), Place::Inside);
        self.inside += 1;
        let ticket = Event::Apply(ticket(&object));
        self.tickets.apply_watcher_event(&ticket);
        Some(object)
    }
}

fn ticket(object: &ObjectKey) -> Ticket {
    Ticket {
        metadata: ObjectMeta {
            name: Some(object.name.to_string()),
            namespace: Some(object.namespace.to_string()),
            ..ObjectMeta::default()
        },
        ..Ticket::default()
    }
}

#[cfg(test)]
mod tests;
