//! The operator's own identity in a cluster: exactly the rules that the chart gives it.

use crate::bootstrap::FIELD_MANAGER;
use crate::certificates::write_private;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::kubeconfig::{self, Credential};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::AuthInfo;
use kube::{Api, Client, Config, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The name of the operator's ServiceAccount, and the start of the names of its roles.
pub const OPERATOR: &str = "external-cloud-secrets";

const RBAC: &str = "rbac.authorization.k8s.io";
const TOKEN_SECONDS: i64 = 24 * 3600;

/// The operator's RBAC rules, by where they hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    cluster: Vec<PolicyRule>,
    #[serde(default)]
    operator_namespace: Vec<PolicyRule>,
    /// For each namespace whose service accounts the operator may act as, narrowed to their names.
    #[serde(default)]
    tokens: Vec<PolicyRule>,
    /// For each namespace of an operator that serves some only, in the place of `cluster`.
    #[serde(default)]
    watched_namespace: Vec<PolicyRule>,
    /// For such an operator that serves cluster stores too.
    #[serde(default)]
    cluster_stores: Vec<PolicyRule>,
    /// For such an operator, narrowed to the names of its namespaces.
    #[serde(default)]
    namespace_labels: Vec<PolicyRule>,
}

/// An installed operator's identity.
#[derive(Clone, Debug)]
pub struct OperatorAccount {
    namespace: String,
    name: String,
    rules: Rules,
    admin: Config,
    config: Config,
    token: String,
    server: String,
    ca_pem: String,
}

// === impl Cluster ===

impl Cluster {
    /// Creates `namespace` if need be, the operator's ServiceAccount in it and its roles.
    ///
    /// `rbac_yaml` is one map of rule lists, by where they hold: `cluster`, `operatorNamespace` and so on. Roles for the whole
    /// cluster carry the namespace in their names, so that several operators can be installed side by side.
    pub async fn install_operator(
        &self,
        rbac_yaml: &str,
        namespace: &str,
    ) -> Result<OperatorAccount, Error> {
        let rules = parse(rbac_yaml)?;
        let cluster = rules.cluster.clone();
        self.install(rules, namespace, cluster).await
    }

    /// [`Cluster::install_operator`] for one that serves the namespaces `watched` only, which exist, and cluster stores only
    /// where `cluster_stores` says so. Without them it has no rights in the whole cluster.
    pub async fn install_narrow_operator(
        &self,
        rbac_yaml: &str,
        namespace: &str,
        watched: &[&str],
        cluster_stores: bool,
    ) -> Result<OperatorAccount, Error> {
        let rules = parse(rbac_yaml)?;
        let client = self.client()?;
        for place in watched {
            let name = format!("{OPERATOR}-{namespace}");
            bind_in(&client, place, &name, &rules.watched_namespace, namespace).await?;
        }
        let mut cluster = Vec::new();
        if cluster_stores {
            cluster.extend(rules.cluster_stores.iter().cloned());
            cluster.extend(named(&rules.namespace_labels, watched));
        }
        self.install(rules, namespace, cluster).await
    }

    async fn install(
        &self,
        rules: Rules,
        namespace: &str,
        cluster: Vec<PolicyRule>,
    ) -> Result<OperatorAccount, Error> {
        let client = self.client()?;
        let account = json!({ "metadata": { "name": OPERATOR } });
        apply(
            &Api::<Namespace>::all(client.clone()),
            json!({ "metadata": { "name": namespace } }),
        )
        .await?;
        apply(
            &Api::<ServiceAccount>::namespaced(client.clone(), namespace),
            account,
        )
        .await?;

        let name = format!("{OPERATOR}-{namespace}");
        if !cluster.is_empty() {
            let rule_list = json!({ "metadata": { "name": name }, "rules": cluster });
            apply(&Api::<ClusterRole>::all(client.clone()), rule_list).await?;
            apply(
                &Api::<ClusterRoleBinding>::all(client.clone()),
                binding("ClusterRole", &name, namespace),
            )
            .await?;
        }
        bind_in(
            &client,
            namespace,
            OPERATOR,
            &rules.operator_namespace,
            namespace,
        )
        .await?;

        self.account(rules, namespace, OPERATOR).await
    }

    /// The identity of an operator that something else, a chart for example, has installed in `namespace` with the
    /// ServiceAccount `name`.
    pub async fn installed_operator(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<OperatorAccount, Error> {
        self.account(Rules::default(), namespace, name).await
    }

    async fn account(
        &self,
        rules: Rules,
        namespace: &str,
        name: &str,
    ) -> Result<OperatorAccount, Error> {
        let token = token(&self.client()?, namespace, name).await?;
        let mut config = self.config().clone();
        config.auth_info = AuthInfo {
            token: Some(token.clone().into()),
            ..AuthInfo::default()
        };
        namespace.clone_into(&mut config.default_namespace);
        Ok(OperatorAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            rules,
            admin: self.config().clone(),
            config,
            token,
            server: self.server().to_owned(),
            ca_pem: String::from_utf8_lossy(self.ca_pem()).into_owned(),
        })
    }
}

// === impl OperatorAccount ===

impl OperatorAccount {
    /// The namespace it is installed in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The user name that the API server knows it by.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// A new client that acts as the operator, for the current runtime.
    pub fn client(&self) -> Result<Client, Error> {
        kubeconfig::client(&self.config)
    }

    /// A client configuration that acts as the operator.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Writes a kubeconfig into `dir` that acts as the operator and names its namespace, and returns its path.
    pub fn kubeconfig(&self, dir: &Path) -> Result<PathBuf, Error> {
        let credential = Credential::Token(&self.token);
        let text = kubeconfig::render(
            &self.server,
            &self.ca_pem,
            OPERATOR,
            &credential,
            &self.namespace,
        )?;
        let path = dir.join(format!("{OPERATOR}-{}.kubeconfig", self.namespace));
        write_private(&path, &text)?;
        Ok(path)
    }

    /// Lets the operator request tokens for exactly these service accounts of `namespace`, in place of an earlier list.
    pub async fn grant_tokens(
        &self,
        namespace: &str,
        service_accounts: &[&str],
    ) -> Result<(), Error> {
        let rules = named(&self.rules.tokens, service_accounts);
        let client = kubeconfig::client(&self.admin)?;
        bind_in(
            &client,
            namespace,
            &format!("{OPERATOR}-{}-tokens", self.namespace),
            &rules,
            &self.namespace,
        )
        .await
    }
}

fn parse(rbac_yaml: &str) -> Result<Rules, Error> {
    serde_saphyr::from_str(rbac_yaml).map_err(|error| Error::Yaml {
        what: "the operator's rules".into(),
        reason: error.to_string(),
    })
}

/// The rules, for objects of these names only.
fn named(rules: &[PolicyRule], names: &[&str]) -> Vec<PolicyRule> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let narrow = |rule: &PolicyRule| PolicyRule {
        resource_names: Some(names.clone()),
        ..rule.clone()
    };
    rules.iter().map(narrow).collect()
}

async fn bind_in(
    client: &Client,
    place: &str,
    name: &str,
    rules: &[PolicyRule],
    operator: &str,
) -> Result<(), Error> {
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    apply(&Api::<Role>::namespaced(client.clone(), place), role).await?;
    apply(
        &Api::<RoleBinding>::namespaced(client.clone(), place),
        binding("Role", name, operator),
    )
    .await
}

fn binding(kind: &str, name: &str, operator_namespace: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": RBAC, "kind": kind, "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": OPERATOR, "namespace": operator_namespace }],
    })
}

/// Server-side applies an object of `api`'s kind.
async fn apply<K>(api: &Api<K>, mut object: Value) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    object["apiVersion"] = K::api_version(&()).into();
    object["kind"] = K::kind(&()).into();
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    api.patch(
        &name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(&object),
    )
    .await?;
    Ok(())
}

async fn token(client: &Client, namespace: &str, name: &str) -> Result<String, Error> {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let answer = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}
