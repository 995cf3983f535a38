//! The identity that a store's `auth` means, as far as that is the same to all clouds.

use std::sync::Arc;

use super::cloud::{self, Side, TokenAuth, foreign, side};
use super::resolve::{Resolution, StoreError, invalid, missing};
use crate::api::{AssumeRoleAuth, AuthSpec, InstanceRoleAuth, ServiceAccountRef, StoreKind};
use crate::controller::dependency::Named;
use crate::credential::{
    AssumedRole, Audience, EnvironmentError, Identity, OwnSession, ServiceAccount, Source, Subject,
    TokenService, WebIdentity, session_name,
};
use crate::provider::registry::Place;

/// The first source, and the name of a session that it begins elsewhere.
pub(super) struct First {
    pub(super) source: Source,
    pub(super) session: String,
}

// === impl Resolution ===

impl Resolution<'_, '_> {
    /// The identity that reads, by the token service `sts`; none where only a consumer's namespace
    /// would tell.
    pub(super) async fn identity(
        &mut self,
        place: &Place,
        sts: &TokenService,
    ) -> Result<Option<Arc<Identity>>, StoreError> {
        let side = side(place.cloud);
        fits(side, place, self.store.auth())?;
        let Some(First { source, session }) = self.first(side, sts).await? else {
            return Ok(None);
        };
        let key = &self.resolver.key;
        let first = Arc::new(Identity::at(side.cloud().site(sts), source, key));
        let Some(role) = &self.store.auth().assume_role else {
            return Ok(Some(first));
        };
        let hop = self.hop(side, role, sts, first, session)?;
        Ok(Some(Arc::new(Identity::new(hop, key))))
    }

    /// The first source, and the name of the sessions it begins.
    async fn first(
        &mut self,
        side: &dyn Side,
        sts: &TokenService,
    ) -> Result<Option<First>, StoreError> {
        let auth = self.store.auth();
        let token = side.token(auth);
        let sources = (
            &token,
            &auth.operator,
            &auth.access_key,
            &auth.instance_role,
        );
        match sources {
            (Some(token), None, None, None) => match token.account {
                Some(account) => self.service_account(side, token, account, sts).await,
                None => self.operator_role(side, token, sts).map(Some),
            },
            (None, Some(_), None, None) => self.operator(side, sts).map(Some),
            (None, None, Some(access_key), None) => self.access_key(access_key).await,
            (None, None, None, Some(role)) => self.instance_role(side, role).map(Some),
            _ => Err(invalid(
                "spec.auth",
                "must have exactly one of: rrsa, webIdentity, operator, accessKey, instanceRole",
            )),
        }
    }

    /// The role that `base` enters.
    fn hop(
        &self,
        side: &dyn Side,
        role: &AssumeRoleAuth,
        sts: &TokenService,
        base: Arc<Identity>,
        session: String,
    ) -> Result<Source, StoreError> {
        let field = "spec.auth.assumeRole";
        let sts = if self.is_ambient(side) {
            let own = self.own_session(sts, &session);
            let sts = side.cloud().own_sts(&self.resolver.environment, &own);
            sts.map_err(|error| broken(field, &error))?
        } else {
            sts.clone()
        };
        Ok(Source::AssumedRole(AssumedRole {
            base,
            role_arn: role.role_arn.clone(),
            external_id: role.external_id.clone(),
            session_name: role.session_name.clone().unwrap_or(session),
            duration_seconds: seconds(field, role.duration_seconds)?,
            policy: role.policy.clone(),
            sts,
        }))
    }

    async fn service_account(
        &mut self,
        side: &dyn Side,
        token: &TokenAuth<'_>,
        account: &ServiceAccountRef,
        sts: &TokenService,
    ) -> Result<Option<First>, StoreError> {
        let field = token.field;
        let audience_field = format!("{field}.audience");
        let audience = token.audience;
        let audience = audience.map(|wanted| self.audience(&audience_field, wanted));
        let audience = audience.transpose()?;
        let account_field = format!("{field}.serviceAccountRef");
        let Some((named, found)) = self.account(&account_field, account).await? else {
            return Ok(None);
        };
        let audience = match audience {
            Some(audience) => audience,
            None => self.unnamed_audience(&account_field, side.audience(&found), &named)?,
        };
        let role = side.role(token, &found, &named.to_string(), self.resolver)?;
        let cluster = &self.resolver.rules.cluster_name;
        let session = session_name(cluster, &named.namespace, &named.name);
        let source = Source::WebIdentity(WebIdentity {
            role_arn: role.role_arn,
            provider: role.provider,
            subject: Subject::ServiceAccount {
                account: ServiceAccount {
                    namespace: named.namespace,
                    name: named.name,
                    uid: found.uid,
                },
                audience,
            },
            sts: sts.clone(),
            session_name: token.session_name.unwrap_or(&session).to_owned(),
            duration_seconds: seconds(field, token.duration_seconds)?,
            policy: token.policy.map(str::to_owned),
        });
        Ok(Some(First { source, session }))
    }

    /// The operator's own token file, entering the store's role.
    fn operator_role(
        &self,
        side: &dyn Side,
        token: &TokenAuth<'_>,
        sts: &TokenService,
    ) -> Result<First, StoreError> {
        let field = token.field;
        self.ambient(&format!("{field} without serviceAccountRef"))?;
        let role_arn = token.role_arn.ok_or_else(|| {
            let problem = "must be set unless serviceAccountRef names an account";
            invalid(format!("{field}.roleArn"), problem)
        })?;
        let session = self.operator_session();
        let own = self.own_session(sts, &session);
        let environment = &self.resolver.environment;
        let role = side
            .cloud()
            .own_token(environment, role_arn, token.provider, &own);
        let mut role = role.map_err(|error| broken(field, &error))?;
        role.duration_seconds = seconds(field, token.duration_seconds)?;
        role.policy = token.policy.map(str::to_owned);
        if let Some(name) = token.session_name {
            name.clone_into(&mut role.session_name);
        }
        let source = Source::WebIdentity(role);
        Ok(First { source, session })
    }

    fn operator(&self, side: &dyn Side, sts: &TokenService) -> Result<First, StoreError> {
        let field = "spec.auth.operator";
        self.ambient(field)?;
        let session = self.operator_session();
        let own = self.own_session(sts, &session);
        let (environment, enabled) = (
            &self.resolver.environment,
            self.resolver.rules.instance_role,
        );
        let source = side.cloud().operator(environment, &own, enabled);
        let source = source.map_err(|error| broken(field, &error))?;
        Ok(First { source, session })
    }

    fn instance_role(&self, side: &dyn Side, auth: &InstanceRoleAuth) -> Result<First, StoreError> {
        let field = "spec.auth.instanceRole";
        if !self.resolver.rules.instance_role {
            let also = self.missing_flag().map(|flag| format!(" and {flag}"));
            let problem = format!(
                "instance roles are off; have the operator run with --enable-instance-role{}",
                also.unwrap_or_default()
            );
            return Err(invalid(field, problem));
        }
        self.ambient(field)?;
        let environment = &self.resolver.environment;
        let role = side
            .cloud()
            .instance_role(environment, auth.role_name.as_deref());
        let source = Source::InstanceRole(role.map_err(|error| broken(field, &error))?);
        let session = self.operator_session();
        Ok(First { source, session })
    }

    /// Whether the source is the operator's own.
    fn is_ambient(&self, side: &dyn Side) -> bool {
        let auth = self.store.auth();
        let own_token = |token: TokenAuth<'_>| token.account.is_none();
        auth.operator.is_some()
            || auth.instance_role.is_some()
            || side.token(auth).is_some_and(own_token)
    }

    /// What the operator's own environment may say otherwise.
    fn own_session<'s>(&'s self, sts: &'s TokenService, name: &'s str) -> OwnSession<'s> {
        OwnSession {
            sts,
            named: self.store.auth().sts_endpoint.is_some(),
            name,
            policy: &self.resolver.rules.endpoints,
        }
    }

    /// `wanted` as the audience of a token, if it is an allowed one.
    fn audience(&self, field: &str, wanted: &str) -> Result<Audience, StoreError> {
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

    /// The audience of a token that the store leaves to the account `named`, if it is an allowed one.
    fn unnamed_audience(
        &self,
        field: &str,
        found: cloud::Audience<'_>,
        named: &Named,
    ) -> Result<Audience, StoreError> {
        match found {
            cloud::Audience::Default(audience) => self.audience(field, audience),
            // It is not repeated in the message: it may be any text.
            cloud::Audience::Annotated(audience, annotation) => {
                self.audience(field, audience).map_err(|_| {
                    let list = self.resolver.rules.audiences.join(", ");
                    let problem = format!(
                        "the annotation {annotation} of {named} is not an allowed token audience; \
                         use one of: {list}, or have the operator's --allowed-token-audiences name it"
                    );
                    missing(field, problem)
                })
            }
        }
    }

    /// The flag without which this kind of store may not use what is the operator's own.
    fn missing_flag(&self) -> Option<&'static str> {
        let rules = &self.resolver.rules;
        let (allowed, flag) = match self.store.id().kind {
            StoreKind::CloudSecretStore => (rules.store_ambient, "--store-ambient-credentials"),
            StoreKind::ClusterCloudSecretStore => (
                rules.cluster_store_ambient,
                "--cluster-store-ambient-credentials",
            ),
        };
        (!allowed).then_some(flag)
    }

    /// Lets nobody pass who may not use what is the operator's own.
    fn ambient(&self, field: &str) -> Result<(), StoreError> {
        let Some(flag) = self.missing_flag() else {
            return Ok(());
        };
        let problem = format!(
            "this kind of store may not use the operator's own identity; name a ServiceAccount, or \
             have the operator run with {flag}"
        );
        Err(invalid(field, problem))
    }

    /// The name of sessions that the operator begins as itself.
    fn operator_session(&self) -> String {
        let rules = &self.resolver.rules;
        session_name(
            &rules.cluster_name,
            &rules.operator_namespace,
            "external-cloud-secrets",
        )
    }
}

/// A duration that the API server has bounded already.
fn seconds(field: &str, seconds: Option<i32>) -> Result<Option<u32>, StoreError> {
    let positive = |_| invalid(format!("{field}.durationSeconds"), "must be positive");
    seconds.map(u32::try_from).transpose().map_err(positive)
}

/// Refuses an `auth` that means another cloud than the one that the store at `place` reads.
///
/// # Errors
/// The field that does, and what belongs there.
fn fits(side: &dyn Side, place: &Place, auth: &AuthSpec) -> Result<(), StoreError> {
    if let Some((token, other)) = foreign(side, auth) {
        let problem = format!(
            "is for stores of {}; spec.provider.{} is {}'s, which takes {}",
            other.title(),
            place.field,
            side.title(),
            side.cloud().token_kind()
        );
        return Err(invalid(token.field, problem));
    }
    let token = side.token(auth);
    let roles = [
        token.and_then(|token| Some((token.field, token.role_arn?))),
        auth.assume_role
            .as_ref()
            .map(|role| ("spec.auth.assumeRole", &*role.role_arn)),
    ];
    for (field, arn) in roles.into_iter().flatten() {
        if side.cloud().role_account(arn).is_none() {
            let (title, form) = (side.title(), side.role_form());
            let problem = format!("is no role of {title}: write it as {form}");
            return Err(invalid(format!("{field}.roleArn"), problem));
        }
    }
    Ok(())
}

fn broken(field: &str, error: &EnvironmentError) -> StoreError {
    missing(field, error.to_string())
}
