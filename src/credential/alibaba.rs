//! Identities on Alibaba Cloud: RRSA, roles that others enter, and what may be the operator's own.

mod chain;
mod environment;
mod local;
mod metadata;
mod profile;

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;

use super::cloud::{Action, Assume, Caller, Cloud, OwnSession, TokenService};
use super::{
    Credentials, Environment, EnvironmentError, InstanceRole, Source, Surroundings, WebIdentity,
};
use crate::provider::alibaba::{AssumeRole, AssumeRoleWithOidc, Sts, code, endpoint};
use crate::provider::endpoint::Endpoint;
use crate::provider::{CallError, Edge};

pub use local::{CredentialsUri, Profile};

/// Alibaba Cloud.
#[derive(Debug, Clone, Copy)]
pub struct Alibaba;

/// The quota of both actions together ("Limits" of STS's documentation).
const QUOTA: f64 = 100.0;
const BY_TOKEN: Action = Action {
    name: "AssumeRoleWithOIDC",
    counted_as: "sts",
    quota: QUOTA,
};
const BY_CREDENTIALS: Action = Action {
    name: "AssumeRole",
    counted_as: "sts",
    quota: QUOTA,
};

fn client(sts: &TokenService, edge: &Edge) -> Sts {
    Sts::new(sts.endpoint.clone(), edge.clone())
}

// === impl Alibaba ===

impl Cloud for Alibaba {
    fn name(&self) -> &'static str {
        "alibaba"
    }

    fn token_kind(&self) -> &'static str {
        "rrsa"
    }

    fn sts(&self, endpoint: Endpoint, _: &str) -> TokenService {
        TokenService::new(&Self, endpoint)
    }

    fn variables(&self) -> &'static [&'static str] {
        &environment::KEPT
    }

    fn role_account<'a>(&self, role_arn: &'a str) -> Option<&'a str> {
        let account = role_arn.strip_prefix("acs:ram::")?.split(':').next()?;
        (!account.is_empty()).then_some(account)
    }

    fn is_vendors(&self, endpoint: &Endpoint) -> bool {
        endpoint::is_vendors_sts(endpoint)
    }

    fn operator(
        &self,
        own: &Environment,
        session: &OwnSession<'_>,
        instance_role: bool,
    ) -> Result<Source, EnvironmentError> {
        chain::operator(own, session, instance_role)
    }

    fn own_token(
        &self,
        own: &Environment,
        role_arn: &str,
        provider: Option<&str>,
        session: &OwnSession<'_>,
    ) -> Result<WebIdentity, EnvironmentError> {
        environment::with_role(own, role_arn, provider, session)
    }

    fn instance_role(
        &self,
        own: &Environment,
        name: Option<&str>,
    ) -> Result<InstanceRole, EnvironmentError> {
        chain::instance_role(own, name)
    }

    fn own_sts(
        &self,
        own: &Environment,
        session: &OwnSession<'_>,
    ) -> Result<TokenService, EnvironmentError> {
        environment::sts(own, session)
    }

    fn by_token(&self) -> &'static Action {
        &BY_TOKEN
    }

    fn by_credentials(&self) -> &'static Action {
        &BY_CREDENTIALS
    }

    fn exchange<'a>(
        &'a self,
        edge: &'a Edge,
        role: &'a WebIdentity,
        token: &'a SecretString,
    ) -> BoxFuture<'a, Result<Credentials, CallError>> {
        async move {
            let request = AssumeRoleWithOidc {
                role_arn: &role.role_arn,
                provider_arn: &role.provider,
                session_name: &role.session_name,
                duration_seconds: role.duration_seconds,
                policy: role.policy.as_deref(),
                token,
            };
            client(&role.sts, edge)
                .assume_role_with_oidc(&request)
                .await
        }
        .boxed()
    }

    fn assume<'a>(
        &'a self,
        edge: &'a Edge,
        role: &'a Assume<'a>,
        base: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CallError>> {
        async move {
            let request = AssumeRole {
                role_arn: role.role_arn,
                external_id: role.external_id,
                session_name: role.session_name,
                duration_seconds: role.duration_seconds,
                policy: role.policy,
            };
            client(role.sts, edge).assume_role(base, &request).await
        }
        .boxed()
    }

    fn caller<'a>(
        &'a self,
        edge: &'a Edge,
        sts: &'a TokenService,
        credentials: &'a Credentials,
    ) -> BoxFuture<'a, Result<Caller, CallError>> {
        async move {
            let caller = client(sts, edge).caller(credentials).await?;
            Ok(Caller {
                is_root: caller.is_root(),
                account_id: caller.account_id.into(),
            })
        }
        .boxed()
    }

    fn instance_credentials<'a>(
        &'a self,
        around: &'a Surroundings,
        name: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Credentials, CallError>> {
        metadata::instance_role(around, name).boxed()
    }

    fn refuses_the_key(&self, code: &str) -> bool {
        code::refuses_the_key(code)
    }

    fn is_no_role(&self, code: &str) -> bool {
        code::is_no_role(code)
    }

    fn token_advice(&self, _: &str) -> Option<&'static str> {
        // Its codes say so themselves.
        None
    }
}
