use futures::FutureExt;
use futures::channel::mpsc;

use super::*;

fn object(number: usize) -> ObjectKey {
    ObjectKey::new("shop", &number.to_string())
}

/// Those who are let in without waiting.
fn now(admitted: &mut BoxStream<'static, ObjectRef<Ticket>>) -> Vec<ObjectKey> {
    let admitted = std::iter::from_fn(|| admitted.next().now_or_never().flatten());
    admitted.map(key).collect()
}

fn key(object: ObjectRef<Ticket>) -> ObjectKey {
    ObjectKey::new(&object.namespace.unwrap(), &object.name)
}

fn has_ticket(gate: &Gate, number: usize) -> bool {
    let object = ObjectRef::new(&number.to_string()).within("shop");
    gate.tickets().get(&object).is_some()
}

#[test]
fn all_are_let_in_in_order_and_never_more_than_a_few_at_once() {
    let gate = Arc::new(Gate::default());
    let all: Vec<_> = (0..3 * MOST_INSIDE).map(object).collect();
    let mut admitted = gate.admitted(stream::iter(all.clone()), stream::empty());
    let mut seen = now(&mut admitted);
    assert_eq!(seen.len(), MOST_INSIDE);
    for (before, begun) in all.iter().enumerate() {
        gate.begun(begun);
        seen.extend(now(&mut admitted));
        assert!(seen.len() <= before + 1 + MOST_INSIDE);
    }
    assert_eq!(seen, all);
    assert_eq!(gate.lock().places.capacity(), 0, "room is given back");
}

#[test]
fn whoever_is_woken_again_waits_once_until_it_is_begun() {
    let gate = Arc::new(Gate::default());
    let (sender, woken) = mpsc::unbounded();
    let mut admitted = gate.admitted(woken, stream::empty());
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
    let mut admitted = gate.admitted(woken, stream::empty());
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
    let mut admitted = gate.admitted(all, stream::empty());
    assert_eq!(now(&mut admitted).len(), MOST_INSIDE);
    let last = tokio::spawn(async move { admitted.next().await });
    tokio::task::yield_now().await;
    gate.begun(&object(7));
    assert_eq!(last.await.unwrap().map(key), Some(object(MOST_INSIDE)));
}

#[test]
fn those_who_were_answered_take_turns_with_those_who_have_not_asked() {
    let gate = Arc::new(Gate::default());
    let woken = stream::iter((0..MOST_INSIDE).map(object));
    let answered = stream::iter([100_000, 100_001, 7].map(object));
    let mut admitted = gate.admitted(woken, answered);
    let seen = now(&mut admitted);
    let first = [0, 100_000, 1, 100_001, 2, 3, 4].map(object);
    assert_eq!(seen[..first.len()], first);
    gate.begun(&object(0));
    gate.begun(&object(1));
    let seen = [seen, now(&mut admitted)].concat();
    let seventh = seen.iter().filter(|seen| **seen == object(7));
    assert_eq!((seen.len(), seventh.count()), (MOST_INSIDE + 2, 1));
}

#[test]
fn a_ticket_holds_until_nothing_is_to_be_done_any_more() {
    let gate = Arc::new(Gate::default());
    let (sender, woken) = mpsc::unbounded();
    let mut admitted = gate.admitted(woken, stream::empty());
    let later = Action::requeue(std::time::Duration::from_secs(1));
    let mut wake = || {
        sender.unbounded_send(object(1)).unwrap();
        now(&mut admitted).len()
    };
    assert_eq!(wake(), 1);
    assert!(has_ticket(&gate, 1));
    gate.begun(&object(1));
    gate.ended(&object(1), &later);
    assert!(has_ticket(&gate, 1), "it comes again by itself");
    gate.begun(&object(1));
    assert_eq!(wake(), 1, "while it is looked at");
    gate.ended(&object(1), &Action::await_change());
    assert!(has_ticket(&gate, 1), "it is in the queue");
    gate.begun(&object(1));
    gate.ended(&object(1), &Action::await_change());
    assert!(!has_ticket(&gate, 1));
    assert!(gate.tickets().is_empty());
}
