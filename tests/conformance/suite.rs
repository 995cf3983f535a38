//! The rules of the contract of [`Provider`], each a function. Every value is a canary.

use std::fmt::Debug;
use std::time::Duration;

use external_cloud_secrets::provider::{Answer, CallError, Class, Fetched, RemoteKey};

use crate::subject::{Fault, Subject};

pub async fn a_single_value_arrives_with_its_version(subject: &dyn Subject) {
    let name = subject.name("single");
    subject.put(&name, "canary-1");
    let fetched = one(subject, &name).await.unwrap();
    assert_eq!(text(&fetched), "canary-1");
    let first = fetched.version.unwrap();
    subject.put(&name, "canary-2");
    let fetched = one(subject, &name).await.unwrap();
    assert_eq!(text(&fetched), "canary-2");
    assert_ne!(fetched.version.unwrap(), first);
}

pub async fn values_arrive_byte_for_byte(subject: &dyn Subject) {
    let values = [
        "canary-中文-é-🔑".to_owned(),
        "canary\n\twith \"quotes\" \\ and\r\nlines\n".to_owned(),
        "{\"canary\": [1, null, \"a+b/c=%20\"]}".to_owned(),
        " canary with blanks ".to_owned(),
        subject.longest_value('x'),
        subject.longest_value('密'),
    ];
    let names: Vec<String> = (0..values.len())
        .map(|i| subject.name(&format!("bytes-{i}")))
        .collect();
    for (name, value) in names.iter().zip(&values) {
        subject.put(name, value);
        assert_eq!(text(&one(subject, name).await.unwrap()), *value);
    }
    if names.len() <= subject.provider().capabilities().batch {
        let answers = many(subject, &names).await.unwrap();
        for (answer, value) in answers.iter().zip(&values) {
            assert_eq!(text(answer.as_ref().unwrap()), *value);
        }
    }
}

pub async fn a_batch_answers_in_the_order_of_the_question(subject: &dyn Subject) {
    let mut names = put_some(subject, "order", 3);
    for _ in 0..names.len() {
        names.rotate_left(1);
        let answers = many(subject, &names).await.unwrap();
        assert_values(&answers, &names);
        let reversed: Vec<String> = names.iter().rev().cloned().collect();
        let answers = many(subject, &reversed).await.unwrap();
        assert_values(&answers, &reversed);
    }
}

pub async fn a_full_batch_is_one_call(subject: &dyn Subject) {
    let names = put_some(subject, "full", subject.provider().capabilities().batch);
    // What is to be learned about a name is learned once.
    many(subject, &names).await.unwrap();
    let before = subject.calls();
    let answers = many(subject, &names).await.unwrap();
    assert_values(&answers, &names);
    assert_eq!(subject.calls(), before + 1);
}

pub async fn what_is_missing_among_many_harms_no_neighbour(subject: &dyn Subject) {
    let mut names = put_some(subject, "missing", 3);
    names.insert(1, subject.name("never-made"));
    let mut answers = many(subject, &names).await.unwrap();
    let missing = answers.remove(1).unwrap_err();
    assert_eq!(missing.class, Class::NotFound);
    assert!(missing.request_id().is_some());
    names.remove(1);
    assert_values(&answers, &names);
}

pub async fn a_single_missing_key_is_not_found(subject: &dyn Subject) {
    let error = one(subject, &subject.name("never-made")).await.unwrap_err();
    assert_eq!(error.class, Class::NotFound);
    assert!(error.request_id().is_some());
}

pub async fn a_forbidden_name_refuses_the_batch_and_blames_nobody(subject: &dyn Subject) {
    let mut names = put_some(subject, "forbidden", 2);
    let forbidden = subject.forbidden_name("secret");
    subject.put(&forbidden, "canary-forbidden");
    names.push(forbidden.clone());
    let error = many(subject, &names).await.unwrap_err();
    assert_eq!(error.class, Class::Denied);
    let error = one(subject, &forbidden).await.unwrap_err();
    assert_eq!(error.class, Class::Denied);
    let absent = subject.forbidden_name("never-made");
    let error = one(subject, &absent).await.unwrap_err();
    assert_eq!(error.class, Class::Denied, "what exists is not told");
    names.pop();
    assert_values(&many(subject, &names).await.unwrap(), &names);
}

pub async fn a_forbidden_name_harms_no_neighbour(subject: &dyn Subject) {
    let mut names = put_some(subject, "forbidden", 2);
    let forbidden = subject.forbidden_name("secret");
    subject.put(&forbidden, "canary-forbidden");
    names.insert(1, forbidden.clone());
    let mut answers = many(subject, &names).await.unwrap();
    assert_eq!(answers.remove(1).unwrap_err().class, Class::Denied);
    names.remove(1);
    assert_values(&answers, &names);
    for name in [forbidden, subject.forbidden_name("never-made")] {
        let error = one(subject, &name).await.unwrap_err();
        assert_eq!(error.class, Class::Denied, "what exists is not told");
    }
}

pub async fn an_older_version_can_be_read(subject: &dyn Subject) {
    let name = subject.name("versioned");
    subject.put(&name, "canary-1");
    let version = one(subject, &name).await.unwrap().version;
    subject.put(&name, "canary-2");
    let key = RemoteKey {
        version: version.clone(),
        ..RemoteKey::named(name)
    };
    let fetched = fetch(subject, &[key]).await.unwrap().remove(0).unwrap();
    assert_eq!(text(&fetched), "canary-1");
    assert_eq!(fetched.version, version);
}

pub async fn a_version_that_is_not_there_is_an_error(subject: &dyn Subject) {
    let name = subject.name("versioned");
    subject.put(&name, "canary-1");
    let malformed = subject.no_version().map(|text| (text, Class::Invalid));
    for (version, class) in [("77", Class::NotFound)].into_iter().chain(malformed) {
        let key = RemoteKey {
            version: Some(version.to_owned()),
            ..RemoteKey::named(name.clone())
        };
        assert!(!subject.provider().batchable(&key));
        let error = single(fetch(subject, &[key]).await).unwrap_err();
        assert_eq!(error.class, class, "{version}");
    }
}

pub async fn a_name_that_is_not_mentioned_is_an_error_of_its_own(subject: &dyn Subject) {
    let names = put_some(subject, "mentioned", 3);
    subject.inject(Fault::Unmentioned(names[1].clone()));
    spoiled(subject, names).await;
}

pub async fn an_empty_value_is_an_error_of_its_own(subject: &dyn Subject) {
    let names = put_some(subject, "empty", 3);
    for fault in [Fault::EmptyValue, Fault::AbsentValue] {
        subject.inject(fault(names[1].clone()));
        spoiled(subject, names.clone()).await;
        subject.heal();
    }
}

pub async fn unreadable_answers_are_protocol_errors(subject: &dyn Subject) {
    for fault in [Fault::MalformedJson, Fault::Html(200), Fault::Html(403)] {
        fails(subject, fault, Class::Protocol).await;
    }
}

pub async fn outages_are_unavailable(subject: &dyn Subject) {
    for fault in [
        Fault::ServerError,
        Fault::Html(502),
        Fault::Truncated,
        Fault::Reset,
        Fault::Hang,
    ] {
        fails(subject, fault, Class::Unavailable).await;
    }
}

pub async fn throttling_carries_the_hint(subject: &dyn Subject) {
    let hint = Duration::from_millis(1500);
    let error = fails(subject, Fault::Throttled(hint), Class::Throttled).await;
    assert_eq!(error.retry_after, Some(hint));
}

pub async fn throttling_without_a_hint_is_throttling(subject: &dyn Subject) {
    let error = fails(subject, Fault::Throttled(Duration::ZERO), Class::Throttled).await;
    assert_eq!(error.retry_after, None);
}

pub async fn a_redirect_is_not_followed(subject: &dyn Subject) {
    fails(subject, Fault::Redirect, Class::Protocol).await;
}

pub async fn credentials_that_the_cloud_refuses_are_unauthenticated(subject: &dyn Subject) {
    let names = put_some(subject, "impostor", 2);
    let keys: Vec<RemoteKey> = names.iter().map(RemoteKey::named).collect();
    for (problem, credentials) in subject.impostors() {
        let batch = subject.provider().capabilities().batch;
        for keys in [&keys[..1], &keys[..batch.min(2)]] {
            let error = subject.provider().fetch(&credentials, keys).await;
            let error = error.unwrap_err();
            assert_eq!(error.class, Class::Unauthenticated, "{problem}");
            assert_quiet(&error);
        }
    }
}

pub async fn a_check_tells_good_credentials_from_bad(subject: &dyn Subject) {
    subject.provider().check(&subject.reader()).await.unwrap();
    for (problem, credentials) in subject.impostors() {
        let error = subject.provider().check(&credentials).await.unwrap_err();
        assert_eq!(error.class, Class::Unauthenticated, "{problem}");
        assert_quiet(&error);
    }
}

pub async fn no_keys_are_no_call(subject: &dyn Subject) {
    let before = subject.calls();
    assert!(fetch(subject, &[]).await.unwrap().is_empty());
    assert_eq!(subject.calls(), before);
}

/// Reads single and batched under `fault`, expects `class` of the whole call, and recovers.
async fn fails(subject: &dyn Subject, fault: Fault, class: Class) -> CallError {
    let names = put_some(subject, "fault", 2);
    subject.inject(fault.clone());
    let error = many(subject, &names).await.unwrap_err();
    assert_eq!(error.class, class, "{fault:?}");
    let error = one(subject, &names[0]).await.unwrap_err();
    assert_eq!(error.class, class, "{fault:?}");
    subject.heal();
    assert_values(&many(subject, &names).await.unwrap(), &names);
    error
}

/// Expects a protocol error of the second of `names`, batched and singly, and the others' values.
async fn spoiled(subject: &dyn Subject, mut names: Vec<String>) {
    let mut answers = many(subject, &names).await.unwrap();
    let error = answers.remove(1).unwrap_err();
    assert_eq!(error.class, Class::Protocol);
    let error = one(subject, &names.remove(1)).await.unwrap_err();
    assert_eq!(error.class, Class::Protocol);
    assert_values(&answers, &names);
}

fn put_some(subject: &dyn Subject, leaf: &str, count: usize) -> Vec<String> {
    let put = |i| {
        let name = subject.name(&format!("{leaf}-{i}"));
        subject.put(&name, &format!("canary-of-{name}"));
        name
    };
    (0..count).map(put).collect()
}

async fn one(subject: &dyn Subject, name: &str) -> Answer {
    single(fetch(subject, &[RemoteKey::named(name)]).await)
}

/// Reads all at once, or where a call takes one only, one after the other: then all failed as a whole if
/// each did.
async fn many(subject: &dyn Subject, names: &[String]) -> Result<Vec<Answer>, CallError> {
    let keys: Vec<RemoteKey> = names.iter().map(RemoteKey::named).collect();
    if subject.provider().capabilities().batch == 1 && !subject.provider().batchable(&keys[0]) {
        let mut answers = Vec::with_capacity(keys.len());
        for key in keys {
            answers.push(single(fetch(subject, &[key]).await));
        }
        let first = answers.first().and_then(|answer| answer.clone().err());
        return match first {
            Some(error) if answers.iter().all(Result::is_err) => Err(error),
            _ => Ok(answers),
        };
    }
    assert!(keys.iter().all(|key| subject.provider().batchable(key)));
    fetch(subject, &keys).await
}

async fn fetch(subject: &dyn Subject, keys: &[RemoteKey]) -> Result<Vec<Answer>, CallError> {
    let answers = subject.provider().fetch(&subject.reader(), keys).await;
    assert_quiet(&answers);
    if let Ok(answers) = &answers {
        assert_eq!(answers.len(), keys.len());
    }
    answers
}

/// The answer to one key: an error of the call is an error of the key.
fn single(answers: Result<Vec<Answer>, CallError>) -> Answer {
    answers?.remove(0)
}

fn text(fetched: &Fetched) -> String {
    String::from_utf8(fetched.value.expose().to_vec()).unwrap()
}

fn assert_values(answers: &[Answer], names: &[String]) {
    let values: Vec<String> = answers.iter().map(|a| text(a.as_ref().unwrap())).collect();
    let expected: Vec<String> = names.iter().map(|n| format!("canary-of-{n}")).collect();
    assert_eq!(values, expected);
}

/// Nothing that is printed holds a value or a credential.
fn assert_quiet<T: Debug>(outcome: &T) {
    let shown = format!("{outcome:?}");
    assert!(!shown.contains("canary"), "{shown}");
}
