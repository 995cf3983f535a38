//! The identity that a store's `auth` means: a source, and the role it may enter.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::account_role;
use super::resolve::{DEFAULT_AUDIENCE, Resolution, Rules, StoreError, invalid, missing};
use crate::api::{
    AccessKeyAuth, InstanceRoleAuth, RrsaAuth, SecretKeyRef, ServiceAccountRef, StoreKind,
};
use crate::controller::dependency::{Dependency, Named, NamedKind};
use crate::credential::{
    AccessKey, AssumedRole, Audience, EnvironmentError, Identity, Rrsa, ServiceAccount, Source,
    StsChoice, Subject, session_name,
};
use crate::provider::registry::Place;

/// The longest credential text: security tokens are long, but not that long.
const LONGEST_CREDENTIAL: usize = 8_192;

/// The first source, and the name of a session that it begins elsewhere.
struct First {
    source: Source,
    session: String,
}

// === impl Resolution ===

impl Resolution<'_, '_> {
    /// The identity that reads; none where only a consumer's namespace would tell.
    pub(super) async fn identity(
        &mut self,
        place: &Place,
    ) -> Result<Option<Arc<Identity>>, StoreError> {
        let Some(First { source, session }) = self.source(place).await? else {
            return Ok(None);
        };
        let ambient = self.is_ambient();
        let key = &self.resolver.key;
        let first = Arc::new(Identity::new(source, key));
        let Some(role) = &self.store.auth().assume_role else {
            return Ok(Some(first));
        };
        let sts = if ambient {
            let policy = &self.resolver.rules.endpoints;
            let sts = self.resolver.environment.sts(&self.sts(place), policy);
            sts.map_err(|error| broken("spec.auth.assumeRole", &error))?
        } else {
            self.resolver.sts(self.store, place)?
        };
        let hop = Source::AssumedRole(AssumedRole {
            base: first,
            role_arn: role.role_arn.clone(),
            external_id: role.external_id.clone(),
            session_name: role.session_name.clone().unwrap_or(session),
            duration_seconds: seconds("spec.auth.assumeRole", role.duration_seconds)?,
            policy: role.policy.clone(),
            sts,
        });
        Ok(Some(Arc::new(Identity::new(hop, key))))
    }

    /// The first source, and the name of the sessions it begins.
    async fn source(&mut self, place: &Place) -> Result<Option<First>, StoreError> {
        let auth = self.store.auth();
        let sources = (
            &auth.rrsa,
            &auth.operator,
            &auth.access_key,
            &auth.instance_role,
        );
        match sources {
            (Some(rrsa), None, None, None) => match &rrsa.service_account_ref {
                Some(account) => self.service_account(place, rrsa, account).await,
                None => self.operator_role(place, rrsa).map(Some),
            },
            (None, Some(_), None, None) => self.operator(place).map(Some),
            (None, None, Some(access_key), None) => self.access_key(access_key).await,
            (None, None, None, Some(role)) => self.instance_role(role).map(Some),
            _ => Err(invalid(
                "spec.auth",
                "must have exactly one of: rrsa, operator, accessKey, instanceRole",
            )),
        }
    }

    async fn service_account(
        &mut self,
        place: &Place,
        rrsa: &RrsaAuth,
        account: &ServiceAccountRef,
    ) -> Result<Option<First>, StoreError> {
        let rules = &self.resolver.rules;
        let audience = self.audience(rrsa)?;
        let sts = self.resolver.sts(self.store, place)?;
        let field = "spec.auth.rrsa.serviceAccountRef";
        let from_consumer = account.from_consumer == Some(true);
        let Some(namespace) = self.namespace(field, account.namespace.as_deref(), from_consumer)?
        else {
            return Ok(None);
        };
        let named = Named {
            kind: NamedKind::ServiceAccount,
            namespace: namespace.clone(),
            name: account.name.clone(),
        };
        self.notes.note(Dependency::Named(named.clone()));
        let found = self.resolver.named.account(&named).await;
        let what = named.to_string();
        let Some(found) = found.map_err(|_| StoreError::Unasked(what.clone()))? else {
            return Err(missing(field, format!("{what} does not exist")));
        };
        let role = account_role::find(rrsa, &found, &what, rules)?;
        let session = session_name(&rules.cluster_name, &namespace, &account.name);
        let source = Source::Rrsa(Rrsa {
            role_arn: role.role_arn,
            provider_arn: role.provider_arn,
            subject: Subject::ServiceAccount {
                account: ServiceAccount {
                    namespace,
                    name: account.name.clone(),
                    uid: found.uid,
                },
                audience,
            },
            sts,
            session_name: rrsa.session_name.clone().unwrap_or(session.clone()),
            duration_seconds: seconds("spec.auth.rrsa", rrsa.duration_seconds)?,
            policy: rrsa.policy.clone(),
        });
        Ok(Some(First { source, session }))
    }

    fn audience(&self, rrsa: &RrsaAuth) -> Result<Audience, StoreError> {
        let field = "spec.auth.rrsa.audience";
        let wanted = rrsa.audience.as_deref().unwrap_or(DEFAULT_AUDIENCE);
        let allowed = &self.resolver.rules.audiences;
        if !allowed.iter().any(|audience| audience == wanted) {
            let list = allowed.join(", ");
            let problem = format!(
                "{wanted} is not an allowed token audience; use one of: {list}, or have the \
                 operator's --allowed-token-audiences name it"
            );
            return Err(invalid(field, problem));
        }
        Audience::new(wanted).ok_or_else(|| invalid(field, "must not be empty"))
    }

    /// The operator's own token file, entering the store's role.
    fn operator_role(&self, place: &Place, rrsa: &RrsaAuth) -> Result<First, StoreError> {
        self.ambient("spec.auth.rrsa without serviceAccountRef")?;
        let field = "spec.auth.rrsa";
        let environment = &self.resolver.environment;
        let role_arn = rrsa.role_arn.as_deref().ok_or_else(|| {
            let problem = "must be set unless serviceAccountRef names an account";
            invalid("spec.auth.rrsa.roleArn", problem)
        })?;
        let provider_arn = match rrsa.oidc_provider_arn.as_deref() {
            Some(arn) => Ok(arn),
            None => environment.provider_arn(),
        };
        let session = self.operator_session();
        let role = provider_arn.and_then(|provider_arn| {
            let (sts, policy) = (self.sts(place), &self.resolver.rules.endpoints);
            environment.with_role(role_arn, provider_arn, &sts, &session, policy)
        });
        let mut role = role.map_err(|error| broken(field, &error))?;
        role.duration_seconds = seconds(field, rrsa.duration_seconds)?;
        role.policy.clone_from(&rrsa.policy);
        if let Some(name) = &rrsa.session_name {
            role.session_name.clone_from(name);
        }
        let source = Source::Rrsa(role);
        Ok(First { source, session })
    }

    fn operator(&self, place: &Place) -> Result<First, StoreError> {
        self.ambient("spec.auth.operator")?;
        let (sts, session) = (self.sts(place), self.operator_session());
        let Rules {
            endpoints,
            instance_role,
            ..
        } = &self.resolver.rules;
        let environment = &self.resolver.environment;
        let source = environment.operator(&sts, &session, *instance_role, endpoints);
        let source = source.map_err(|error| broken("spec.auth.operator", &error))?;
        Ok(First { source, session })
    }

    fn instance_role(&self, auth: &InstanceRoleAuth) -> Result<First, StoreError> {
        let field = "spec.auth.instanceRole";
        if !self.resolver.rules.instance_role {
            let problem =
                "instance roles are off; have the operator run with --enable-instance-role";
            return Err(invalid(field, problem));
        }
        self.ambient(field)?;
        let environment = &self.resolver.environment;
        let role = environment.instance_role(auth.role_name.as_deref());
        let source = Source::InstanceRole(role.map_err(|error| broken(field, &error))?);
        let session = self.operator_session();
        Ok(First { source, session })
    }

    async fn access_key(&mut self, auth: &AccessKeyAuth) -> Result<Option<First>, StoreError> {
        let (id, secret) = (
            &auth.access_key_id_secret_ref,
            &auth.access_key_secret_secret_ref,
        );
        let Some((namespace, id)) = self.secret_text("accessKeyIdSecretRef", id).await? else {
            return Ok(None);
        };
        let Some((_, secret)) = self.secret_text("accessKeySecretSecretRef", secret).await? else {
            return Ok(None);
        };
        let token = match &auth.security_token_secret_ref {
            Some(token) => match self.secret_text("securityTokenSecretRef", token).await? {
                Some((_, token)) => Some(token),
                // Without its token a temporary key is another identity.
                None => return Ok(None),
            },
            None => None,
        };
        let id = id.expose_secret().to_owned();
        let source = Source::AccessKey(AccessKey { id, secret, token });
        let cluster = &self.resolver.rules.cluster_name;
        let session = session_name(cluster, &namespace, &auth.access_key_id_secret_ref.name);
        Ok(Some(First { source, session }))
    }

    /// The text that a Secret holds, and the Secret's namespace.
    async fn secret_text(
        &mut self,
        field: &str,
        reference: &SecretKeyRef,
    ) -> Result<Option<(String, SecretString)>, StoreError> {
        let field = format!("spec.auth.accessKey.{field}");
        let from_consumer = reference.from_consumer == Some(true);
        let namespace = self.namespace(&field, reference.namespace.as_deref(), from_consumer)?;
        let Some(namespace) = namespace else {
            return Ok(None);
        };
        let key = &reference.key;
        let named = Named {
            kind: NamedKind::Secret,
            namespace: namespace.clone(),
            name: reference.name.clone(),
        };
        let value = self.value(&field, &named, key).await?;
        // Keys that were made with a line feed at the end are common, and never meant so.
        let text = std::str::from_utf8(value.expose())
            .unwrap_or_default()
            .trim();
        if text.is_empty() {
            return Err(missing(
                field,
                format!("{named} has no text under the key {key}"),
            ));
        }
        if text.len() > LONGEST_CREDENTIAL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = format!(
                "{named} has something else than a credential under the key {key}: it must be at \
                 most {LONGEST_CREDENTIAL} printable ASCII characters without spaces"
            );
            return Err(missing(field, problem));
        }
        Ok(Some((namespace, SecretString::from(text))))
    }

    fn ambient(&self, field: &str) -> Result<(), StoreError> {
        let rules = &self.resolver.rules;
        let (allowed, flag) = match self.store.id().kind {
            StoreKind::CloudSecretStore => (rules.store_ambient, "--store-ambient-credentials"),
            StoreKind::ClusterCloudSecretStore => (
                rules.cluster_store_ambient,
                "--cluster-store-ambient-credentials",
            ),
        };
        if allowed {
            return Ok(());
        }
        let problem = format!(
            "this kind of store may not use the operator's own identity; name a ServiceAccount, or \
             have the operator run with {flag}"
        );
        Err(invalid(field, problem))
    }

    /// Whether the source is the operator's own.
    fn is_ambient(&self) -> bool {
        let auth = self.store.auth();
        let own_token = |rrsa: &RrsaAuth| rrsa.service_account_ref.is_none();
        auth.operator.is_some()
            || auth.instance_role.is_some()
            || auth.rrsa.as_ref().is_some_and(own_token)
    }

    fn sts<'a>(&'a self, place: &'a Place) -> StsChoice<'a> {
        let endpoint = self.store.auth().sts_endpoint.as_deref();
        StsChoice {
            endpoint,
            region: &place.region,
            network: place.network,
        }
    }

    fn operator_session(&self) -> String {
        let rules = &self.resolver.rules;
        session_name(
            &rules.cluster_name,
            &rules.operator_namespace,
            "external-cloud-secrets",
        )
    }
}

fn broken(field: &str, error: &EnvironmentError) -> StoreError {
    missing(field, error.to_string())
}

/// A duration that the API server has bounded already.
fn seconds(field: &str, seconds: Option<i32>) -> Result<Option<u32>, StoreError> {
    let positive = |_| invalid(format!("{field}.durationSeconds"), "must be positive");
    seconds.map(u32::try_from).transpose().map_err(positive)
}
