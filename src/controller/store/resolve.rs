//! From a store's spec to an origin: the provider to ask and the identity that asks.
//!
//! The rules of who may use what are here: a namespaced store's references stay in its namespace,
//! the operator's own identity is for those it is allowed to, audiences come from a list, and every
//! final URL passes the endpoint policy before anything is signed.

use std::sync::Arc;

use secrecy::SecretString;

use super::view::AnyStore;
use crate::api::{AccessKeyAuth, RrsaAuth, SecretKeyRef, ServiceAccountRef, StoreKind};
use crate::controller::dependency::{Dependency, Named, NamedKind, Notes};
use crate::controller::named::NamedObjects;
use crate::credential::{
    AccessKey, Audience, Environment, EnvironmentError, Identity, Rrsa, ServiceAccount, Source,
    StsChoice, Subject, session_name,
};
use crate::digest::DigestKey;
use crate::provider::endpoint::EndpointPolicy;
use crate::provider::registry::{self, Place};
use crate::provider::{Edge, alibaba};
use crate::refresh::Origin;

/// The audience of Alibaba Cloud's STS, where a store names none.
pub const DEFAULT_AUDIENCE: &str = "sts.aliyuncs.com";

/// What the operator's administrator allows stores to do.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Which final URLs may be called.
    pub endpoints: EndpointPolicy,
    /// Which audiences tokens may be made for.
    pub audiences: Vec<String>,
    /// Whether namespaced stores may use the operator's own identity.
    pub store_ambient: bool,
    /// Whether cluster stores may.
    pub cluster_store_ambient: bool,
    /// The cluster's name in session names.
    pub cluster_name: String,
    /// The operator's own namespace.
    pub operator_namespace: String,
}

/// Resolves stores.
pub struct Resolver {
    /// What is allowed.
    pub rules: Rules,
    /// The operator's own identity variables.
    pub environment: Environment,
    /// What calls need from outside.
    pub edge: Edge,
    /// The key of identities.
    pub key: DigestKey,
    /// Secrets and `ServiceAccounts` that stores name.
    pub named: Arc<NamedObjects>,
}

/// Why a store does not resolve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The spec cannot work as it stands.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Something it names is not there.
    #[error("{field}: {problem}")]
    Missing {
        /// The field that names it.
        field: String,
        /// What is missing.
        problem: String,
    },
    /// The API server could not be asked; it passes.
    #[error("the API server could not be asked about {0}")]
    Unasked(String),
}

/// One resolution: the store, who asks, and what was looked at on the way.
struct Resolution<'a, 'n> {
    resolver: &'a Resolver,
    store: &'a AnyStore,
    consumer: Option<&'a str>,
    notes: &'a mut Notes<'n>,
}

// === impl Resolver ===

impl Resolver {
    /// The origin that `store` means for a consumer in the namespace `consumer`; without one, for the
    /// store's own status. Everything whose change may change the answer is added to `notes`.
    ///
    /// # Errors
    /// Why it does not resolve.
    pub async fn origin(
        &self,
        store: &AnyStore,
        consumer: Option<&str>,
        notes: &mut Notes<'_>,
    ) -> Result<Option<Origin>, StoreError> {
        let place = registry::place(store.provider())
            .ok_or_else(|| invalid("spec.provider", "must have exactly one of: oos, kms"))?;
        let sts = alibaba::endpoint::sts(
            &self.rules.endpoints,
            store.auth().sts_endpoint.as_deref(),
            &place.region,
            place.network,
        )
        .map_err(|error| invalid("spec.auth.stsEndpoint", error.to_string()))?;
        let (policy, edge) = (&self.rules.endpoints, self.edge.clone());
        let provider = registry::build(store.provider(), sts, policy, edge)
            .map_err(|error| invalid(format!("spec.provider.{}", place.field), error.to_string()))?
            .ok_or_else(|| invalid("spec.provider", "must have exactly one of: oos, kms"))?;
        let mut resolution = Resolution {
            resolver: self,
            store,
            consumer,
            notes,
        };
        let source = resolution.source(&place).await?;
        let identity = source.map(|source| Arc::new(Identity::new(source, &self.key)));
        Ok(identity.map(|identity| Origin { provider, identity }))
    }
}

// === impl Resolution ===

impl Resolution<'_, '_> {
    /// The identity's source; none where only a consumer's namespace would tell.
    async fn source(&mut self, place: &Place) -> Result<Option<Source>, StoreError> {
        let auth = self.store.auth();
        match (&auth.rrsa, &auth.operator, &auth.access_key) {
            (Some(rrsa), None, None) => match &rrsa.service_account_ref {
                Some(account) => self.service_account(place, rrsa, account).await,
                None => self.operator_role(place, rrsa).map(Some),
            },
            (None, Some(_), None) => self.operator(place).map(Some),
            (None, None, Some(access_key)) => self.access_key(access_key).await,
            _ => Err(invalid(
                "spec.auth",
                "must have exactly one of: rrsa, operator, accessKey",
            )),
        }
    }

    async fn service_account(
        &mut self,
        place: &Place,
        rrsa: &RrsaAuth,
        account: &ServiceAccountRef,
    ) -> Result<Option<Source>, StoreError> {
        let rules = &self.resolver.rules;
        let audience = self.audience(rrsa)?;
        let provider_arn = rrsa.oidc_provider_arn.clone().ok_or_else(|| {
            invalid(
                "spec.auth.rrsa.oidcProviderArn",
                "is required with serviceAccountRef",
            )
        })?;
        let sts = alibaba::endpoint::sts(
            &rules.endpoints,
            self.store.auth().sts_endpoint.as_deref(),
            &place.region,
            place.network,
        )
        .map_err(|error| invalid("spec.auth.stsEndpoint", error.to_string()))?;
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
        let found = self.resolver.named.metadata(&named).await;
        let what = format!("ServiceAccount {namespace}/{}", account.name);
        let Some(found) = found.map_err(|_| StoreError::Unasked(what.clone()))? else {
            return Err(missing(field, format!("{what} does not exist")));
        };
        let session_name = session_name(&rules.cluster_name, &namespace, &account.name);
        Ok(Some(Source::Rrsa(Rrsa {
            role_arn: rrsa.role_arn.clone(),
            provider_arn,
            subject: Subject::ServiceAccount {
                account: ServiceAccount {
                    namespace,
                    name: account.name.clone(),
                    uid: found.uid,
                },
                audience,
            },
            sts,
            session_name,
            duration_seconds: None,
            policy: None,
        })))
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
    fn operator_role(&self, place: &Place, rrsa: &RrsaAuth) -> Result<Source, StoreError> {
        self.ambient("spec.auth.rrsa without serviceAccountRef")?;
        let environment = &self.resolver.environment;
        let provider_arn = match rrsa.oidc_provider_arn.as_deref() {
            Some(arn) => Ok(arn),
            None => environment.provider_arn(),
        };
        let role = provider_arn.and_then(|provider_arn| {
            let (sts, session) = (self.sts(place), self.operator_session());
            let policy = &self.resolver.rules.endpoints;
            environment.with_role(&rrsa.role_arn, provider_arn, &sts, &session, policy)
        });
        role.map(Source::Rrsa)
            .map_err(|error| broken("spec.auth.rrsa", &error))
    }

    fn operator(&self, place: &Place) -> Result<Source, StoreError> {
        self.ambient("spec.auth.operator")?;
        let (sts, session) = (self.sts(place), self.operator_session());
        let policy = &self.resolver.rules.endpoints;
        let role = self.resolver.environment.operator(&sts, &session, policy);
        role.map(Source::Rrsa)
            .map_err(|error| broken("spec.auth.operator", &error))
    }

    async fn access_key(&mut self, auth: &AccessKeyAuth) -> Result<Option<Source>, StoreError> {
        let (id, secret) = (
            &auth.access_key_id_secret_ref,
            &auth.access_key_secret_secret_ref,
        );
        let Some(id) = self.secret_text("accessKeyIdSecretRef", id).await? else {
            return Ok(None);
        };
        let Some(secret) = self.secret_text("accessKeySecretSecretRef", secret).await? else {
            return Ok(None);
        };
        let token = match &auth.security_token_secret_ref {
            Some(token) => self.secret_text("securityTokenSecretRef", token).await?,
            None => None,
        };
        let secret = SecretString::from(secret);
        let token = token.map(SecretString::from);
        Ok(Some(Source::AccessKey(AccessKey { id, secret, token })))
    }

    async fn secret_text(
        &mut self,
        field: &str,
        reference: &SecretKeyRef,
    ) -> Result<Option<String>, StoreError> {
        let field = format!("spec.auth.accessKey.{field}");
        let from_consumer = reference.from_consumer == Some(true);
        let namespace = self.namespace(&field, reference.namespace.as_deref(), from_consumer)?;
        let Some(namespace) = namespace else {
            return Ok(None);
        };
        let (name, key) = (&reference.name, &reference.key);
        let named = Named {
            kind: NamedKind::Secret,
            namespace: namespace.clone(),
            name: name.clone(),
        };
        self.notes.note(Dependency::Named(named.clone()));
        let what = format!("Secret {namespace}/{name}");
        let content = self.resolver.named.content(&named).await;
        let Some(content) = content.map_err(|_| StoreError::Unasked(what.clone()))? else {
            return Err(missing(field, format!("{what} does not exist")));
        };
        let value = content
            .get(key)
            .ok_or_else(|| missing(field.clone(), format!("{what} has no key {key}")))?;
        // Keys that were made with a line feed at the end are common, and never meant so.
        let text = std::str::from_utf8(value.expose())
            .unwrap_or_default()
            .trim();
        if text.is_empty() {
            return Err(missing(
                field,
                format!("{what} has no text under the key {key}"),
            ));
        }
        Ok(Some(text.to_owned()))
    }

    /// The namespace of a reference: a namespaced store's own, and what a cluster store says.
    fn namespace(
        &self,
        field: &str,
        named: Option<&str>,
        from_consumer: bool,
    ) -> Result<Option<String>, StoreError> {
        let id = self.store.id();
        if id.kind == StoreKind::CloudSecretStore {
            if from_consumer || named.is_some_and(|namespace| namespace != id.namespace) {
                let problem = "a CloudSecretStore uses its own namespace only; leave out namespace \
                               and fromConsumer";
                return Err(invalid(field, problem));
            }
            return Ok(Some(id.namespace));
        }
        match (named, from_consumer) {
            (Some(namespace), false) => Ok(Some(namespace.to_owned())),
            (None, true) => Ok(self.consumer.map(str::to_owned)),
            _ => Err(invalid(
                field,
                "must have exactly one of: namespace, fromConsumer: true",
            )),
        }
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

fn invalid(field: impl Into<String>, problem: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        field: field.into(),
        problem: problem.into(),
    }
}

fn missing(field: impl Into<String>, problem: impl Into<String>) -> StoreError {
    StoreError::Missing {
        field: field.into(),
        problem: problem.into(),
    }
}

fn broken(field: &str, error: &EnvironmentError) -> StoreError {
    missing(field, error.to_string())
}

#[cfg(test)]
mod tests;
