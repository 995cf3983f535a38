//! The command line: what it refuses and why, what it explains, and what it prints.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::world::World;

/// How long the operator may take to say why it cannot start.
const REFUSED: Duration = Duration::from_secs(15);

/// A start with these arguments ends soon, with a line that has these words.
fn is_refused(args: &[String], kubeconfig: Option<PathBuf>, words: &[String]) {
    let start = Instant::now();
    let mut command = program();
    command.arg("run");
    if !args.iter().any(|arg| arg == "--http-address") {
        command.args(["--http-address", "127.0.0.1:0"]);
    }
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    let output = command.args(args).output().unwrap();
    let first = reason(&output);
    assert!(!output.status.success(), "{args:?} was accepted");
    assert!(!first.contains("canary-proxy"), "{first}");
    for word in words {
        assert!(first.contains(word), "{args:?}: {word} is not in: {first}");
    }
    assert!(start.elapsed() < REFUSED, "{args:?}: {:?}", start.elapsed());
}

/// The kubeconfig with a proxy to the API server, which has a password.
fn behind_proxy(kubeconfig: &str, server: &str) -> String {
    let is_server = |line: &&str| line.contains("server: ");
    let line = kubeconfig.lines().find(is_server).unwrap();
    let proxy = line.replace("server: ", "proxy-url: ").replace("- ", "  ");
    let proxy = proxy.replace(server, "http://user:canary-proxy@127.0.0.1:1");
    kubeconfig.replace(line, &format!("{line}\n{proxy}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_succeed_says_why_in_one_line() {
    let world = World::shared().await;
    let operator = world
        .operator
        .lock()
        .await
        .as_ref()
        .unwrap()
        .setup()
        .clone();
    let kubeconfig = operator.kubeconfig.clone();
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let dir = TempDir::new().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy_address = busy.local_addr().unwrap().to_string();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let closed = "https://127.0.0.1:1";
    let server = world.cluster.server();
    let at = |url: &str| text.replace(server, url);
    let forged = text.replace("token: ", "token: x");
    let good = kubeconfig.to_str().unwrap().to_owned();
    let cases: Vec<(Vec<&str>, Option<PathBuf>, Vec<&str>)> = vec![
        (vec!["--no-such-flag"], None, vec!["--no-such-flag"]),
        (
            vec!["--http-address", "nowhere"],
            None,
            vec!["--http-address", "nowhere"],
        ),
        (vec!["--cluster-name", "a b"], None, vec!["--cluster-name"]),
        (
            vec!["--allowed-token-audiences", ""],
            None,
            vec!["--allowed-token-audiences"],
        ),
        (
            vec!["--allowed-endpoint-suffixes", "com"],
            Some(good.clone().into()),
            vec!["--allowed-endpoint-suffixes", "com"],
        ),
        (
            vec!["--http-address", &busy_address],
            Some(good.clone().into()),
            vec!["--http-address", &busy_address],
        ),
        (
            vec!["--namespace", "no-such-namespace"],
            Some(good.clone().into()),
            vec!["no-such-namespace", "--namespace"],
        ),
        (vec![], None, vec!["KUBECONFIG"]),
        (
            vec![],
            Some(dir.path().join("none")),
            vec!["KUBECONFIG", "none", "read"],
        ),
        (
            vec![],
            Some(file("garbage", "a: [b")),
            vec!["KUBECONFIG", "garbage"],
        ),
        (vec![], Some(file("closed", &at(closed))), vec![closed]),
        (
            vec![],
            Some(file("silent", &at(&silent_url))),
            vec![&silent_url, "10 s"],
        ),
        (vec![], Some(file("forged", &forged)), vec![server, "401"]),
        (
            vec![],
            Some(file("proxied", &behind_proxy(&text, server))),
            vec!["proxy-url"],
        ),
    ];
    let runs = cases.into_iter().map(|(args, kubeconfig, words)| {
        let args: Vec<String> = args.into_iter().map(ToOwned::to_owned).collect();
        let words: Vec<String> = words.into_iter().map(ToOwned::to_owned).collect();
        tokio::task::spawn_blocking(move || is_refused(&args, kubeconfig, &words))
    });
    for run in futures::future::join_all(runs).await {
        run.unwrap();
    }
    drop((busy, silent));
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused_in_one_line() {
    for filter in ["info,=", "external_cloud_secrets=loud", "a=b=c"] {
        let output = program()
            .arg("run")
            .env("RUST_LOG", filter)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{filter}");
        assert!(reason(&output).contains("RUST_LOG"), "{filter}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).lines().count(),
            1,
            "{filter}"
        );
    }
}

#[test]
fn help_lists_every_flag_with_its_variable() {
    let output = program().args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let command = <external_cloud_secrets::args::Cli as clap::CommandFactory>::command();
    let run = command.find_subcommand("run").unwrap();
    let mut flags = 0;
    for argument in run
        .get_arguments()
        .filter(|argument| argument.get_id() != "help")
    {
        let flag = format!("--{}", argument.get_long().unwrap());
        let variable = argument.get_env().expect(&flag).to_str().unwrap();
        let expected = match &*flag {
            "--namespace" => "POD_NAMESPACE".to_owned(),
            _ => flag[2..].to_uppercase().replace('-', "_"),
        };
        assert_eq!(variable, expected);
        assert!(
            help.contains(&flag) && help.contains(&format!("[env: {variable}=]")),
            "{flag}"
        );
        flags += 1;
    }
    assert!(flags > 8, "{flags}");
    assert!(help.contains("RUST_LOG"));
    let all = program().arg("--help").output().unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    for command in ["run", "crds", "--http-address"] {
        assert!(all.contains(command), "{command}");
    }
}

#[test]
fn crds_prints_and_writes_what_is_committed() {
    let printed = program().arg("crds").output().unwrap();
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    let dir = TempDir::new().unwrap();
    let written = program()
        .arg("crds")
        .arg("--dir")
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(written.status.success());
    let told = String::from_utf8(written.stdout).unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/crds")).unwrap() {
        let path = entry.unwrap().path();
        let committed = std::fs::read_to_string(&path).unwrap();
        let ours = dir.path().join(path.file_name().unwrap());
        assert!(
            told.contains(&format!("wrote {}\n", ours.display())),
            "{told}"
        );
        let ours = std::fs::read_to_string(ours).unwrap();
        assert!(
            committed == ours,
            "{} is out of date: run make crds",
            path.display()
        );
        assert!(
            printed.contains(&committed),
            "{} is not printed",
            path.display()
        );
        files += 1;
    }
    assert_eq!(files, std::fs::read_dir(dir.path()).unwrap().count());
}

/// The operator's program, without any variable of ours.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_external-cloud-secrets"));
    command.env_clear();
    command
}

/// What the user reads: the line that says `error:`.
fn reason(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    let reasons: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(reasons.len(), 1, "{text}");
    reasons[0].to_owned()
}
