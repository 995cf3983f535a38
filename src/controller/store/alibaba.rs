//! Identities on Alibaba Cloud: what a store's `auth` means there, and the role it may enter.

mod account_role;

use std::sync::Arc;

use super::identity::{First, seconds};
use super::resolve::{Resolution, Resolver, Rules, StoreError, invalid, missing};
use crate::api::{AuthSpec, InstanceRoleAuth, RrsaAuth, ServiceAccountRef};
use crate::credential::{
    AssumedRole, EnvironmentError, Identity, Rrsa, ServiceAccount, Source, StsChoice, Subject,
    session_name,
};
use crate::provider::alibaba::Network;
use crate::provider::endpoint::Endpoint;
use crate::provider::registry::Place;

/// The audience of tokens for STS, where a store names none.
pub(super) const DEFAULT_AUDIENCE: &str = "sts.aliyuncs.com";

/// One resolution of a store that reads Alibaba Cloud.
pub(super) struct Alibaba<'r, 'a, 'n> {
    resolution: &'r mut Resolution<'a, 'n>,
    resolver: &'a Resolver,
    auth: &'a AuthSpec,
    place: &'r Place,
    network: Network,
}

// === impl Alibaba ===

impl<'r, 'a, 'n> Alibaba<'r, 'a, 'n> {
    /// The resolution of a store at `place`, which is in `network`.
    pub(super) fn new(
        resolution: &'r mut Resolution<'a, 'n>,
        place: &'r Place,
        network: Network,
    ) -> Self {
        Self {
            resolver: resolution.resolver,
            auth: resolution.store.auth(),
            resolution,
            place,
            network,
        }
    }

    /// The identity that reads; none where only a consumer's namespace would tell.
    pub(super) async fn identity(&mut self) -> Result<Option<Arc<Identity>>, StoreError> {
        let Some(First { source, session }) = self.source().await? else {
            return Ok(None);
        };
        let ambient = self.is_ambient();
        let key = &self.resolver.key;
        let first = Arc::new(Identity::new(source, key));
        let Some(role) = &self.auth.assume_role else {
            return Ok(Some(first));
        };
        let sts = if ambient {
            let policy = &self.resolver.rules.endpoints;
            let sts = self.resolver.environment.sts(&self.choice(), policy);
            sts.map_err(|error| broken("spec.auth.assumeRole", &error))?
        } else {
            self.region_sts()?
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
    async fn source(&mut self) -> Result<Option<First>, StoreError> {
        let auth = self.auth;
        let sources = (
            &auth.rrsa,
            &auth.operator,
            &auth.access_key,
            &auth.instance_role,
        );
        match sources {
            (Some(rrsa), None, None, None) => match &rrsa.service_account_ref {
                Some(account) => self.service_account(rrsa, account).await,
                None => self.operator_role(rrsa).map(Some),
            },
            (None, Some(_), None, None) => self.operator().map(Some),
            (None, None, Some(access_key), None) => self.resolution.access_key(access_key).await,
            (None, None, None, Some(role)) => self.instance_role(role).map(Some),
            _ => Err(invalid(
                "spec.auth",
                "must have exactly one of: rrsa, operator, accessKey, instanceRole",
            )),
        }
    }

    async fn service_account(
        &mut self,
        rrsa: &RrsaAuth,
        account: &ServiceAccountRef,
    ) -> Result<Option<First>, StoreError> {
        let rules = &self.resolver.rules;
        let audience = rrsa.audience.as_deref().unwrap_or(DEFAULT_AUDIENCE);
        let audience = self
            .resolution
            .audience("spec.auth.rrsa.audience", audience)?;
        let sts = self.region_sts()?;
        let field = "spec.auth.rrsa.serviceAccountRef";
        let Some((named, found)) = self.resolution.account(field, account).await? else {
            return Ok(None);
        };
        let role = account_role::find(rrsa, &found, &named.to_string(), rules)?;
        let session = session_name(&rules.cluster_name, &named.namespace, &named.name);
        let source = Source::Rrsa(Rrsa {
            role_arn: role.role_arn,
            provider_arn: role.provider_arn,
            subject: Subject::ServiceAccount {
                account: ServiceAccount {
                    namespace: named.namespace,
                    name: named.name,
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

    /// The operator's own token file, entering the store's role.
    fn operator_role(&self, rrsa: &RrsaAuth) -> Result<First, StoreError> {
        self.resolution
            .ambient("spec.auth.rrsa without serviceAccountRef")?;
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
        let session = self.resolution.operator_session();
        let role = provider_arn.and_then(|provider_arn| {
            let (sts, policy) = (self.choice(), &self.resolver.rules.endpoints);
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

    fn operator(&self) -> Result<First, StoreError> {
        self.resolution.ambient("spec.auth.operator")?;
        let (sts, session) = (self.choice(), self.resolution.operator_session());
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
            let also = self
                .resolution
                .missing_flag()
                .map(|flag| format!(" and {flag}"));
            let problem = format!(
                "instance roles are off; have the operator run with --enable-instance-role{}",
                also.unwrap_or_default()
            );
            return Err(invalid(field, problem));
        }
        self.resolution.ambient(field)?;
        let environment = &self.resolver.environment;
        let role = environment.instance_role(auth.role_name.as_deref());
        let source = Source::InstanceRole(role.map_err(|error| broken(field, &error))?);
        let session = self.resolution.operator_session();
        Ok(First { source, session })
    }

    /// Whether the source is the operator's own.
    fn is_ambient(&self) -> bool {
        let auth = self.auth;
        let own_token = |rrsa: &RrsaAuth| rrsa.service_account_ref.is_none();
        auth.operator.is_some()
            || auth.instance_role.is_some()
            || auth.rrsa.as_ref().is_some_and(own_token)
    }

    /// Where STS is for everybody but the operator itself.
    fn region_sts(&self) -> Result<Endpoint, StoreError> {
        self.resolver.sts(self.resolution.store, self.place)
    }

    /// What the operator's own environment may say otherwise.
    fn choice(&self) -> StsChoice<'_> {
        StsChoice {
            endpoint: self.auth.sts_endpoint.as_deref(),
            region: &self.place.region,
            network: self.network,
        }
    }
}

fn broken(field: &str, error: &EnvironmentError) -> StoreError {
    missing(field, error.to_string())
}
