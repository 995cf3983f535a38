//! Every decision about the Lease, as a table.

use jiff::Timestamp;

use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The Lease in the hand of `holder`, renewed for the `n`th time.
fn lease(holder: Option<&str>, n: i64) -> Record {
    Record {
        version: format!("v{n}"),
        holder: holder.map(str::to_owned),
        duration: LEASE,
        acquired: None,
        renewed: Timestamp::from_second(n).ok(),
        transitions: 0,
        overdue: None,
    }
}

fn unknowing() -> View {
    View::new("me".to_owned())
}

/// One that saw `lease` at `at`.
fn having_seen(lease: Option<Record>, at: Duration) -> View {
    let mut view = unknowing();
    view.saw(lease, at);
    view
}

/// A leader whose last renewal was sent at `sent` and answered a tenth of a second later.
fn leader(sent: Duration) -> View {
    let mut view = unknowing();
    view.wrote(lease(Some("me"), 1), sent, sent + ms(100));
    view
}

fn after(mut view: View, happens: impl FnOnce(&mut View)) -> View {
    happens(&mut view);
    view
}

fn decides(table: impl IntoIterator<Item = (&'static str, View, Duration, Action)>) {
    for (case, view, now, action) in table {
        assert_eq!(view.decide(now), action, "{case}");
    }
}

#[test]
fn standing_by_while_nobody_holds_it() {
    use Action::{Look, Take, Wait};
    let seen = |lease| having_seen(lease, s(100));
    let tried = |then: fn(&mut View)| {
        after(having_seen(None, s(100)), |view| {
            view.begins();
            then(view);
        })
    };
    let lost = |view: &mut View| view.failed(s(103));
    let table = [
        ("nothing is known", unknowing(), s(0), Look),
        ("there is none", seen(None), s(100), Take),
        (
            "it was given back",
            seen(Some(lease(None, 1))),
            s(100),
            Take,
        ),
        (
            "it bears our name, as no other's",
            seen(Some(lease(Some("me"), 1))),
            s(100),
            Take,
        ),
        ("a try is not answered yet", tried(|_| ()), s(100), Look),
        (
            "somebody else was faster",
            tried(|view| view.refused(s(101))),
            s(101),
            Look,
        ),
        (
            "the answer to a try was lost",
            tried(lost),
            s(103),
            Wait(PACE),
        ),
        ("nobody knows what it did", tried(lost), s(104), Look),
    ];
    decides(table);
}

#[test]
fn standing_by_while_another_holds_it() {
    use Action::{Look, Take, Wait};
    let other = || having_seen(Some(lease(Some("other"), 1)), s(100));
    let seen_again = |at, n| after(other(), |view| view.saw(Some(lease(Some("other"), n)), at));
    let renewed = || seen_again(s(111), 2);
    let unchanged = || seen_again(ms(111_900), 1);
    let failed = || after(other(), |view| view.failed(s(101)));
    let longer = Record {
        duration: s(30),
        ..lease(Some("other"), 1)
    };
    let longer = || having_seen(Some(longer.clone()), s(100));
    let deleted = || after(other(), |view| view.saw(None, s(103)));
    let table = [
        ("it was seen a moment ago", other(), s(100), Wait(PACE)),
        ("it is time to look again", other(), s(101), Look),
        ("it is about to end", unchanged(), ms(111_950), Wait(ms(50))),
        ("nobody renewed it", unchanged(), s(112), Take),
        ("it was renewed", renewed(), ms(111_500), Wait(ms(500))),
        ("its holder renews no more", renewed(), s(123), Take),
        ("its holder counts on more", longer(), s(129), Look),
        ("even that has passed", longer(), s(130), Take),
        (
            "it was deleted while held",
            deleted(),
            ms(103_500),
            Wait(ms(500)),
        ),
        ("it is still deleted", deleted(), s(104), Look),
        ("who held it cannot lead any more", deleted(), s(112), Take),
        ("a look failed", failed(), s(101), Wait(PACE)),
        ("a look failed a while ago", failed(), s(102), Look),
    ];
    decides(table);
}

#[test]
fn leading() {
    use Action::{Look, Renew, StepDown, Wait};
    let failed = |at| {
        after(leader(s(100)), move |v| {
            v.begins();
            v.failed(at);
        })
    };
    let refused = || {
        after(leader(s(100)), |v| {
            v.begins();
            v.refused(s(104));
        })
    };
    let saw = |lease, at| after(failed(s(104)), move |v| v.saw(lease, at));
    let table = [
        (
            "it was renewed a moment ago",
            leader(s(100)),
            s(101),
            Wait(s(3)),
        ),
        ("it is time", leader(s(100)), s(104), Renew),
        (
            "a call is not answered yet",
            after(leader(s(100)), View::begins),
            s(104),
            Look,
        ),
        ("a renewal failed", failed(s(104)), s(104), Wait(PACE)),
        ("nobody knows whether it did", failed(s(104)), s(105), Look),
        (
            "it did",
            saw(Some(lease(Some("me"), 2)), s(105)),
            s(105),
            Renew,
        ),
        (
            "it did not",
            saw(Some(lease(Some("me"), 1)), s(105)),
            s(105),
            Renew,
        ),
        ("it was deleted", saw(None, s(105)), s(105), Renew),
        (
            "another took it",
            saw(Some(lease(Some("other"), 2)), s(105)),
            s(105),
            StepDown,
        ),
        (
            "a hand took it away",
            saw(Some(lease(None, 2)), s(105)),
            s(105),
            StepDown,
        ),
        ("a renewal was refused", refused(), s(104), Look),
        (
            "there is no time for another try",
            failed(ms(107_500)),
            ms(107_600),
            Wait(ms(400)),
        ),
        ("the time is over", failed(s(104)), s(108), StepDown),
        (
            "the process was stopped for a minute",
            leader(s(100)),
            s(160),
            StepDown,
        ),
    ];
    decides(table);
}

#[test]
fn a_renewal_counts_from_when_it_was_sent() {
    let mut view = leader(s(100));
    view.wrote(lease(Some("me"), 2), s(104), s(107));
    assert_eq!(view.decide(ms(107_999)), Action::Wait(ms(1)));
    assert_eq!(view.decide(s(108)), Action::Renew);
    assert_eq!(view.decide(s(112)), Action::StepDown);
}

#[test]
fn a_call_of_a_leader_ends_before_its_time_does() {
    assert_eq!(unknowing().limit(s(1_000)), CALL);
    assert_eq!(leader(s(100)).limit(s(104)), CALL);
    assert_eq!(leader(s(100)).limit(s(107)), s(1));
    assert_eq!(leader(s(100)).limit(s(109)), s(0));
}

#[test]
fn who_stepped_down_looks_before_it_takes_the_lease_again() {
    let mut view = leader(s(100));
    view.stepped_down();
    assert_eq!(view.decide(s(109)), Action::Look);
    view.saw(Some(lease(Some("me"), 1)), s(109));
    assert_eq!(view.decide(s(109)), Action::Take, "nobody else can have it");
    view.saw(Some(lease(Some("other"), 2)), s(109));
    assert_eq!(view.decide(s(109)), Action::Wait(PACE));
}

#[test]
fn a_note_on_the_lease_is_no_renewal() {
    let mut view = having_seen(Some(lease(Some("other"), 1)), s(100));
    let noted = Record {
        version: "v9".to_owned(),
        ..lease(Some("other"), 1)
    };
    view.saw(Some(noted), s(111));
    assert_eq!(view.since(), s(100));
    assert_eq!(view.decide(s(112)), Action::Take);
    let version = view.lease().map(|lease| lease.version.as_str());
    assert_eq!(version, Some("v9"), "the next write is of this version");
}
