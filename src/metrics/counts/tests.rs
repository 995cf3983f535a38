use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::refresh::HubFigures;

const OBJECT: &str = "ExternalCloudSecret";
const STORE: &str = "CloudSecretStore";

/// An object as a census finds it.
#[derive(Clone)]
struct Shown {
    kind: &'static str,
    namespace: &'static str,
    name: String,
    conditions: Vec<Condition>,
    stores: Vec<String>,
}

fn condition(type_: &str, status: &str, reason: &str, since: i64) -> Condition {
    Condition {
        type_: type_.into(),
        status: status.into(),
        reason: reason.into(),
        message: "canary".into(),
        last_transition_time: Time(Timestamp::from_second(since).unwrap()),
        observed_generation: None,
    }
}

impl Shown {
    fn fails(kind: &'static str, namespace: &'static str, name: &str, since: i64) -> Self {
        Self {
            kind,
            namespace,
            name: name.to_owned(),
            conditions: vec![condition("Ready", "False", "InvalidSpec", since)],
            stores: Vec::new(),
        }
    }

    fn many(namespace: &'static str, names: &str, count: usize) -> impl Iterator<Item = Self> {
        (0..count).map(move |i| Self::fails(OBJECT, namespace, &format!("{names}{i}"), 100))
    }

    fn through(mut self, stores: &[&str]) -> Self {
        self.stores = stores.iter().map(|&store| store.to_owned()).collect();
        self
    }

    /// What suspending leaves of an object that was never read.
    fn suspended(mut self) -> Self {
        self.conditions = vec![
            condition("Ready", "Unknown", "Pending", 100),
            condition("Fresh", "False", "Suspended", 100),
        ];
        self
    }
}

struct Objects<'a>(&'a [Shown]);

impl Census for Objects<'_> {
    fn count(&self, counts: &mut Counts<'_>) {
        for object in self.0 {
            let counted = Counted {
                kind: object.kind,
                namespace: object.namespace,
                name: &object.name,
                conditions: &object.conditions,
            };
            counts.object(&counted, || object.stores.clone());
        }
    }
}

/// The page of metrics.
struct Page(String);

impl Page {
    fn of(objects: &[Shown]) -> Self {
        Self::again(&Metrics::new().unwrap(), objects)
    }

    fn again(metrics: &Metrics, objects: &[Shown]) -> Self {
        let text = metrics.render(true, HubFigures::default(), &[&Objects(objects)]);
        Self(String::from_utf8(text.unwrap()).unwrap())
    }

    fn lines(&self, family: &str) -> impl Iterator<Item = &str> {
        let start = format!("cloudsecrets_{family}{{");
        self.0.lines().filter(move |line| line.starts_with(&start))
    }

    /// Who has a series, as `NAMESPACE/NAME`.
    fn unhealthy(&self) -> BTreeSet<String> {
        let label = |line: &str, name: &str| {
            let rest = line.split(&format!("{name}=\"")).nth(1).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        self.lines("object_unhealthy")
            .map(|line| format!("{}/{}", label(line, "namespace"), label(line, ",name")))
            .collect()
    }

    fn unhealthy_of(&self, namespace: &str) -> usize {
        let of = |name: &&String| name.starts_with(&format!("{namespace}/"));
        self.unhealthy().iter().filter(of).count()
    }

    fn omitted(&self) -> Vec<&str> {
        let lines = self.lines("object_unhealthy_omitted");
        lines.map(|line| line.split_once('{').unwrap().1).collect()
    }
}

#[test]
fn unhealthy_objects_are_bounded_and_go_with_the_object() {
    let all: Vec<_> = Shown::many("shop", "o", 5_000).collect();
    let metrics = Metrics::new().unwrap();
    for (objects, series, omitted) in [
        (
            5_000,
            MOST_UNHEALTHY,
            r#"kind="ExternalCloudSecret",namespace="shop"} 4000"#,
        ),
        (1, 1, ""),
        (0, 0, ""),
    ] {
        let page = Page::again(&metrics, &all[..objects]);
        assert_eq!(page.unhealthy().len(), series);
        assert_eq!(page.omitted().join(""), omitted);
    }
}

#[test]
fn nobody_takes_the_series_of_another_namespace() {
    let victims: Vec<_> = Shown::many("victim", "v", 41).collect();
    let attackers: Vec<_> = Shown::many("attacker", "a", 5_000).collect();
    for all in [
        [&*attackers, &*victims].concat(),
        [&*victims, &*attackers].concat(),
    ] {
        let page = Page::of(&all);
        assert_eq!(page.unhealthy_of("victim"), 41);
        assert_eq!(page.unhealthy_of("attacker"), MOST_UNHEALTHY - 41);
        let omitted = [r#"kind="ExternalCloudSecret",namespace="attacker"} 4041"#];
        assert_eq!(page.omitted(), omitted);
    }
}

#[test]
fn what_is_suspended_takes_no_series_and_is_counted_all_the_same() {
    let suspended = Shown::many("attacker", "a", 1_200).map(Shown::suspended);
    let mut all: Vec<_> = suspended.collect();
    all.extend(Shown::many("victim", "v", 1_000));
    let page = Page::of(&all);
    assert_eq!(page.unhealthy_of("attacker"), 0);
    assert_eq!(page.unhealthy_of("victim"), 1_000);
    assert!(page.omitted().is_empty());
    let mut objects = page.lines("objects");
    assert!(objects.any(|line| line.contains("Suspended") && line.ends_with(" 1200")));
}

#[test]
fn who_has_a_series_keeps_it_when_others_fail_too() {
    let mut all: Vec<_> = Shown::many("shop", "o", 3_000).collect();
    all.extend(Shown::many("bank", "o", 100));
    let before = Page::of(&all).unhealthy();
    // These come later and would stand first by name.
    all.extend((0..50).map(|i| Shown::fails(OBJECT, "shop", &format!("a{i}"), 101)));
    all.reverse();
    assert_eq!(Page::of(&all).unhealthy(), before);
    // Of another namespace: only who had the most gives up places, and only as many.
    all.extend(Shown::many("zoo", "o", 30));
    let after = Page::of(&all).unhealthy();
    assert_eq!(before.difference(&after).count(), 30);
    let gave = before.difference(&after);
    assert!(gave.into_iter().all(|name| name.starts_with("shop/")));
}

#[test]
fn an_outage_hides_neither_its_store_nor_what_fails_for_another_reason() {
    let far = "CloudSecretStore/shop/far";
    let near = "CloudSecretStore/shop/near";
    let mut all = vec![Shown::fails(STORE, "shop", "far", 200)];
    let struck = Shown::many("shop", "o", 5_000);
    all.extend(struck.map(|object| object.through(&[near, far])));
    all.push(Shown::fails(OBJECT, "shop", "typo", 300).through(&[near]));
    let page = Page::of(&all);
    let unhealthy = page.unhealthy();
    assert!(unhealthy.contains("shop/far") && unhealthy.contains("shop/typo"));
    assert_eq!(unhealthy.len(), MOST_UNHEALTHY + 1);
    // The store's alert tells of those that have none.
    assert!(page.omitted().is_empty());
    let links = page.lines("unhealthy_object_stores");
    assert_eq!(links.count(), 2 * MOST_UNHEALTHY - 1);
}

#[test]
fn an_object_of_many_stores_shows_those_that_fail_and_few_others() {
    let stores: Vec<String> = (0..200).map(|i| format!("{STORE}/shop/s{i:03}")).collect();
    let stores: Vec<&str> = stores.iter().map(|store| &**store).collect();
    let all = [
        Shown::fails(STORE, "shop", "s150", 100),
        Shown::fails(OBJECT, "shop", "o", 100).through(&stores),
    ];
    let page = Page::of(&all);
    let links: Vec<&str> = page.lines("unhealthy_object_stores").collect();
    assert_eq!(links.len(), MOST_STORES);
    assert!(links.iter().any(|line| line.contains("/s150\"")));
}
