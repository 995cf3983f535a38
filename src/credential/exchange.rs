//! The exchange: from the material of an identity to credentials. Nothing is cached here, and
//! nothing falls back to another source.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;

use super::{Audience, Credentials, Files, Identity, Rrsa, ServiceAccount, Source, Subject};
use crate::provider::alibaba::{AssumeRoleWithOidc, Sts};
use crate::provider::{CallError, Class, Detail, Edge};

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
    /// New credentials of `identity`.
    ///
    /// # Errors
    /// Why its one source gave none.
    fn exchange<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<Credentials, CallError>>;
}

/// The exchange with the clouds' token services.
pub struct Exchange {
    edge: Edge,
    minter: Arc<dyn TokenMinter>,
    files: Arc<dyn Files>,
}

// === impl Exchange ===

impl Exchange {
    /// An exchange that calls through `edge`, with tokens of `minter` and `files`.
    pub fn new(edge: Edge, minter: Arc<dyn TokenMinter>, files: Arc<dyn Files>) -> Self {
        Self {
            edge,
            minter,
            files,
        }
    }

    async fn rrsa(&self, rrsa: &Rrsa) -> Result<Credentials, CallError> {
        let token = match &rrsa.subject {
            Subject::ServiceAccount { account, audience } => {
                self.minter.mint(account, audience).await?
            }
            Subject::TokenFile { path } => self.token_file(path).await?,
        };
        let request = AssumeRoleWithOidc {
            role_arn: &rrsa.role_arn,
            provider_arn: &rrsa.provider_arn,
            session_name: &rrsa.session_name,
            duration_seconds: rrsa.duration_seconds,
            policy: rrsa.policy.as_deref(),
            token: &token,
        };
        let sts = Sts::new(rrsa.sts.clone(), self.edge.clone());
        sts.assume_role_with_oidc(&request).await
    }

    /// The token in the file at `path`, trimmed: projected files may end in a line break.
    async fn token_file(&self, path: &Path) -> Result<SecretString, CallError> {
        let broken =
            |problem| CallError::about_file(Class::Unauthenticated, "TokenFile", path, problem);
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
            token => Ok(SecretString::from(token)),
        }
    }
}

impl Exchanger for Exchange {
    fn exchange<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<Credentials, CallError>> {
        async move {
            match identity.source() {
                Source::Rrsa(rrsa) => self.rrsa(rrsa).await,
                Source::AccessKey(_) => identity.fixed().ok_or_else(|| {
                    let detail = Detail::Fixed("this identity has nothing to exchange");
                    CallError::new(Class::Invalid, "Exchange").with_detail(detail)
                }),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
