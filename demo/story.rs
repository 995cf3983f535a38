//! What the demo shows, step by step.

use std::collections::BTreeMap;
use std::time::Instant;

use cloudsim::{Admin, Effect, Fault, Filter};
use devcluster::Cluster;
use external_cloud_secrets::api::{ExternalCloudSecret, condition, names};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::kubectl::Kubectl;
use crate::scene::{ACCOUNT, BOOKS, LEDGER, NAMESPACE, OBJECT, PAY, SECRET, SOON, Scene, stamp};
use crate::stage::{self, HOME, SEED, Stage};
use crate::tell::{self, command, duration, output, step, text};
use crate::wait::seen;

/// The folders of the examples.
const EXAMPLES: [&str; 4] = ["rrsa", "kms", "ssm", "access-key"];

/// Tells it all.
pub async fn tell(stage: &mut Stage, keep: bool) -> Result<()> {
    step("1. A Kubernetes API server and a cloud, on this machine only");
    let cluster = start_cluster(stage).await?;
    let (cloud, cloud_url) = start_cloud(stage, &cluster).await?;

    let kubectl = devcluster::kubectl().await?;
    let scene = Scene {
        client: cluster.client()?,
        kubectl: Kubectl {
            path: kubectl,
            kubeconfig: cluster.kubeconfig_path().into(),
        },
        cloud,
        cloud_url,
    };
    step("2. The operator");
    let operator_url = scene.start_operator(stage, &cluster).await?;
    step("3. Objects become Secrets");
    scene.apply_examples().await?;
    step("4. What came of it");
    scene.show(stage).await?;
    step("5. Passwords change in the cloud");
    scene.rotate_parameter().await?;
    scene.rotate_account().await?;
    scene.add_version().await?;
    step("6. The cloud goes away");
    scene.outage().await?;
    step("7. The object is deleted");
    scene.delete().await?;
    if keep {
        scene.hand_over(stage, &operator_url).await?;
    }
    Ok(())
}

async fn start_cluster(stage: &mut Stage) -> Result<Cluster> {
    text(
        "A real etcd, kube-apiserver and kube-controller-manager, listening on loopback only. The custom resource",
    );
    text("definitions are installed at once; in a cluster of yours: kubectl apply -f crds/");
    command(&format!(
        "devcluster up --with-controllers --crds crds --dir {}/cluster",
        stage.dir.display()
    ));
    stage.cluster().await
}

async fn start_cloud(stage: &mut Stage, cluster: &Cluster) -> Result<(Admin, String)> {
    text(
        "\ncloudsim stands for Alibaba Cloud and Tencent Cloud: it verifies every signature, token and permission.",
    );
    text("Their accounts, roles, access key, parameters and secrets are in demo/seed.yaml.");
    command("cloudsim --seed demo/seed.yaml --oidc-ca CLUSTER_CA");
    let url = stage.cloud(cluster).await?;
    output(&format!("cloudsim: listening on {url}"));
    let cloud = Admin::new(&url)?;
    let arn = stage::register(&cloud, cluster).await?;
    text(
        "\nThe accounts are told to trust tokens of this cluster, which ACK and TKE do when that is switched on:",
    );
    output(&arn);
    output(&stage::register_with_tencent(&cloud, cluster).await?);
    Ok((cloud, url))
}

// === impl Scene ===

impl Scene {
    async fn start_operator(&self, stage: &mut Stage, cluster: &Cluster) -> Result<String> {
        text("The release binary runs as its own ServiceAccount, with the permissions of");
        text(
            "charts/external-cloud-secrets/rbac.yaml and no others. --allow-insecure-endpoints lets it talk to cloudsim,",
        );
        text(
            "which is neither https nor a host of either cloud; a real installation never has that flag.",
        );
        for folder in ["rrsa", "kms", "ssm"] {
            let files = format!(
                "apply -f examples/{folder}/namespace.yaml -f examples/{folder}/serviceaccount.yaml"
            );
            self.kubectl.show(&files).await?;
        }
        self.kubectl
            .show("apply -f examples/access-key/namespace.yaml")
            .await?;
        command(&format!(
            "external-cloud-secrets run --namespace {HOME} --cluster-name demo --allow-insecure-endpoints"
        ));
        let (account, url) = stage.operator(cluster).await?;
        if let Some(program) = stage.program("operator") {
            output(&program.last_lines(3));
        }
        for namespace in [NAMESPACE, PAY, LEDGER] {
            account.grant_tokens(namespace, &[namespace]).await?;
        }
        text(
            "\nIt may request tokens of three ServiceAccounts, shop/shop, pay/pay and ledger/ledger, which stores below name.",
        );
        Ok(url)
    }

    async fn apply_examples(&self) -> Result<()> {
        self.access_key().await?;
        text(
            "\nThe files under examples/ are applied as they are, except for this: in a real cloud the stores need no",
        );
        text("endpoint, and here the demo adds one to each, so that cloudsim is called:");
        output(&format!(
            "spec.provider.*.endpoint: {}   (of oos, kms and ssm)",
            self.cloud_url
        ));
        output(&format!(
            "spec.auth.stsEndpoint:    {}   (where there is a token to exchange)",
            self.cloud_url
        ));
        let paths = EXAMPLES.map(|folder| format!("examples/{folder}/store.yaml"));
        command(&format!("kubectl apply -f {}", paths.join(" -f ")));
        let mut stores = String::new();
        for path in paths {
            stores.push_str("---\n");
            stores.push_str(&self.at_the_simulator(&path)?);
        }
        output(
            &self
                .kubectl
                .run(&["apply", "-f", "-"], Some(&stores))
                .await?,
        );

        let there = |object: Option<&ExternalCloudSecret>| object.is_some();
        let made = |secret: Option<&Secret>| secret.is_some();
        let files = EXAMPLES.map(|folder| format!("examples/{folder}/secret.yaml"));
        let files = format!("apply -f {}", files.join(" -f "));
        let (applied, arrived, shown) = tokio::join!(
            seen("the object", SOON, self.objects(), OBJECT, there),
            seen("the Secret", SOON, self.secrets(), SECRET, made),
            self.kubectl.show(&files),
        );
        shown?;
        let took = arrived?.saturating_duration_since(applied?);
        text(&format!(
            "\nThe Secret {NAMESPACE}/{SECRET} was there {} after its object.",
            duration(took)
        ));
        self.wait_fresh("cart", "signing-keys").await?;
        self.wait_fresh(PAY, ACCOUNT).await?;
        self.wait_fresh(LEDGER, BOOKS).await?;
        self.wait_fresh(NAMESPACE, OBJECT).await?;
        text(&format!(
            "The others are there too; {PAY}/{ACCOUNT} is read from KMS, and {LEDGER}/{BOOKS} from two clouds: SSM of"
        ));
        text("Tencent Cloud, OOS and KMS of Alibaba Cloud, each with a role of its own.");
        Ok(())
    }

    /// The access key that the second example reads with; the first one needs none.
    async fn access_key(&self) -> Result<()> {
        text(
            "The example access-key needs a key in a Secret. The others, rrsa, kms and ssm, need no key at all.",
        );
        command(
            "kubectl -n cart create secret generic oos-access-key --from-literal=id=ID --from-literal=secret=SECRET",
        );
        let seed: Value = serde_saphyr::from_str(SEED)?;
        let key = &seed["accounts"][0]["users"][0]["access_keys"][0];
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "oos-access-key", "namespace": "cart" },
            "stringData": { "id": key["id"], "secret": key["secret"] },
        });
        output(
            &self
                .kubectl
                .run(&["create", "-f", "-"], Some(&secret.to_string()))
                .await?,
        );
        Ok(())
    }

    /// The stores of an example, with the simulator's address.
    fn at_the_simulator(&self, path: &str) -> Result<String> {
        let file = std::fs::read_to_string(stage::in_repository(path))?;
        let mut stores = Vec::new();
        for document in file.split("\n---\n") {
            let mut store: Value = serde_saphyr::from_str(document)?;
            let spec = &mut store["spec"];
            for service in ["oos", "kms", "ssm"] {
                if spec["provider"][service].is_object() {
                    spec["provider"][service]["endpoint"] = json!(self.cloud_url);
                }
            }
            if spec["auth"]["rrsa"].is_object() || spec["auth"]["webIdentity"].is_object() {
                spec["auth"]["stsEndpoint"] = json!(self.cloud_url);
            }
            stores.push(serde_saphyr::to_string(&store)?);
        }
        Ok(stores.join("\n---\n"))
    }

    async fn show(&self, stage: &Stage) -> Result<()> {
        self.kubectl.show("get xcs,xstore,cxstore -A").await?;
        text(
            "\nThe Secrets' keys and their lengths, of OOS, of KMS, and of both beside SSM; values are never shown:",
        );
        for (namespace, secret) in [(NAMESPACE, SECRET), (PAY, ACCOUNT), (LEDGER, BOOKS)] {
            self.kubectl
                .show(&format!("-n {namespace} describe secret {secret}"))
                .await?;
        }
        text(
            "\nWho asked the cloud for what, as the cloud's own log has it. The session names cluster, namespace and",
        );
        text("ServiceAccount, and two parameters were read in one call:");
        command(&format!("curl {}/_sim/ledger", self.cloud_url));
        output(&self.ledger().await?);
        if let Some(kib) = stage
            .program("operator")
            .and_then(crate::process::Program::resident_kib)
        {
            let tenths = kib * 10 / 1024;
            text(&format!(
                "\nThe operator takes {}.{} MiB of memory.",
                tenths / 10,
                tenths % 10
            ));
        }
        Ok(())
    }

    async fn ledger(&self) -> Result<String> {
        let view = self.cloud.ledger(&Filter::default()).await?;
        let mut counts: BTreeMap<[String; 4], (u64, usize)> = BTreeMap::new();
        for call in view.recent {
            let session = call.session.unwrap_or_else(|| "-".into());
            let count = counts
                .entry([call.principal, session, call.action, call.outcome])
                .or_default();
            count.0 += 1;
            count.1 += call.names.len();
        }
        let heading = ["WHO", "SESSION", "ACTION", "OUTCOME", "CALLS", "NAMES"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for (key, (calls, parameters)) in counts {
            let mut row = key.to_vec();
            row.extend([calls.to_string(), parameters.to_string()]);
            rows.push(row);
        }
        Ok(tell::table(&rows))
    }

    async fn outage(&self) -> Result<()> {
        let before = self.secret().await?;
        self.cloud.add_fault(&Fault::new(Effect::Reset)).await?;
        text("From now on every connection to the cloud is reset. The object is asked to refresh:");
        command(&format!(
            "curl {}/_sim/faults -H 'content-type: application/json' -d '{{\"effect\": {{\"kind\": \"reset\"}}}}'",
            self.cloud_url
        ));
        let began = Instant::now();
        self.ask(NAMESPACE, OBJECT, &stamp()).await?;
        let gone = self.wait_condition(condition::FRESH, "False").await?;
        text(&format!(
            "\nAfter {} it is reported:",
            duration(began.elapsed())
        ));
        self.kubectl
            .show(&format!("-n {NAMESPACE} get xcs {OBJECT}"))
            .await?;
        text("\nFresh=False says that the last refresh failed, and why:");
        output(&gone);
        let during = self.secret().await?;
        if during.metadata.resource_version != before.metadata.resource_version
            || during.data != before.data
        {
            return Err(Failure(
                "the Secret changed while the cloud was away".into(),
            ));
        }
        text(
            "\nThe Secret is what it was, byte for byte and with the same resourceVersion, and Ready is still True: who",
        );
        text("uses the Secret does not notice.");

        self.cloud.clear_faults().await?;
        let back = Instant::now();
        text("\nThe cloud is back. Nobody has to do anything:");
        command(&format!("curl -X DELETE {}/_sim/faults", self.cloud_url));
        self.wait_condition(condition::FRESH, "True").await?;
        output(&format!("Fresh=True after {}", duration(back.elapsed())));
        self.kubectl
            .show(&format!("-n {NAMESPACE} get xcs {OBJECT}"))
            .await
    }

    async fn delete(&self) -> Result<()> {
        text("The Secret belongs to its object, so Kubernetes removes it too:");
        let gone = |secret: Option<&Secret>| secret.is_none();
        let began = Instant::now();
        let arguments = format!("-n {NAMESPACE} delete xcs {OBJECT}");
        let (gone, shown) = tokio::join!(
            seen("the Secret's end", SOON, self.secrets(), SECRET, gone),
            self.kubectl.show(&arguments),
        );
        shown?;
        let took = gone?.saturating_duration_since(began);
        text(&format!("\nThe Secret was gone {} later.", duration(took)));
        Ok(())
    }

    async fn hand_over(&self, stage: &Stage, operator_url: &str) -> Result<()> {
        step("It is yours now");
        self.kubectl
            .show("apply -f examples/rrsa/secret.yaml")
            .await?;
        self.wait_fresh(NAMESPACE, OBJECT).await?;
        let (dir, cloud) = (stage.dir.display(), &self.cloud_url);
        let ids: Vec<String> = stage
            .programs
            .iter()
            .rev()
            .map(|program| program.id().to_string())
            .collect();
        text(&format!("
Do not apply examples/*/store.yaml here: it takes the simulator's endpoint away. To make another store, start from
`kubectl get cxstore hangzhou -o yaml`.

Look around:
  export KUBECONFIG={}
  {kubectl} get cloudsecrets -A
  {kubectl} -n {NAMESPACE} describe xcs {OBJECT}
  {kubectl} explain xcs.spec --recursive

Change a parameter, and have it fetched at once:
  curl -X PUT {cloud}/_sim/parameters -H 'content-type: application/json' -d '{{\"name\": \"/shop/db/password\", \"value\": \"something new\"}}'
  {kubectl} -n {NAMESPACE} annotate xcs {OBJECT} {annotation}=\"$(date +%s)\" --overwrite
  {kubectl} -n {NAMESPACE} get secret {SECRET} -o yaml

Rotate the database account of KMS likewise:
  curl -X POST {cloud}/_sim/secrets/rotate -H 'content-type: application/json' -d '{{\"name\": \"pay/rds/orders\", \"data\": \"{{\\\"AccountName\\\": \\\"orders\\\", \\\"AccountPassword\\\": \\\"something new\\\"}}\"}}'
  {kubectl} -n {PAY} annotate xcs {ACCOUNT} {annotation}=\"$(date +%s)\" --overwrite

What the cloud was asked, and what the operator measures:
  curl {cloud}/_sim/ledger
  curl {operator_url}/metrics

Logs:
  {dir}/operator.log
  {dir}/cloudsim.log
  {dir}/devcluster.log

Stop everything and remove its files:
  kill {ids} && sleep 5 && rm -rf {dir}",
            self.kubectl.kubeconfig.display(),
            kubectl = self.kubectl.typed(),
            annotation = names::REFRESH_ANNOTATION,
            ids = ids.join(" "),
        ));
        Ok(())
    }
}
