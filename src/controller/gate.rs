//! The way into the work queue, which lets in a few objects at a time.
//!
//! The queue keeps the room that it once took, 700 bytes for each object that ever waited in it at the
//! same time, and after a start all of them wait. Whoever waits here takes a tenth of that, and gives it
//! back. Deciding when an object is reconciled, how often and beside whom is left to the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};

use crate::refresh::ObjectKey;

/// How many objects are in the queue at once because they were woken. Those that asked to be looked at
/// later are in it besides.
const MOST_INSIDE: usize = 256;

/// Who waits before the queue, and who was let in and is not begun yet.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Each is here once, however often it is woken.
    places: HashMap<ObjectKey, Place>,
    line: VecDeque<ObjectKey>,
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

impl Gate {
    /// Those `woken`, as they are let in.
    pub fn admitted(
        self: &Arc<Self>,
        woken: impl Stream<Item = ObjectKey> + Send + 'static,
    ) -> BoxStream<'static, ObjectKey> {
        let (gate, mut woken) = (Arc::clone(self), woken.boxed());
        stream::poll_fn(move |cx| gate.poll(&mut woken, cx)).boxed()
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
            waiting.line.shrink_to_fit();
        }
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }

    fn poll(
        &self,
        woken: &mut BoxStream<'static, ObjectKey>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<ObjectKey>> {
        let mut waiting = self.lock();
        let ended = loop {
            match woken.poll_next_unpin(cx) {
                Poll::Ready(Some(object)) => waiting.line_up(object),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        if let Some(object) = waiting.let_in() {
            return Poll::Ready(Some(object));
        }
        if ended && waiting.line.is_empty() {
            return Poll::Ready(None);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    fn line_up(&mut self, object: ObjectKey) {
        // Whoever is not begun yet will see what it is woken for.
        if !self.places.contains_key(&object) {
            self.places.insert(object.clone(), Place::Line);
            self.line.push_back(object);
        }
    }

    fn let_in(&mut self) -> Option<ObjectKey> {
        if self.inside >= MOST_INSIDE {
            return None;
        }
        let object = self.line.pop_front()?;
        self.places.insert(object.clone(), Place::Inside);
        self.inside += 1;
        Some(object)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::channel::mpsc;

    use super::*;

    fn object(number: usize) -> ObjectKey {
        ObjectKey::new("shop", &number.to_string())
    }

    /// Those who are let in without waiting.
    fn now(admitted: &mut (impl Stream<Item = ObjectKey> + Unpin)) -> Vec<ObjectKey> {
        std::iter::from_fn(|| admitted.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn all_are_let_in_in_order_and_never_more_than_a_few_at_once() {
        let gate = Arc::new(Gate::default());
        let all: Vec<_> = (0..3 * MOST_INSIDE).map(object).collect();
        let mut admitted = gate.admitted(stream::iter(all.clone()));
        let mut seen = now(&mut admitted);
        assert_eq!(seen.len(), MOST_INSIDE);
        for begun in 0..all.len() {
            gate.begun(&all[begun]);
            seen.extend(now(&mut admitted));
            assert!(seen.len() <= begun + 1 + MOST_INSIDE);
        }
        assert_eq!(seen, all);
        assert_eq!(gate.lock().places.capacity(), 0, "room is given back");
    }

    #[test]
    fn whoever_is_woken_again_waits_once_until_it_is_begun() {
        let gate = Arc::new(Gate::default());
        let (sender, woken) = mpsc::unbounded();
        let mut admitted = gate.admitted(woken);
        let wake = |number| sender.unbounded_send(object(number)).unwrap();
        for _ in 0..3 {
            wake(1);
        }
        assert_eq!(now(&mut admitted), [object(1)]);
        wake(1);
        assert!(now(&mut admitted).is_empty(), "it is in the queue");
        gate.begun(&object(1));
        wake(1);
        assert_eq!(now(&mut admitted), [object(1)], "it is being looked at");
    }

    #[test]
    fn whoever_comes_by_itself_takes_nobody_s_place() {
        let gate = Arc::new(Gate::default());
        let (sender, woken) = mpsc::unbounded();
        let mut admitted = gate.admitted(woken);
        gate.begun(&object(1));
        for number in 0..=MOST_INSIDE {
            sender.unbounded_send(object(number)).unwrap();
        }
        assert_eq!(now(&mut admitted).len(), MOST_INSIDE);
        gate.begun(&object(MOST_INSIDE));
        assert!(now(&mut admitted).is_empty(), "nobody has left the queue");
        gate.begun(&object(0));
        assert_eq!(now(&mut admitted), [object(MOST_INSIDE)]);
    }

    #[tokio::test]
    async fn who_waits_is_told_when_there_is_room() {
        let gate = Arc::new(Gate::default());
        let all = stream::iter((0..=MOST_INSIDE).map(object));
        let mut admitted = gate.admitted(all);
        assert_eq!(now(&mut admitted).len(), MOST_INSIDE);
        let last = tokio::spawn(async move { admitted.next().await });
        tokio::task::yield_now().await;
        gate.begun(&object(7));
        assert_eq!(last.await.unwrap(), Some(object(MOST_INSIDE)));
    }
}
