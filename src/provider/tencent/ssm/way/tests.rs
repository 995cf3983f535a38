//! Which call is next, by what was learned and when.

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn step(ways: &Ways, seconds: i64) -> Step {
    ways.step(&RemoteKey::named("a"), at(seconds))
}

fn read(version: &str) -> Step {
    Step::ReadVersion(version.to_owned(), None)
}

#[test]
fn a_version_that_is_named_is_read_whatever_is_known() {
    let mut ways = Ways::default();
    let key = |version: &str| RemoteKey {
        version: Some(version.to_owned()),
        ..RemoteKey::named("a")
    };
    for kind in [None, Some(Kind::Custom), Some(Kind::KeyPair)] {
        if let Some(kind) = kind {
            ways.is_of("a", kind, at(0));
        }
        for version in ["v1", CURRENT] {
            assert_eq!(ways.step(&key(version), at(0)), read(version));
        }
    }
}

#[test]
fn what_a_secret_is_is_learned_and_counts_for_an_hour() {
    let mut ways = Ways::default();
    assert_eq!(step(&ways, 0), Step::Describe);
    for (kind, next) in [
        (Kind::Managed, read(CURRENT)),
        (Kind::KeyPair, Step::ReadKeyPair),
        (Kind::Custom, Step::FindNewest),
    ] {
        ways.is_of("a", kind, at(0));
        for later in [0, 3_599] {
            assert_eq!(step(&ways, later), next);
            ways.was_read("a");
        }
        assert_eq!(step(&ways, 7_200), Step::Describe);
        let key = RemoteKey::named("a");
        assert_eq!(
            ways.step_at_last(&key),
            next,
            "it was learned for this read"
        );
    }
}

#[test]
fn a_list_of_versions_does_not_prove_the_kind() {
    let mut ways = Ways::default();
    ways.is_of("a", Kind::Custom, at(0));
    ways.has_newest("a", "v1".to_owned(), at(7_190));
    assert_eq!(step(&ways, 7_200), Step::Describe);
}

#[test]
fn secrets_that_were_learned_at_once_are_asked_again_over_an_hour() {
    let mut ways = Ways::default();
    let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    for name in &names {
        ways.is_of(name, Kind::Managed, at(0));
    }
    let asked = |seconds| {
        let keys = names.iter().map(RemoteKey::named);
        let steps = keys.map(|key| ways.step(&key, at(seconds)));
        steps.filter(|step| *step == Step::Describe).count()
    };
    assert_eq!((asked(3_599), asked(7_200)), (0, 1_000));
    assert!((350..650).contains(&asked(5_400)), "{}", asked(5_400));
}

#[test]
fn the_newest_version_is_looked_for_before_each_read() {
    let mut ways = Ways::default();
    ways.is_of("a", Kind::Custom, at(0));
    ways.has_newest("a", "v2".to_owned(), at(0));
    assert_eq!(step(&ways, 59), read("v2"));
    assert_eq!(step(&ways, 60), Step::FindNewest, "that was too long ago");
    let key = RemoteKey::named("a");
    assert_eq!(ways.step_at_last(&key), read("v2"), "its read is under way");
    ways.was_read("a");
    assert_eq!(step(&ways, 1), Step::FindNewest);
}

#[test]
fn what_may_not_be_asked_is_asked_again_after_an_hour() {
    for caveat in [Caveat::KindHidden, Caveat::VersionsHidden] {
        let mut ways = Ways::default();
        assert!(ways.is_hidden("a", &Step::Describe, caveat, at(0)));
        let next = Step::ReadVersion(CURRENT.to_owned(), Some(caveat));
        assert_eq!(step(&ways, 3_599), next);
        ways.was_read("a");
        ways.doubt("a");
        assert_eq!(step(&ways, 3_599), next);
        assert_eq!(step(&ways, 3_600), Step::Describe);
    }
}

#[test]
fn what_is_called_current_takes_the_place_of_no_version_that_was_found() {
    let mut ways = Ways::default();
    let hidden = |ways: &mut Ways, step, seconds| {
        ways.is_hidden("a", &step, Caveat::VersionsHidden, at(seconds))
    };
    ways.is_of("a", Kind::Custom, at(0));
    ways.has_newest("a", "v3".to_owned(), at(0));
    for _ in 0..2 {
        ways.was_read("a");
        assert!(!hidden(&mut ways, Step::FindNewest, 1));
        assert_eq!(step(&ways, 1), Step::FindNewest);
        ways.doubt("a");
        assert!(!hidden(&mut ways, Step::Describe, 2));
        assert_eq!(step(&ways, 2), Step::Describe);
        ways.is_of("a", Kind::Custom, at(3));
    }
    ways.is_of("a", Kind::Managed, at(4));
    ways.is_of("a", Kind::Custom, at(5));
    assert!(hidden(&mut ways, Step::FindNewest, 6), "it is another one");
}

#[test]
fn a_kind_that_may_not_be_asked_any_more_stays_what_it_was() {
    for (kind, next) in [
        (Kind::Managed, read(CURRENT)),
        (Kind::KeyPair, Step::ReadKeyPair),
        (Kind::Custom, Step::FindNewest),
    ] {
        let mut ways = Ways::default();
        ways.is_of("a", kind, at(0));
        assert_eq!(step(&ways, 7_200), Step::Describe);
        assert!(ways.is_hidden("a", &Step::Describe, Caveat::KindHidden, at(7_200)));
        assert_eq!(step(&ways, 7_200), next);
        assert_eq!(step(&ways, 14_400), Step::Describe);
    }
}

#[test]
fn what_is_gone_or_in_doubt_is_learned_anew() {
    let mut ways = Ways::default();
    ways.is_of("a", Kind::Managed, at(0));
    ways.doubt("a");
    assert_eq!(step(&ways, 0), Step::Describe);
    ways.is_hidden("a", &Step::Describe, Caveat::KindHidden, at(0));
    ways.forget("a");
    assert_eq!(step(&ways, 0), Step::Describe);
}

#[test]
fn for_one_that_is_too_many_one_is_forgotten() {
    let mut ways = Ways::default();
    for n in 0..MOST + 3 {
        ways.is_of(&n.to_string(), Kind::Managed, at(0));
        assert_eq!(ways.0.len(), MOST.min(n + 1));
        assert!(ways.0.contains_key(&n.to_string()));
    }
}
