//! Values that are refused, and by which path they are told.

use clap::CommandFactory;
use devcluster::Binary;
use external_cloud_secrets::args::Cli;
use serde_json::{Value, json};

use super::generated::{chart, read};
use super::golden::sets;
use super::helm::{Helm, find};

/// Flags that have no value of their own: the Pod's namespace comes from the Pod, and these two are for simulators.
const WITHOUT_VALUE: [&str; 3] = [
    "namespace",
    "allow-insecure-endpoints",
    "instance-metadata-url",
];

/// Both versions of Helm refuse each of these values, with these words.
async fn are_refused(wrong: &[(Value, &str)]) {
    for version in [Binary::Helm3, Binary::Helm4] {
        let helm = Helm::new(version).await;
        for (values, told) in wrong {
            let said = helm.template(values, &[]);
            assert!(!said.success, "{values}");
            assert!(said.err.contains(told), "{values}: {}", said.err);
        }
    }
}

#[tokio::test]
async fn a_wrong_key_or_type_is_refused_with_its_path() {
    let wrong = [
        (json!({ "replica": 2 }), "'replica' not allowed"),
        (json!({ "replicas": "2" }), "at '/replicas'"),
        (json!({ "image": { "tga": "x" } }), "at '/image'"),
        (
            json!({ "image": { "digest": "sha256:1" } }),
            "at '/image/digest'",
        ),
        (
            json!({ "alibabaAccountId": 1_234_567_890_123_456_u64 }),
            "at '/alibabaAccountId'",
        ),
        (json!({ "quotaShare": 1.5 }), "at '/quotaShare'"),
        (
            json!({ "watchNamespaces": "shop" }),
            "at '/watchNamespaces'",
        ),
        (
            json!({ "watchNamespaces": ["Shop"] }),
            "at '/watchNamespaces/0'",
        ),
        (
            json!({ "allowedTokenAudiences": [] }),
            "at '/allowedTokenAudiences'",
        ),
        (
            json!({ "allowedTokenAudiences": [""] }),
            "at '/allowedTokenAudiences/0'",
        ),
        (
            json!({ "identity": { "serviceAccounts": [{ "name": "x" }] } }),
            "at '/identity/serviceAccounts/0'",
        ),
        (
            json!({ "identity": { "rrsa": { "roleArn": "shop" } } }),
            "at '/identity/rrsa/roleArn'",
        ),
        (json!({ "log": { "level": "loud" } }), "at '/log/level'"),
        (
            json!({ "podDisruptionBudget": { "maxUnavailable": "x" } }),
            "at '/podDisruptionBudget/maxUnavailable'",
        ),
        (
            json!({ "commonLabels": { "app.kubernetes.io/version": "1" } }),
            "at '/commonLabels/app.kubernetes.io~1version'",
        ),
        (
            json!({ "podLabels": { "app.kubernetes.io/name": "x" } }),
            "at '/podLabels/app.kubernetes.io~1name'",
        ),
        (
            json!({ "hostAliases": [{ "ip": "192.0.2.1" }] }),
            "at '/hostAliases/0'",
        ),
    ];
    are_refused(&wrong).await;
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_with_its_path() {
    let wrong = [
        (
            json!({ "image": { "repository": "" } }),
            "image.repository: required",
        ),
        (
            json!({ "serviceAccount": { "create": false } }),
            "serviceAccount.name: required",
        ),
        (
            json!({
                "serviceAccount": { "create": false, "name": "own" },
                "identity": { "rrsa": { "enabled": true, "webhook": true, "roleArn": "acs:ram::1:role/x" } },
            }),
            "identity.rrsa.webhook: annotates",
        ),
        (
            json!({ "metrics": { "serviceMonitor": { "enabled": true }, "podMonitor": { "enabled": true } } }),
            "metrics.podMonitor.enabled: not with",
        ),
        (json!({ "clusterStores": false }), "clusterName: required"),
        (
            json!({ "watchNamespaces": ["shop"] }),
            "clusterName: required",
        ),
        (
            json!({ "clusterName": "c", "watchNamespaces": ["shop"], "identity": { "serviceAccounts": [{ "namespace": "other", "name": "x" }] } }),
            "identity.serviceAccounts.0.namespace: other",
        ),
        (
            json!({ "clusterName": "c", "watchNamespaces": ["secrets-system"] }),
            "watchNamespaces: ",
        ),
        (
            json!({ "identity": { "rrsa": { "enabled": true, "webhook": true } } }),
            "identity.rrsa.roleArn: required",
        ),
        (
            json!({ "metrics": { "service": { "enabled": false }, "serviceMonitor": { "enabled": true } } }),
            "metrics.serviceMonitor.enabled: needs",
        ),
    ];
    are_refused(&wrong).await;
}

/// The paths of a schema's closed objects and what is in them.
fn keys(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        keys(schema, &path, found);
        found.push(path);
    }
}

#[test]
fn the_schema_knows_the_values_and_no_others() {
    let schema: Value = serde_json::from_str(&read(&chart().join("values.schema.json"))).unwrap();
    let values: Value = serde_saphyr::from_str(&read(&chart().join("values.yaml"))).unwrap();
    let mut known = Vec::new();
    keys(&schema, "", &mut known);
    let optional = ["initialDelaySeconds", "successThreshold"];
    for path in &known {
        // `global` is Helm's own, for charts that have this one as a part.
        let absent = path == "/global" || optional.iter().any(|name| path.ends_with(name));
        assert_eq!(values.pointer(path).is_none(), absent, "{path}");
    }
    let mut beyond = values.clone();
    for path in known.iter().filter(|path| values.pointer(path).is_some()) {
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = beyond.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.unwrap().remove(key);
    }
    assert_eq!(beyond, json!({}), "values without a schema");
}

#[tokio::test]
async fn every_flag_of_the_operator_has_its_value() {
    let helm = Helm::new(Binary::Helm4).await;
    let mut args = String::new();
    for values in sets().values() {
        let mut values = values.clone();
        values.as_object_mut().unwrap().remove("extraArgs");
        let objects = helm.objects(&values);
        let deployment = find(&objects, "Deployment", "").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        args += &container["args"].to_string();
    }
    let mut cli = Cli::command();
    cli.build();
    let run = cli.find_subcommand("run").unwrap();
    for flag in run.get_arguments().filter_map(clap::Arg::get_long) {
        let given =
            args.contains(&format!("\"--{flag}\"")) || args.contains(&format!("\"--{flag}="));
        let expected = flag != "help" && !WITHOUT_VALUE.contains(&flag);
        assert_eq!(given, expected, "--{flag}");
    }
}

#[tokio::test]
async fn the_operator_takes_the_arguments_that_it_is_given() {
    use clap::Parser;
    let helm = Helm::new(Binary::Helm4).await;
    for (name, values) in sets() {
        let objects = helm.objects(&values);
        let deployment = find(&objects, "Deployment", "").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let args = container["args"].as_array().unwrap();
        let args = args.iter().map(|arg| arg.as_str().unwrap());
        let parsed = Cli::try_parse_from(std::iter::once("external-cloud-secrets").chain(args));
        assert!(parsed.is_ok(), "{name}: {}", parsed.unwrap_err());
    }
}
