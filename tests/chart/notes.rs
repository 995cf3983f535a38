//! What Helm prints when it is done: commands that work as they are.

use devcluster::{Binary, Cluster, OPERATOR, Options};
use external_cloud_secrets::cli::crds::crds_yaml;
use serde_json::json;

use super::end_to_end::kubectl::Kubectl;
use super::generated::chart;
use super::helm::Helm;
use super::release::{HOME, install};

#[tokio::test]
async fn the_next_commands_can_be_pasted() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    cluster.apply_crds(&crds_yaml().unwrap()).await.unwrap();
    let kubectl = Kubectl::of(&cluster).await;
    let helm = Helm::of(Binary::Helm4, &cluster).await;
    let apart = json!({ "install": false });
    let of_a_class = json!({
        "crds": apart, "controllerClass": "on",
        "identity": { "serviceAccounts": [{ "namespace": "1e3", "name": "reader" }] },
    });
    let narrow = json!({ "crds": apart, "clusterName": "test", "watchNamespaces": ["served"] });
    for (values, namespace, account, class) in [
        (json!({ "crds": apart }), "shop", "shop", None),
        (of_a_class, "1e3", "reader", Some("on")),
        (narrow, "served", "shop", None),
    ] {
        kubectl.print(&["create", "namespace", namespace]).await;
        let said = install(&helm, OPERATOR, &chart(), &values, &[]);
        assert!(said.success, "{}", said.err);
        let (_, notes) = said.out.split_once("NOTES:\n").unwrap();
        let begin = notes.find("kubectl apply").unwrap();
        let end = notes.find("kubectl explain").unwrap();
        let commands = notes[begin..end].trim_end_matches(['`', '\n', ' ']);
        let printed = kubectl.run_here(commands).await;
        assert!(printed.contains("externalcloudsecret.cloudsecrets.dev/first created"));
        let store = ["-n", namespace, "get", "cloudsecretstore", "first"];
        let store = kubectl.json(&store).await;
        let auth = &store["spec"]["auth"]["rrsa"]["serviceAccountRef"];
        assert_eq!(auth["name"], account);
        assert_eq!(store["spec"]["controller"].as_str(), class);
        helm.done(&["uninstall", OPERATOR, "--namespace", HOME]);
    }
}
