//! What becomes of a status, step by step.

use jiff::ToSpan;

use super::*;
use crate::api::{DataEntry, ExternalCloudSecret, ExternalCloudSecretSpec, RemoteRef};
use crate::digest::{DigestKey, Domain};

/// An object and its status, to which reports are made one after another.
struct Life {
    object: ExternalCloudSecret,
    status: ExternalCloudSecretStatus,
    now: Timestamp,
    key: DigestKey,
}

impl Life {
    fn new() -> Self {
        let remote_ref = RemoteRef {
            key: "/k".into(),
            ..RemoteRef::default()
        };
        let entry = DataEntry {
            secret_key: "a".into(),
            remote_ref,
            source_ref: None,
        };
        let spec = ExternalCloudSecretSpec {
            data: vec![entry],
            ..Default::default()
        };
        let mut object = ExternalCloudSecret::new("db", spec);
        object.metadata.generation = Some(1);
        let status = ExternalCloudSecretStatus::default();
        Self {
            object,
            status,
            now: Timestamp::UNIX_EPOCH,
            key: DigestKey::new(&[1; 32]),
        }
    }

    fn seen(&self, text: &str) -> Seen {
        let digest = self.key.digest(Domain::Value, &[text.as_bytes()]);
        Seen {
            digest,
            version: None,
            caveat: None,
        }
    }

    /// Reports a minute later; says whether the status changed.
    fn report(&mut self, report: &Report<'_>) -> bool {
        self.now = self.now.checked_add(1.minute()).unwrap();
        let facts = Facts {
            object: &self.object,
            status: &self.status,
            problem: None,
            views: &[],
            behind: false,
            places: &[],
            asking_elsewhere: false,
            forced: None,
            secret: None,
            moved: false,
            drifted: false,
            verified: None,
            key: &self.key,
        };
        let next = next(&facts, report, self.now);
        let changed = next != self.status;
        self.status = next;
        changed
    }

    fn settle(&mut self, text: &str, written: bool) -> bool {
        let values = [self.seen(text)];
        self.report(&Report {
            values: Some(&values),
            written,
            ..settled()
        })
    }

    fn condition(&self, type_: &str) -> String {
        let found = find_condition(&self.status.conditions, type_);
        found.map_or_else(String::new, |c| format!("{}/{}", c.status, c.reason))
    }
}

fn places() -> &'static [EntryPlace] {
    static PLACES: std::sync::LazyLock<Vec<EntryPlace>> = std::sync::LazyLock::new(|| {
        vec![EntryPlace {
            store: "CloudSecretStore/s".into(),
            region: Some("cn-hangzhou".into()),
            has_others: false,
        }]
    });
    &PLACES
}

fn settled() -> Report<'static> {
    Report {
        standing: Standing::Settled,
        values: None,
        places: places(),
        written: false,
        satisfied: true,
        handled_refresh: None,
    }
}

fn failed(reason: Reason, satisfied: bool) -> Report<'static> {
    let standing = Standing::Failed(Problem::new(reason, "data[a] (/k): Code"));
    Report {
        standing,
        satisfied,
        ..settled()
    }
}

#[test]
fn a_steady_state_changes_nothing_however_late_it_is() {
    let mut life = Life::new();
    assert!(life.settle("v", true));
    assert!(!life.settle("v", false));
    assert!(!life.report(&settled()));
    assert_eq!(life.condition(READY), "True/SecretReady");
    assert_eq!(life.condition(FRESH), "True/Refreshed");
    assert_eq!(life.status.secret_name.as_deref(), Some("db"));
    assert_eq!(life.status.entries_total, Some(1));
}

#[test]
fn a_failed_refresh_never_turns_ready_off_and_is_written_once() {
    let mut life = Life::new();
    life.settle("v", true);
    assert!(life.report(&failed(Reason::Throttled, true)));
    for _ in 0..100 {
        assert!(!life.report(&failed(Reason::Throttled, true)));
    }
    assert_eq!(life.condition(READY), "True/SecretReady");
    assert_eq!(life.condition(FRESH), "False/Throttled");
    assert!(life.report(&settled()));
    assert_eq!(life.condition(FRESH), "True/Refreshed");
}

#[test]
fn without_a_secret_ready_says_why_and_only_what_the_user_must_mend_stalls() {
    let mut life = Life::new();
    life.report(&failed(Reason::RemoteNotFound, false));
    assert_eq!(life.condition(READY), "False/RemoteNotFound");
    assert_eq!(life.condition(STALLED), "", "the cloud's side may heal");
    life.report(&failed(Reason::StoreNotFound, false));
    assert_eq!(life.condition(STALLED), "True/StoreNotFound");
    life.report(&failed(Reason::StoreNotFound, true));
    assert_eq!(
        life.condition(STALLED),
        "",
        "a Secret that is there does not stall"
    );
    life.report(&settled());
    assert_eq!(life.condition(STALLED), "");
}

#[test]
fn suspending_keeps_what_was_known_of_the_secret() {
    let mut life = Life::new();
    life.report(&failed(Reason::Suspended, false));
    assert_eq!(life.condition(READY), "Unknown/Pending");
    life.settle("v", true);
    life.report(&failed(Reason::Suspended, false));
    assert_eq!(life.condition(READY), "True/SecretReady");
    assert_eq!(life.condition(FRESH), "False/Suspended");
}

#[test]
fn times_of_change_move_with_the_values_only() {
    let mut life = Life::new();
    life.settle("v", true);
    let (changed, entry) = (
        life.status.changed_time.clone(),
        life.status.entries[0].clone(),
    );
    life.settle("v", false);
    assert_eq!(life.status.changed_time, changed);
    assert_eq!(life.status.entries[0], entry);
    life.settle("new", true);
    assert_ne!(life.status.changed_time, changed);
    assert_ne!(life.status.entries[0].changed_at, entry.changed_at);
    assert_ne!(life.status.entries[0].digest, entry.digest);
}

#[test]
fn a_lost_digest_key_changes_digests_and_no_times() {
    let mut life = Life::new();
    life.settle("v", true);
    let before = life.status.clone();
    life.key = DigestKey::new(&[2; 32]);
    assert!(life.settle("v", false));
    assert_eq!(life.status.changed_time, before.changed_time);
    assert_eq!(
        life.status.entries[0].changed_at,
        before.entries[0].changed_at
    );
    assert_ne!(life.status.entries[0].digest, before.entries[0].digest);
}

#[test]
fn status_lists_a_hundred_entries_and_counts_all() {
    let mut life = Life::new();
    let entry = life.object.spec.data[0].clone();
    life.object.spec.data = vec![entry; 150];
    let values = vec![life.seen("v"); 150];
    let places = vec![places()[0].clone(); 150];
    life.report(&Report {
        values: Some(&values),
        places: &places,
        ..settled()
    });
    assert_eq!(life.status.entries.len(), MOST_ENTRIES);
    assert_eq!(life.status.entries_total, Some(150));
}
