//! Facts that stand in two places: the chart, the pages and the program say the same.

use clap::{ArgAction, CommandFactory, Parser};
use devcluster::Binary;
use external_cloud_secrets::args::Cli;
use serde_json::Value;

use super::generated::{chart, read, root};
use super::helm::{Helm, find, objects};

/// The page on installation.
fn install() -> String {
    read(&root().join("docs/install.md"))
}

/// The Deployment that the chart makes by default.
async fn deployment() -> Value {
    let objects = Helm::new(Binary::Helm4).await.objects(&Value::Null);
    find(&objects, "Deployment", "").unwrap().clone()
}

/// What of `some` is not in `all`, by path.
fn beyond(some: &Value, all: &Value, path: &str, found: &mut Vec<String>) {
    match (some, all) {
        (Value::Object(some), Value::Object(_)) => {
            for (key, value) in some {
                beyond(value, &all[key], &format!("{path}/{key}"), found);
            }
        }
        (Value::Array(some), Value::Array(all)) => {
            for (index, one) in some.iter().enumerate() {
                let path = format!("{path}/{index}");
                let within = |all: &Value| {
                    let mut found = Vec::new();
                    beyond(one, all, &path, &mut found);
                    found
                };
                // A list of objects may hold others besides.
                let least = all.iter().map(within).min_by_key(Vec::len);
                found.extend(least.unwrap_or_else(|| vec![path.clone()]));
            }
        }
        _ if some == all => {}
        _ => found.push(format!("{path}: {some} is not {all}")),
    }
}

#[tokio::test]
async fn the_deployment_on_the_page_is_the_charts() {
    let text = install();
    let blocks = text.split("```yaml\n").skip(1);
    let mut shown: Vec<Value> = blocks
        .flat_map(|block| objects(block.split("```").next().unwrap()))
        .filter(|object| object["kind"] == "Deployment")
        .collect();
    let [shown] = &mut shown[..] else {
        panic!("not one Deployment")
    };
    let ours = deployment().await;
    // Where it is, how the cluster is called and where the image is, is everybody's own.
    shown["metadata"]["namespace"] = ours["metadata"]["namespace"].clone();
    let container = "/spec/template/spec/containers/0";
    let one = shown.pointer_mut(container).and_then(Value::as_object_mut);
    let one = one.unwrap();
    assert_eq!(one.remove("args").unwrap()[0], "run");
    assert!(one.remove("image").is_some());
    let mut found = Vec::new();
    beyond(shown, &ours, "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    for whole in ["resources", "securityContext"] {
        let of = |deployment: &Value| deployment.pointer(container).unwrap()[whole].clone();
        assert_eq!(of(shown), of(&ours), "{whole}");
    }
}

#[tokio::test]
async fn the_default_pod_runs_as_the_program_does_without_flags() {
    let deployment = deployment().await;
    let pod = &deployment["spec"]["template"]["spec"];
    let args = pod["containers"][0]["args"].as_array().unwrap();
    let args: Vec<&str> = args.iter().map(|arg| arg.as_str().unwrap()).collect();
    assert!(args.len() > 5, "{args:?}");
    let parsed = |args: &[&str]| {
        let words = std::iter::once(&"external-cloud-secrets").chain(args);
        format!("{:?}", Cli::try_parse_from(words).unwrap().command)
    };
    assert_eq!(parsed(&args), parsed(&["run"]));
}

#[test]
fn the_table_of_flags_says_each_default() {
    let text = install();
    let mut cli = Cli::command();
    cli.build();
    let run = cli.find_subcommand("run").unwrap();
    let mut told = 0;
    for flag in run.get_arguments() {
        let Some(name) = flag.get_long().filter(|name| *name != "help") else {
            continue;
        };
        let row = text.split(&format!("\n| `--{name}` | ")).nth(1).unwrap();
        let row = row.lines().next().unwrap();
        let said = row.split("default `").nth(1);
        let said = said.map(|rest| rest.split('`').next().unwrap());
        // One that takes no value is off by default.
        let switch = matches!(flag.get_action(), ArgAction::SetTrue);
        let default = flag.get_default_values().first().filter(|_| !switch);
        let default = default.map(|value| value.to_str().unwrap());
        assert_eq!(said, default, "--{name}");
        told += usize::from(said.is_some());
    }
    assert!(told > 5, "{told}");
}

#[test]
fn every_version_on_the_page_is_this_one() {
    let text = install();
    let mut seen = 0;
    for before in [
        "external-cloud-secrets:",
        "external-cloud-secrets-",
        "--version ",
        "tag: ",
    ] {
        for rest in text.split(before).skip(1) {
            let version = rest.split(|c: char| !c.is_ascii_digit() && c != '.');
            let version = version.map(|text| text.trim_matches('.')).next().unwrap();
            if version.contains('.') {
                assert_eq!(version, env!("CARGO_PKG_VERSION"), "{before}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, text.matches(env!("CARGO_PKG_VERSION")).count());
    assert!(seen > 5, "{seen}");
}

#[test]
fn what_the_operator_needs_is_what_was_measured() {
    let values = read(&chart().join("values.yaml"));
    let said = values.split("# What the operator needs: ").nth(1).unwrap();
    let said = said.lines().next().unwrap();
    let page = read(&root().join("docs/scale.md"));
    let figures: Vec<&str> = said.split(", and ").collect();
    let [idle, more] = figures[..] else {
        panic!("{said}")
    };
    let more = more.split(" for ").next().unwrap();
    let measured = format!("Memory is {idle} and then about {more} an object");
    assert!(page.contains(&measured), "{measured}");
}
