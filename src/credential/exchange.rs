//! The exchange: from the material of an identity to credentials. Nothing is cached here, and
//! nothing falls back to another source.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::pace::{Asker, Pace};
use super::profile::{self, Found};
use super::{
    AssumedRole, Audience, Credentials, Files, Identity, IdentityId, Profile, Rrsa, ServiceAccount,
    Source, Subject, Surroundings,
};
use crate::provider::alibaba::{AssumeRole, AssumeRoleWithOidc, Sts, code};
use crate::provider::{CallError, Class, Detail, Edge, Name};
use crate::refresh::CallObserver;

/// How long an access key in a profile is used before the file is read again.
const PROFILE_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// How a role is entered, and what is said before its name.
struct Way {
    /// Where there is no such role.
    no_role: &'static str,
    /// Where it may not be entered.
    denied: &'static str,
}

const BY_TOKEN: Way = Way {
    no_role: "there is no role",
    denied: "the trust policy (oidc:sub, oidc:iss, oidc:aud) does not admit the token, or its account \
             lacks the OIDC provider: role",
};
const ENTERED: Way = Way {
    no_role: "assumeRole: there is no role",
    denied: "assumeRole: the source needs sts:AssumeRole on the role, and the role must trust it, with \
             the same externalId if it asks for one: role",
};

/// Makes tokens of service accounts.
pub trait TokenMinter: Send + Sync + 'static {
    /// A short-lived token of `account` for `audience`. It is dropped after the exchange.
    ///
    /// # Errors
    /// [`Class::Denied`] where the operator may not make it, [`Class::Unauthenticated`] where the
    /// account is gone or not the one meant, [`Class::Unavailable`] where nobody answered.
    fn mint<'a>(
        &'a self,
        account: &'a ServiceAccount,
        audience: &'a Audience,
    ) -> BoxFuture<'a, Result<SecretString, CallError>>;
}

/// Turns an identity into credentials.
pub trait Exchanger: Send + Sync + 'static {
    /// New credentials of `identity`. `base` are those of [`Identity::base`], where it has one.
    ///
    /// # Errors
    /// Why its one source gave none.
    fn exchange<'a>(
        &'a self,
        identity: &'a Identity,
        base: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Credentials, CallError>>;

    /// Whether `error`, of an exchange with base credentials, means that the cloud does not accept
    /// these any more. An exchanger that knows no bases never says so.
    fn refuses_the_base(&self, _error: &CallError) -> bool {
        false
    }
}

/// The exchange with the clouds' token services.
pub struct Exchange {
    edge: Edge,
    minter: Arc<dyn TokenMinter>,
    files: Arc<dyn Files>,
    surroundings: Option<Surroundings>,
    observer: Option<Arc<dyn CallObserver>>,
    pace: Pace,
}

// === impl Exchange ===

impl Exchange {
    /// An exchange that calls through `edge`, with tokens of `minter` and `files`. It asks nobody on
    /// the machine itself.
    pub fn new(edge: Edge, minter: Arc<dyn TokenMinter>, files: Arc<dyn Files>) -> Self {
        Self {
            edge,
            minter,
            files,
            surroundings: None,
            observer: None,
            pace: Pace::new(0.0),
        }
    }

    /// The same, which tells `observer` of each call to a token service.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The same, which uses this part of the quota of each account's token service; 0, the default, is
    /// all that is wanted.
    #[must_use]
    pub fn paced(mut self, share: f64) -> Self {
        self.pace = Pace::new(share);
        self
    }

    /// The same, which also asks those around it on its own machine.
    #[must_use]
    pub fn with_surroundings(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    async fn observed<T>(
        &self,
        action: &str,
        asker: &Asker<'_>,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        self.pace.turn(asker).await?;
        let sent = Instant::now();
        let answer = call.await;
        self.pace.note(asker, answer.as_ref().err());
        if let Some(observer) = &self.observer {
            let class = answer.as_ref().err().map(|error| error.class);
            observer.called("sts", action, class, sent.elapsed());
        }
        answer
    }

    async fn assumed_role(
        &self,
        who: IdentityId,
        role: &AssumedRole,
        base: &Credentials,
    ) -> Result<Credentials, CallError> {
        let request = AssumeRole {
            role_arn: &role.role_arn,
            external_id: role.external_id.as_deref(),
            session_name: &role.session_name,
            duration_seconds: role.duration_seconds,
            policy: role.policy.as_deref(),
        };
        let asker = Asker::new(who, &role.role_arn, &role.sts);
        let sts = Sts::new(role.sts.clone(), self.edge.clone());
        let call = sts.assume_role(base, &request);
        let answer = self.observed("AssumeRole", &asker, call);
        let answer = answer.await;
        answer.map_err(|error| naming_role(error, &ENTERED, &role.role_arn))
    }

    async fn profile(&self, who: IdentityId, profile: &Profile) -> Result<Credentials, CallError> {
        let broken = |problem| {
            let path = &profile.path;
            CallError::about_file(Class::Unauthenticated, "CredentialsFile", path, problem)
        };
        let text = self.text("CredentialsFile", &profile.path).await?;
        let found = profile::parse(text.expose_secret(), &profile.name).map_err(broken)?;
        let session = |given: Option<String>| given.unwrap_or_else(|| profile.session_name.clone());
        match found {
            Found::AccessKey(key) => {
                // So that the file is read again now and then.
                let end = self.edge.clock.now().checked_add(PROFILE_LIFE).ok();
                Ok(Credentials {
                    expires_at: end,
                    ..key.credentials()
                })
            }
            Found::RamRole(key, role) => {
                let request = AssumeRole {
                    role_arn: &role.arn,
                    external_id: role.external_id.as_deref(),
                    session_name: &session(role.session_name),
                    duration_seconds: None,
                    policy: role.policy.as_deref(),
                };
                let asker = Asker::new(who, &role.arn, &profile.sts);
                let sts = Sts::new(profile.sts.clone(), self.edge.clone());
                let credentials = key.credentials();
                let call = sts.assume_role(&credentials, &request);
                let answer = self.observed("AssumeRole", &asker, call).await;
                answer.map_err(|error| naming_role(error, &ENTERED, &role.arn))
            }
            Found::OidcRole {
                role,
                provider_arn,
                token_file,
            } => {
                let rrsa = Rrsa {
                    role_arn: role.arn,
                    provider_arn,
                    subject: Subject::TokenFile { path: token_file },
                    sts: profile.sts.clone(),
                    session_name: session(role.session_name),
                    duration_seconds: None,
                    policy: role.policy,
                };
                self.rrsa(who, &rrsa).await
            }
            Found::InstanceRole(role) => self.surroundings()?.instance_role(role.as_deref()).await,
        }
    }

    fn surroundings(&self) -> Result<&Surroundings, CallError> {
        self.surroundings.as_ref().ok_or_else(|| {
            let detail = Detail::Fixed("this program asks nobody on its own machine");
            CallError::new(Class::Invalid, "NoSurroundings").with_detail(detail)
        })
    }

    async fn rrsa(&self, who: IdentityId, rrsa: &Rrsa) -> Result<Credentials, CallError> {
        let token = match &rrsa.subject {
            Subject::ServiceAccount { account, audience } => {
                self.minter.mint(account, audience).await?
            }
            Subject::TokenFile { path } => self.text("TokenFile", path).await?,
        };
        let request = AssumeRoleWithOidc {
            role_arn: &rrsa.role_arn,
            provider_arn: &rrsa.provider_arn,
            session_name: &rrsa.session_name,
            duration_seconds: rrsa.duration_seconds,
            policy: rrsa.policy.as_deref(),
            token: &token,
        };
        let asker = Asker::new(who, &rrsa.role_arn, &rrsa.sts);
        let sts = Sts::new(rrsa.sts.clone(), self.edge.clone());
        let call = sts.assume_role_with_oidc(&request);
        let answer = self.observed("AssumeRoleWithOIDC", &asker, call).await;
        answer.map_err(|error| naming_role(error, &BY_TOKEN, &rrsa.role_arn))
    }

    /// The text in the file at `path`, trimmed: projected files may end in a line break.
    async fn text(&self, code: &str, path: &Path) -> Result<SecretString, CallError> {
        let broken = |problem| CallError::about_file(Class::Unauthenticated, code, path, problem);
        let bytes = self.files.read(path).await.map_err(|error| {
            broken(match error.kind() {
                ErrorKind::NotFound => "does not exist",
                ErrorKind::PermissionDenied => "may not be read",
                _ => "cannot be read",
            })
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|_| broken("is not text"))?;
        match text.trim() {
            "" => Err(broken("is empty")),
            text => Ok(SecretString::from(text)),
        }
    }
}

/// The same error, which says what to correct and names the role, where STS refused that.
fn naming_role(error: CallError, way: &Way, role: &str) -> CallError {
    let named = |text| Detail::Named(text, Name::new(role));
    let detail = match error.class {
        _ if error.detail().is_some() => return error,
        _ if code::is_no_role(error.code()) => named(way.no_role),
        Class::Denied => named(way.denied),
        // A request is invalid for what it asks, never for the reference that is to be read later.
        Class::Invalid => named(
            "correct spec.auth (durationSeconds, sessionName, policy or an ARN), which asks for role",
        ),
        _ => return error,
    };
    error.with_detail(detail)
}

impl Exchanger for Exchange {
    fn exchange<'a>(
        &'a self,
        identity: &'a Identity,
        base: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Credentials, CallError>> {
        async move {
            let who = identity.id();
            match (identity.source(), base) {
                (Source::AccessKey(key), _) => Ok(key.credentials()),
                (Source::Rrsa(rrsa), _) => self.rrsa(who, rrsa).await,
                (Source::AssumedRole(role), Some(base)) => self.assumed_role(who, role, base).await,
                (Source::AssumedRole(_), None) => {
                    let detail = Detail::Fixed("the credentials that enter the role are missing");
                    Err(CallError::new(Class::Invalid, "NoBase").with_detail(detail))
                }
                (Source::InstanceRole(role), _) => {
                    let role = role.role_name.as_deref();
                    self.surroundings()?.instance_role(role).await
                }
                (Source::Profile(profile), _) => self.profile(who, profile).await,
                (Source::CredentialsUri(uri), _) => {
                    self.surroundings()?
                        .credentials_uri(uri.url.expose_secret())
                        .await
                }
            }
        }
        .boxed()
    }

    fn refuses_the_base(&self, error: &CallError) -> bool {
        code::refuses_the_key(error.code())
    }
}

#[cfg(test)]
mod tests;
