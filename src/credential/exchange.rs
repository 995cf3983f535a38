//! The exchange: from the material of an identity to credentials. Nothing is cached here, and
//! nothing falls back to another source.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;
use tokio::time::Instant;

use super::pace::{Asker, Pace};
use super::{
    Assume, Audience, Cloud, Credentials, Files, Identity, IdentityId, ServiceAccount, Source,
    Subject, Surroundings, WebIdentity,
};
use crate::provider::{CallError, Class, Detail, Edge, Name};
use crate::refresh::CallObserver;

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

    /// Whether `error`, of an exchange of `identity` with base credentials, means that the cloud does
    /// not accept these any more. An exchanger that knows no bases never says so.
    fn refuses_the_base(&self, _identity: &Identity, _error: &CallError) -> bool {
        false
    }
}

/// The exchange with the clouds' token services.
pub struct Exchange {
    pub(super) edge: Edge,
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
        asker: &Asker<'_>,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        self.pace.turn(asker).await?;
        let sent = Instant::now();
        let answer = call.await;
        self.pace.note(asker, answer.as_ref().err());
        if let Some(observer) = &self.observer {
            let class = answer.as_ref().err().map(|error| error.class);
            observer.called("sts", asker.action.name, class, sent.elapsed());
        }
        answer
    }

    pub(super) async fn assumed_role(
        &self,
        who: IdentityId,
        role: &Assume<'_>,
        base: &Credentials,
    ) -> Result<Credentials, CallError> {
        let cloud = role.sts.cloud();
        let asker = Asker::new(who, role.role_arn, role.sts, cloud.by_credentials());
        let call = cloud.assume(&self.edge, role, base);
        let answer = self.observed(&asker, call).await;
        answer.map_err(|error| naming_role(cloud, error, &ENTERED, role.role_arn))
    }

    pub(super) fn surroundings(&self) -> Result<&Surroundings, CallError> {
        self.surroundings.as_ref().ok_or_else(|| {
            let detail = Detail::Fixed("this program asks nobody on its own machine");
            CallError::new(Class::Invalid, "NoSurroundings").with_detail(detail)
        })
    }

    pub(super) async fn by_token(
        &self,
        who: IdentityId,
        role: &WebIdentity,
    ) -> Result<Credentials, CallError> {
        let token = match &role.subject {
            Subject::ServiceAccount { account, audience } => {
                self.minter.mint(account, audience).await?
            }
            Subject::TokenFile { path } => self.text("TokenFile", path).await?,
        };
        let cloud = role.sts.cloud();
        let asker = Asker::new(who, &role.role_arn, &role.sts, cloud.by_token());
        let call = cloud.exchange(&self.edge, role, &token);
        let answer = self.observed(&asker, call).await;
        answer.map_err(|error| match cloud.token_advice(error.code()) {
            Some(advice) => error.with_detail(Detail::Named(advice, Name::new(&role.role_arn))),
            None => naming_role(cloud, error, &BY_TOKEN, &role.role_arn),
        })
    }

    /// The text in the file at `path`, trimmed: projected files may end in a line break.
    pub(super) async fn text(&self, code: &str, path: &Path) -> Result<SecretString, CallError> {
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
fn naming_role(cloud: &dyn Cloud, error: CallError, way: &Way, role: &str) -> CallError {
    let named = |text| Detail::Named(text, Name::new(role));
    let detail = match error.class {
        _ if error.detail().is_some() => return error,
        _ if cloud.is_no_role(error.code()) => named(way.no_role),
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
                (Source::WebIdentity(role), _) => self.by_token(who, role).await,
                (Source::AssumedRole(role), Some(base)) => {
                    self.assumed_role(who, &role.request(), base).await
                }
                (Source::AssumedRole(_), None) => {
                    let detail = Detail::Fixed("the credentials that enter the role are missing");
                    Err(CallError::new(Class::Invalid, "NoBase").with_detail(detail))
                }
                (Source::InstanceRole(role), _) => {
                    let (around, name) = (self.surroundings()?, role.role_name.as_deref());
                    role.cloud.0.instance_credentials(around, name).await
                }
                (Source::Profile(profile), _) => profile.exchange(self, who).await,
                (Source::CredentialsUri(uri), _) => uri.exchange(self.surroundings()?).await,
            }
        }
        .boxed()
    }

    fn refuses_the_base(&self, identity: &Identity, error: &CallError) -> bool {
        match identity.source() {
            Source::AssumedRole(role) => role.sts.cloud().refuses_the_key(error.code()),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
