//! An access key that a store names: where it is, and what of a Secret can be one.

use secrecy::{ExposeSecret, SecretString};

use super::identity::First;
use super::resolve::{Resolution, StoreError, missing};
use crate::api::{AccessKeyAuth, SecretKeyRef};
use crate::controller::dependency::{Named, NamedKind};
use crate::credential::{AccessKey, Source, session_name};

/// The longest credential text: security tokens are long, but not that long.
const LONGEST_CREDENTIAL: usize = 8_192;

impl Resolution<'_, '_> {
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
}
