//! What is done with the image, and what must come of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudsim::{OidcProvider, Simulator};
use devcluster::{Binary, Cluster, NODE, Options};
use serde_json::{Value, json};

use crate::node::{IMAGE, Node};
use crate::tools::{Tools, within};

const HOME: &str = "external-cloud-secrets";
const PROVIDER: &str = "ack-rrsa-c1234567890";
const ROLE: &str = "acs:ram::1234567890123456:role/pod";
const KEY: &str = "/shop/db/password";

/// How long a Pod may take to stop: the chart's `terminationGracePeriodSeconds`, which an operator that heeds SIGTERM does not need.
const GRACE: Duration = Duration::from_secs(30);
/// How soon a stopped leader is replaced, with what this machine adds (docs/install.md says 2 seconds).
const HANDED_OVER: Duration = Duration::from_secs(8);
/// How soon a dead one is (docs/install.md says 14 seconds).
const TAKEN_OVER: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(60);

/// Everything that the story needs, in the order in which it goes.
struct Stage {
    node: Node,
    cloud: Simulator,
    tools: Tools,
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

/// Tells it all.
pub async fn tell(network: &Path, images: &[PathBuf]) {
    let mut stage = Stage::set(network, images).await;
    let told = {
        let story = std::panic::AssertUnwindSafe(stage.play());
        futures::FutureExt::catch_unwind(story).await
    };
    if let Err(reason) = told {
        eprintln!("{}", stage.report());
        std::panic::resume_unwind(reason);
    }
    stage.strike().await;
}

impl Stage {
    async fn set(network: &Path, images: &[PathBuf]) -> Self {
        let cluster = Cluster::start(Options {
            workloads: true,
            ..Options::new(true)
        })
        .await
        .unwrap();
        let options = cloudsim::Options {
            oidc_ca_pem: Some(String::from_utf8(cluster.ca_pem().to_vec()).unwrap()),
            ..cloudsim::Options::default()
        };
        let cloud = Simulator::start(include_str!("seed.yaml"), options)
            .await
            .unwrap();
        let provider = json!({ "name": PROVIDER, "issuer": cluster.issuer(), "client_ids": ["sts.aliyuncs.com"] });
        let provider: OidcProvider = serde_json::from_value(provider).unwrap();
        let provider = cloud.put_oidc_provider(provider).unwrap();
        assert!(provider.ends_with(PROVIDER), "{provider}");

        // Sockets lie in it, and their paths may not be long.
        let dir = tempfile::Builder::new()
            .prefix("test-pod-")
            .tempdir()
            .unwrap();
        let tools = Tools {
            kubectl: devcluster::kubectl().await.unwrap(),
            helm: devcluster::helm(Binary::Helm4).await.unwrap(),
            kubeconfig: cluster.kubeconfig_path().to_owned(),
            home: dir.path().to_owned(),
        };
        let node = Node::start(dir.path(), &cluster, &cloud, network, images).await;
        Self {
            node,
            cloud,
            tools,
            cluster,
            _dir: dir,
        }
    }

    async fn play(&mut self) {
        self.join().await;
        self.install();
        self.read_a_secret().await;
        self.stop_the_leader().await;
        self.kill_the_leader().await;
        self.uninstall().await;
    }

    async fn join(&mut self) {
        let Self { node, tools, .. } = self;
        let ready = || {
            node.check();
            let nodes = tools.get("nodes");
            let conditions = nodes["items"][0]["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .find(|condition| condition["type"] == "Ready");
            match ready {
                Some(condition) if condition["status"] == "True" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        };
        let ((), took) = within(SOON, "the node", ready).await;
        say(&format!("node {NODE} is Ready after {took:.1?}"));
    }

    fn install(&self) {
        let values = json!({
            "image": { "repository": IMAGE, "tag": env!("CARGO_PKG_VERSION"), "pullPolicy": "Never" },
            "clusterName": "test-pod",
            "identity": { "rrsa": {
                "enabled": true,
                "roleArn": ROLE,
                "oidcProviderArn": format!("acs:ram::1234567890123456:oidc-provider/{PROVIDER}"),
            } },
            "extraArgs": ["--allow-insecure-endpoints"],
        });
        let arguments = format!(
            "install {HOME} charts/external-cloud-secrets --namespace {HOME} --create-namespace --wait --timeout 3m --values -"
        );
        self.tools.helm(&arguments, &values.to_string());
        let pods = self.pods();
        assert_eq!(pods.len(), 2, "{pods:?}");
        for pod in &pods {
            let status = &pod["status"]["containerStatuses"][0];
            assert_eq!(
                (&status["ready"], &status["restartCount"]),
                (&json!(true), &json!(0))
            );
        }
        say("the chart is installed, and both replicas are Ready");
    }

    async fn read_a_secret(&self) {
        self.tools.apply(include_str!("objects.yaml"));
        let took = self.arrives("canary-pod-first").await;
        say(&format!("the first value arrived after {took:.1?}"));
        let ledger = self.cloud.ledger();
        let exchange = ledger
            .recent
            .iter()
            .find(|call| call.action == "AssumeRoleWithOIDC")
            .unwrap();
        assert_eq!(exchange.outcome, "OK", "{exchange:?}");
        say("by the token that the kubelet projects into the Pod");
    }

    async fn stop_the_leader(&self) {
        let leader = self.leader().unwrap();
        let code = "{.status.containerStatuses[0].state.terminated.exitCode}|";
        let mut codes = self.tools.watch(&format!(
            "-n {HOME} get pod {leader} --watch -o jsonpath={code}"
        ));
        self.tools
            .kubectl(&format!("-n {HOME} delete pod {leader} --wait=false"));
        let (next, took) = within(HANDED_OVER, "another leader", || match self.leader() {
            Ok(next) if next != leader => Ok(next),
            other => Err(format!("{other:?}")),
        })
        .await;
        say(&format!(
            "the leader was told to stop; {next} leads after {took:.1?}"
        ));
        let gone = || {
            let pods = self.pods();
            let there = pods.iter().any(|pod| pod["metadata"]["name"] == *leader);
            (!there).then_some(()).ok_or("it is there".to_owned())
        };
        let ((), took) = within(GRACE / 2, "the end of the Pod that was stopped", gone).await;
        say(&format!(
            "its Pod is gone after {took:.1?} more, of {GRACE:?} that it had"
        ));
        codes.kill().unwrap();
        let codes = String::from_utf8(codes.wait_with_output().unwrap().stdout).unwrap();
        let last = codes.split('|').rfind(|code| !code.is_empty());
        assert_eq!(last, Some("0"), "it ended by itself, and well: {codes}");
        self.cloud.put_parameter(KEY, "canary-pod-second").unwrap();
        self.refresh("second");
        let took = self.arrives("canary-pod-second").await;
        say(&format!(
            "the new leader wrote the next value after {took:.1?}"
        ));
        self.both_ready().await;
    }

    async fn kill_the_leader(&self) {
        let leader = self.leader().unwrap();
        let pod = self.tools.get(&format!("-n {HOME} pod {leader}"));
        let container = pod["status"]["containerStatuses"][0]["containerID"]
            .as_str()
            .unwrap();
        self.node
            .kill(container.trim_start_matches("containerd://"));
        self.cloud.put_parameter(KEY, "canary-pod-third").unwrap();
        self.refresh("third");
        let (next, took) = within(TAKEN_OVER, "another leader", || match self.leader() {
            Ok(next) if next != leader => Ok(next),
            other => Err(format!("{other:?}")),
        })
        .await;
        say(&format!(
            "the leader was killed; {next} leads after {took:.1?}"
        ));
        let took = self.arrives("canary-pod-third").await;
        say(&format!("and wrote the next value after {took:.1?} more"));
        self.both_ready().await;
        let pod = self.tools.get(&format!("-n {HOME} pod {leader}"));
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        assert_eq!(restarts, &json!(1), "the kubelet starts it again");
    }

    async fn uninstall(&self) {
        self.tools
            .helm(&format!("uninstall {HOME} --namespace {HOME} --wait"), "");
        let gone = || match self.pods().len() {
            0 => Ok(()),
            count => Err(format!("{count} Pods")),
        };
        within(GRACE, "the end of all Pods", gone).await;
        assert_eq!(self.value().unwrap(), "canary-pod-third");
        say("the chart is uninstalled, and the Secret is still there");
    }

    fn pods(&self) -> Vec<Value> {
        let pods = self.tools.get(&format!("-n {HOME} pods"));
        pods["items"].as_array().unwrap().clone()
    }

    fn leader(&self) -> Result<String, String> {
        let lease = self.tools.get(&format!("-n {HOME} lease {HOME}"));
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let pods = self.pods();
        let names = pods
            .iter()
            .filter_map(|pod| pod["metadata"]["name"].as_str());
        let leader = names.into_iter().find(|name| holder.starts_with(name));
        leader
            .map(str::to_owned)
            .ok_or_else(|| format!("the Lease is held by {holder:?}"))
    }

    fn refresh(&self, mark: &str) {
        let annotation = format!("cloudsecrets.dev/refresh={mark}");
        self.tools.kubectl(&format!(
            "-n shop annotate externalcloudsecret db --overwrite {annotation}"
        ));
    }

    fn value(&self) -> Result<String, String> {
        let secrets = self.tools.get("-n shop secrets");
        let secrets = secrets["items"].as_array().unwrap();
        let secret = secrets
            .iter()
            .find(|secret| secret["metadata"]["name"] == "db-credentials");
        let encoded = secret.and_then(|secret| secret["data"]["password"].as_str());
        let decoded = STANDARD
            .decode(encoded.ok_or("there is no Secret")?)
            .unwrap();
        Ok(String::from_utf8(decoded).unwrap())
    }

    async fn arrives(&self, expected: &str) -> Duration {
        let arrived = || match self.value()? {
            value if value == expected => Ok(()),
            other => Err(other),
        };
        within(SOON, expected, arrived).await.1
    }

    async fn both_ready(&self) {
        let ready = || {
            let deployment = self.tools.get(&format!("-n {HOME} deployment {HOME}"));
            match deployment["status"]["readyReplicas"].as_u64() {
                Some(2) if self.pods().len() == 2 => Ok(()),
                other => Err(format!("{other:?} replicas ready")),
            }
        };
        within(SOON, "both replicas", ready).await;
    }

    /// What whoever has to find out wants to see; values are in none of it.
    fn report(&self) -> String {
        let pods = self.tools.kubectl("describe nodes,pods -A");
        let events = self.tools.kubectl("get events -A");
        let objects = self.tools.kubectl("get cloudsecrets -A -o yaml");
        format!("{}\n{pods}\n{events}\n{objects}", self.node.logs())
    }

    async fn strike(self) {
        let Self { node, cluster, .. } = self;
        drop(node);
        cluster.stop().await;
    }
}

fn say(text: &str) {
    println!("test-pod: {text}");
}
