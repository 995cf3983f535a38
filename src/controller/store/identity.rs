//! The identity that a store's `auth` means: the cloud that is asked, and what is the same to all clouds.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::alibaba::Alibaba;
use super::resolve::{Resolution, StoreError, invalid, missing};
use crate::api::{AccessKeyAuth, SecretKeyRef, StoreKind};
use crate::controller::dependency::{Named, NamedKind};
use crate::credential::{AccessKey, Audience, Identity, Source, session_name};
use crate::provider::registry::{Cloud, Place};

/// The longest credential text: security tokens are long, but not that long.
const LONGEST_CREDENTIAL: usize = 8_192;

/// The first source, and the name of a session that it begins elsewhere.
pub(super) struct First {
    pub(super) source: Source,
    pub(super) session: String,
}

// === impl Resolution ===

impl Resolution<'_, '_> {
    /// The identity that reads; none where only a consumer's namespace would tell.
    pub(super) async fn identity(
        &mut self,
        place: &Place,
    ) -> Result<Option<Arc<Identity>>, StoreError> {
        match place.cloud {
            Cloud::Alibaba(network) => Alibaba::new(self, place, network).identity().await,
            Cloud::Tencent(..) => self.tencent().await,
        }
    }

    /// An identity on Tencent Cloud: an access key, and no other yet.
    async fn tencent(&mut self) -> Result<Option<Arc<Identity>>, StoreError> {
        let auth = self.store.auth();
        let Some(access_key) = &auth.access_key else {
            return Err(invalid(
                "spec.auth",
                "must have accessKey: this version of the operator knows no other identity on Tencent Cloud",
            ));
        };
        if auth.assume_role.is_some() {
            let problem = "this version of the operator enters no roles on Tencent Cloud";
            return Err(invalid("spec.auth.assumeRole", problem));
        }
        let first = self.access_key(access_key).await?;
        let key = &self.resolver.key;
        Ok(first.map(|first| Arc::new(Identity::new(first.source, key))))
    }

    /// `wanted` as the audience of a token, if it is an allowed one.
    pub(super) fn audience(&self, field: &str, wanted: &str) -> Result<Audience, StoreError> {
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

    /// An access key, which is the same to every cloud.
    pub(super) async fn access_key(
        &mut self,
        auth: &AccessKeyAuth,
    ) -> Result<Option<First>, StoreError> {
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

    /// The flag without which this kind of store may not use what is the operator's own.
    pub(super) fn missing_flag(&self) -> Option<&'static str> {
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
    pub(super) fn ambient(&self, field: &str) -> Result<(), StoreError> {
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
    pub(super) fn operator_session(&self) -> String {
        let rules = &self.resolver.rules;
        session_name(
            &rules.cluster_name,
            &rules.operator_namespace,
            "external-cloud-secrets",
        )
    }
}

/// A duration that the API server has bounded already.
pub(super) fn seconds(field: &str, seconds: Option<i32>) -> Result<Option<u32>, StoreError> {
    let positive = |_| invalid(format!("{field}.durationSeconds"), "must be positive");
    seconds.map(u32::try_from).transpose().map_err(positive)
}
