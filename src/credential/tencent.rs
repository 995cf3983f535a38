//! Identities on Tencent Cloud: roles for tokens of a cluster, roles that others enter, and what may be
//! the operator's own.

mod environment;
mod metadata;

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;

use super::cloud::{Action, Assume, Caller, Cloud, CloudRef, OwnSession, TokenService};
use super::{
    Credentials, Environment, EnvironmentError, InstanceRole, Source, Surroundings, WebIdentity,
};
use crate::provider::endpoint::Endpoint;
use crate::provider::tencent::{AssumeRole, AssumeRoleWithWebIdentity, Sts, code, endpoint};
use crate::provider::{CallError, Class, Edge};

/// Tencent Cloud.
#[derive(Debug, Clone, Copy)]
pub struct Tencent;

/// Of China's site; the international one allows 80 a second.
const BY_TOKEN: Action = Action {
    name: "AssumeRoleWithWebIdentity",
    counted_as: "AssumeRoleWithWebIdentity",
    quota: 20.0,
};
const BY_CREDENTIALS: Action = Action {
    name: "AssumeRole",
    counted_as: "AssumeRole",
    quota: 600.0,
};

fn client(sts: &TokenService, edge: &Edge) -> Sts {
    let region = sts.region.as_deref().unwrap_or_default();
    Sts::new(sts.endpoint.clone(), region, edge.clone())
}

// === impl Tencent ===

impl Tencent {
    /// The OIDC provider that the operator's environment names.
    ///
    /// # Errors
    /// When it is missing or cannot be one's name.
    pub fn own_provider(self, own: &Environment) -> Result<&str, EnvironmentError> {
        environment::provider(own)
    }
}

impl Cloud for Tencent {
    fn name(&self) -> &'static str {
        "tencent"
    }

    fn token_kind(&self) -> &'static str {
        "webIdentity"
    }

    fn sts(&self, endpoint: Endpoint, region: &str) -> TokenService {
        TokenService {
            cloud: CloudRef(&Self),
            endpoint,
            region: Some(region.to_owned()),
        }
    }

    fn variables(&self) -> &'static [&'static str] {
        &environment::KEPT
    }

    fn role_account<'a>(&self, role_arn: &'a str) -> Option<&'a str> {
        let (account, role) = role_arn.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
        let named = ["role/", "roleName/"];
        let is_role = named.iter().any(|prefix| role.starts_with(prefix));
        (is_role && !account.is_empty()).then_some(account)
    }

    fn is_vendors(&self, endpoint: &Endpoint) -> bool {
        endpoint::is_vendors_sts(endpoint)
    }

    fn site<'a>(&self, sts: &'a TokenService) -> Option<&'a str> {
        Some(sts.endpoint.host())
    }

    fn operator(
        &self,
        own: &Environment,
        session: &OwnSession<'_>,
        instance_role: bool,
    ) -> Result<Source, EnvironmentError> {
        environment::operator(own, session, instance_role)
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
        _: &Environment,
        name: Option<&str>,
    ) -> Result<InstanceRole, EnvironmentError> {
        Ok(InstanceRole {
            cloud: CloudRef(&Self),
            role_name: name.map(str::to_owned),
        })
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
            let request = AssumeRoleWithWebIdentity {
                role_arn: &role.role_arn,
                provider_id: &role.provider,
                session_name: &role.session_name,
                duration_seconds: role.duration_seconds,
                token,
            };
            client(&role.sts, edge)
                .assume_role_with_web_identity(&request)
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
        code != code::CLOCK && code::classify(&[], code) == Class::Unauthenticated
    }

    fn is_no_role(&self, code: &str) -> bool {
        code == "ResourceNotFound.RoleNotFound"
    }

    fn token_advice(&self, code: &str) -> Option<&'static str> {
        match code {
            "InvalidParameter.WebIdentityTokenError" => Some(
                "the token is not accepted: the OIDC provider (providerId) must have the cluster's issuer \
                 and keys, and list the token's audience: role",
            ),
            "InvalidParameter.ParamError" => Some(
                "a parameter is not accepted: correct providerId, the name of an OIDC provider in the \
                 role's account, or sessionName or the ARN: role",
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_role_is_in_its_arn_in_all_its_forms() {
        for (arn, account) in [
            (
                "qcs::cam::uin/100000000001:roleName/shop",
                Some("100000000001"),
            ),
            ("qcs::cam::uin/1:role/4611686018427397919", Some("1")),
            (
                "qcs::cam::uin/1:role/tencentcloudServiceRoleName/x",
                Some("1"),
            ),
            ("qcs::cam::uin/:roleName/shop", None),
            ("qcs::cam::uin/1:oidc-provider/cls-1", None),
            ("acs:ram::1:role/shop", None),
            ("", None),
        ] {
            assert_eq!(Tencent.role_account(arn), account, "{arn}");
        }
    }

    #[test]
    fn a_refused_key_is_told_from_a_clock_and_from_a_missing_permission() {
        for (code, refused) in [
            ("AuthFailure.TokenFailure", true),
            ("AuthFailure.SecretIdNotFound", true),
            ("AuthFailure.SignatureExpire", false),
            ("UnauthorizedOperation", false),
            ("InvalidParameter.WebIdentityTokenError", false),
            ("ResourceNotFound.RoleNotFound", false),
        ] {
            assert_eq!(Tencent.refuses_the_key(code), refused, "{code}");
        }
    }
}
