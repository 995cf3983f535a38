//! Who leads: one of a pair, nobody, or one too many. And a reconcile that panics.

use std::time::Duration;

use external_cloud_secrets::api::names;
use external_cloud_secrets::metrics::Metrics;
use external_cloud_secrets::refresh::HubFigures;

use super::end_to_end::operator::{Operator, RBAC, Setup};
use super::end_to_end::wait::{SOON, until};
use super::recording::Recorder;

/// Goes through these states.
pub async fn pass_through(recorder: &mut Recorder<'_>) {
    let world = recorder.world;
    let setup = {
        let operator = world.operator.lock().await;
        operator.as_ref().unwrap().successor()
    };
    let beside = |class: Option<&str>| {
        let mut setup = setup.clone();
        setup.log = world.dir.path().join(format!("beside-{class:?}.log"));
        let class = class.map(|class| format!("--controller-class={class}"));
        setup.args.extend(class);
        setup
    };

    let waiting = Operator::listening(beside(None)).await;
    let pages = [&*world.metrics().await, &*page(&waiting, 0).await];
    recorder.keep("pair", &pages);

    // It may not have the Lease of its class.
    let lost = Operator::listening(beside(Some("lost"))).await;
    recorder.keep("no leader", &[&*page(&lost, 0).await]);
    recorder.well("after no leader").await;

    let one_too_many = second(recorder, beside(Some("second"))).await;
    let pages = [&*world.metrics().await, &*page(&one_too_many, 1).await];
    recorder.keep("many leaders", &pages);
    recorder.well("after many leaders").await;

    // No object makes a reconcile panic, which would be a defect: the operator's own metrics are told of one.
    let metrics = Metrics::new().unwrap();
    let page = || metrics.render(true, HubFigures::default(), &[]).unwrap();
    let page = || String::from_utf8(page()).unwrap();
    recorder.keep("before panicked", &[&page()]);
    metrics.reconciled("ExternalCloudSecret", "panicked");
    recorder.keep("panicked", &[&page()]);
    recorder.keep("after panicked", &[&page()]);
    recorder.keep("down", &[]);
    recorder.well("after down").await;
}

/// Another operator, whose Lease is that of its class.
async fn second(recorder: &Recorder<'_>, setup: Setup) -> Operator {
    let own = "resourceNames: [external-cloud-secrets]";
    assert_eq!(RBAC.matches(own).count(), 1);
    let (first, second) = (names::lease(None), names::lease(Some("second")));
    let rules = RBAC.replace(own, &format!("resourceNames: [{first}, {second}]"));
    let home = recorder.world.account.namespace();
    let cluster = &recorder.world.cluster;
    cluster.install_operator(&rules, home).await.unwrap();
    let operator = Operator::start(setup).await;
    operator.wait_leading(Duration::from_secs(40)).await;
    operator
}

/// The page of an operator that leads, or does not.
async fn page(operator: &Operator, leads: u8) -> String {
    until("its metrics", SOON, async || {
        let page = operator.page("/metrics").await;
        let line = format!("cloudsecrets_leader {leads}\n");
        page.contains(&line).then_some(page).ok_or(line)
    })
    .await
}
