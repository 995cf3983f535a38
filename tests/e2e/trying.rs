//! The simulator's page, as somebody without an account follows it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::examples::clone;
use super::pages::{Page, console, repository};
use super::wait::{SOON, until};

/// Ports that nobody listens on.
fn free<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}

/// A shell that finds the programs of one more folder.
fn bash(text: &str, dir: &Path, programs: &Path) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", text])
        .env("PATH", format!("{}:{path}", programs.display()))
        .env_remove("KUBECONFIG")
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Builds what the page says to be built, as the Makefile does; nothing is to be done where all tests are run.
fn build() {
    let words = ["build", "-q", "--workspace", "--examples"];
    let programs = ["--bin", "cloudsim", "--bin", "devcluster"];
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(words).args(programs);
    // What cargo tells a test is not what it tells a shell, and ring is built anew wherever that differs.
    let told = std::env::vars_os().map(|(name, _)| name);
    for name in told.filter(|name| name.as_encoded_bytes().starts_with(b"CARGO_")) {
        if name != "CARGO_HOME" && name != "CARGO_TARGET_DIR" {
            cargo.env_remove(name);
        }
    }
    let built = cargo.current_dir(repository()).status().unwrap();
    assert!(built.success());
}

#[tokio::test]
async fn the_simulator_answers_as_its_page_says() {
    let page = Page::read("cloudsim/README.md");
    let clone = clone();
    build();
    let [address] = free();
    let by = [("127.0.0.1:8080", &*address)];
    let [start] = page.all_commands("cloudsim");
    let start = page.replaced(start, &by);
    let [(command, said)] = &console(&start)[..] else {
        panic!("{start}")
    };
    let log = clone.path().join("said");
    let programs = clone.path().join("target/debug");
    let mut simulator = bash(&format!("exec {command}"), clone.path(), &programs)
        .stdout(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    until("the simulator's line", SOON, async || {
        let text = fs::read_to_string(&log).unwrap();
        let found = text.lines().eq(said.iter().copied());
        found.then_some(()).ok_or(text)
    })
    .await;

    let [fault] = page.all_commands("The admin API");
    // Else curl is content with a refusal.
    let strict = page.replaced(fault, &by).replace("curl ", "curl --fail ");
    let told = bash(&strict, clone.path(), &programs)
        .output()
        .await
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let look = format!("curl --fail http://{address}/_sim/faults");
    let faults = bash(&look, clone.path(), &programs).output();
    let faults = String::from_utf8(faults.await.unwrap().stdout).unwrap();
    assert!(faults.contains("throttle"), "{faults}");
    simulator.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_tried_without_an_account_as_the_page_says() {
    let page = Page::read("cloudsim/README.md");
    let clone = clone();
    build();
    let [cloud, operator] = free();
    let by = [("127.0.0.1:8180", &*cloud), ("127.0.0.1:8181", &*operator)];
    let [all] = page.all_commands("Trying the operator without an account");
    let all = page.replaced(all, &by);
    let kubectl = devcluster::kubectl().await.unwrap();
    let end = "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT";
    let mut script = bash(
        &format!("{end}\n{all}"),
        clone.path(),
        kubectl.parent().unwrap(),
    );
    let output = script.output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let last = "externalcloudsecret.cloudsecrets.dev/db condition met";
    assert!(
        said.contains(last),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
