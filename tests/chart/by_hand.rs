//! docs/install.md without Helm: the manifests of the page, and the operator on this machine.

use std::net::TcpListener;
use std::process::Stdio;

use super::end_to_end::wait::{SOON, until};
use super::newcomer::{HOME, Newcomer};
use super::pages::Page;

#[tokio::test(flavor = "multi_thread")]
async fn without_helm_the_operator_runs_as_the_page_says() {
    let newcomer = Newcomer::new().await;
    let page = Page::read("docs/install.md");
    let [definitions] = page.all_commands("With kubectl");
    newcomer.types(definitions).await;
    newcomer
        .applies(page.manifests_below(|heading| heading == "With kubectl"))
        .await;
    newcomer
        .types("kubectl -n external-cloud-secrets delete deployment external-cloud-secrets")
        .await;

    let [outside] = page.all_commands("Outside a cluster");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let outside = page.replaced(
        outside,
        &[
            ("127.0.0.1:8080", &*address),
            ("cargo build --release", ":"),
            // In the shell's place, so that it ends with it.
            (
                "target/release/external-cloud-secrets",
                "exec target/release/external-cloud-secrets",
            ),
        ],
    );
    let log = newcomer.clone().join("log");
    let mut shell = newcomer.kubectl.shell(&outside, newcomer.clone());
    shell
        .env("ALLOW_INSECURE_ENDPOINTS", "true")
        .stdin(Stdio::null());
    shell
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap());
    let mut running = shell.spawn().unwrap();
    let ready = format!("curl --silent --fail http://{address}/readyz");
    until("its readiness", SOON, async || {
        let mut curl = newcomer.kubectl.shell(&ready, newcomer.clone());
        let answer = curl.output().await.unwrap();
        let said = || std::fs::read_to_string(&log).unwrap();
        answer.status.success().then_some(()).ok_or_else(said)
    })
    .await;

    let page = Page::read("docs/quickstart.md");
    let [make, look] = page.all_commands("A first Secret on any cluster");
    let key = [
        ("ACCESS_KEY_ID", "LTAIdemoCartReader"),
        ("ACCESS_KEY_SECRET", "demo-access-key-secret"),
    ];
    newcomer.types(&page.replaced(make, &key)).await;
    let seen = newcomer.types(look).await;
    assert!(seen.contains("current.pem:"), "{seen}");
    let lease = newcomer
        .version(HOME, "lease", "external-cloud-secrets")
        .await;
    assert!(lease[0].is_string());
    running.kill().await.unwrap();
}
