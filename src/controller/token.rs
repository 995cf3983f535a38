//! Tokens of `ServiceAccounts`, made by the API server for one exchange each.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use secrecy::SecretString;

use crate::credential::{Audience, ServiceAccount, TokenMinter};
use crate::provider::{CallError, Class, Detail, Name};

/// How long a token lives: the shortest that Kubernetes makes.
const SECONDS: i64 = 600;

/// Makes tokens through the TokenRequest API.
pub struct TokenRequests(Client);

// === impl TokenRequests ===

impl TokenRequests {
    /// Tokens from the API server behind `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

impl TokenMinter for TokenRequests {
    fn mint<'a>(
        &'a self,
        account: &'a ServiceAccount,
        audience: &'a Audience,
    ) -> BoxFuture<'a, Result<SecretString, CallError>> {
        async move {
            let api: Api<k8s_openapi::api::core::v1::ServiceAccount> =
                Api::namespaced(self.0.clone(), &account.namespace);
            let request = TokenRequest {
                spec: TokenRequestSpec {
                    audiences: vec![audience.as_str().to_owned()],
                    expiration_seconds: Some(SECONDS),
                    bound_object_ref: None,
                },
                ..TokenRequest::default()
            };
            let made = api
                .create_token_request(&account.name, &PostParams::default(), &request)
                .await;
            let token = made
                .map_err(|error| failure(&error, account))?
                .status
                .map(|status| status.token);
            let missing = || CallError::new(Class::Protocol, "TokenRequest.Empty");
            token.map(SecretString::from).ok_or_else(missing)
        }
        .boxed()
    }
}

fn failure(error: &kube::Error, account: &ServiceAccount) -> CallError {
    let ServiceAccount {
        namespace, name, ..
    } = account;
    let (class, code, why) = match error {
        kube::Error::Api(status) => match status.code {
            401 | 403 => (
                Class::Denied,
                "TokenRequest.Forbidden",
                "the operator's RBAC does not grant serviceaccounts/token for ServiceAccount",
            ),
            404 => (
                Class::Unauthenticated,
                "TokenRequest.NotFound",
                "there is no ServiceAccount",
            ),
            _ => (
                Class::Unavailable,
                "TokenRequest.Failed",
                "the API server made no token for ServiceAccount",
            ),
        },
        _ => (
            Class::Unavailable,
            "TokenRequest.Unanswered",
            "the API server did not answer about ServiceAccount",
        ),
    };
    let name = Name::new(&format!("{namespace}/{name}"));
    CallError::new(class, code).with_detail(Detail::Named(why, name))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refused_token_names_the_account_and_nothing_of_the_answer() {
        let account = ServiceAccount {
            namespace: "shop".to_owned(),
            name: "db".to_owned(),
            uid: "u1".to_owned(),
        };
        for (code, expected) in [
            (
                403,
                "TokenRequest.Forbidden: the operator's RBAC does not grant",
            ),
            (404, "TokenRequest.NotFound: there is no ServiceAccount"),
            (500, "TokenRequest.Failed: the API server made no token"),
        ] {
            let status = Status::failure("canary-text", "canary-reason").with_code(code);
            let error = failure(&kube::Error::Api(Box::new(status)), &account).to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(error.ends_with(" shop/db"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
