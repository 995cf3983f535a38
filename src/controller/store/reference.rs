//! What a store's references mean: in which namespace an object is, and what it holds under a key.

use super::resolve::{Resolution, StoreError, invalid, missing};
use crate::api::{ServiceAccountRef, StoreKind};
use crate::controller::dependency::{Dependency, Named, NamedKind};
use crate::controller::named::AccountFacts;
use crate::secret_bytes::SecretBytes;

impl Resolution<'_, '_> {
    /// The namespace of a reference: a namespaced store's own, and what a cluster store says. None
    /// where that is the consumer's and nobody consumes.
    ///
    /// # Errors
    /// When a reference leaves the store's namespace, or does not say which one it means.
    pub(super) fn namespace(
        &self,
        field: &str,
        named: Option<&str>,
        from_consumer: bool,
    ) -> Result<Option<String>, StoreError> {
        if let Some(own) = self.own_namespace() {
            if from_consumer || named.is_some_and(|namespace| namespace != own) {
                let problem = "a CloudSecretStore uses its own namespace only; leave out namespace \
                               and fromConsumer";
                return Err(invalid(field, problem));
            }
            return Ok(Some(own));
        }
        match (named, from_consumer) {
            (Some(namespace), false) => Ok(Some(namespace.to_owned())),
            (None, true) => Ok(self.consumer.map(str::to_owned)),
            _ => Err(invalid(
                field,
                "must have exactly one of: namespace, fromConsumer: true",
            )),
        }
    }

    /// The namespace of a reference that never means the consumer's.
    ///
    /// # Errors
    /// When a reference leaves the store's namespace, or a cluster store's names none.
    pub(super) fn fixed_namespace(
        &self,
        field: &str,
        named: Option<&str>,
    ) -> Result<String, StoreError> {
        match (self.own_namespace(), named) {
            (Some(own), Some(named)) if own != named => {
                let problem = "a CloudSecretStore uses its own namespace only; leave out namespace";
                Err(invalid(field, problem))
            }
            (Some(own), _) => Ok(own),
            (None, Some(named)) => Ok(named.to_owned()),
            (None, None) => Err(invalid(
                field,
                "must have a namespace on a ClusterCloudSecretStore",
            )),
        }
    }

    /// Refuses what is in a namespace that is not watched: it cannot be read there.
    fn served(&self, field: &str, named: &Named) -> Result<(), StoreError> {
        if self.resolver.rules.scope.includes(&named.namespace) {
            return Ok(());
        }
        let problem = format!("{named} is in a namespace that is not among --watch-namespaces");
        Err(invalid(field, problem))
    }

    fn own_namespace(&self) -> Option<String> {
        let id = self.store.id();
        (id.kind == StoreKind::CloudSecretStore).then_some(id.namespace)
    }

    /// The `ServiceAccount` of a reference and what is known of it; none where that is a consumer's and
    /// nobody consumes.
    ///
    /// # Errors
    /// When the reference may not mean it, there is no such account, or the API server cannot be asked.
    pub(super) async fn account(
        &mut self,
        field: &str,
        reference: &ServiceAccountRef,
    ) -> Result<Option<(Named, AccountFacts)>, StoreError> {
        let from_consumer = reference.from_consumer == Some(true);
        let namespace = self.namespace(field, reference.namespace.as_deref(), from_consumer)?;
        let Some(namespace) = namespace else {
            return Ok(None);
        };
        let named = Named {
            kind: NamedKind::ServiceAccount,
            namespace,
            name: reference.name.clone(),
        };
        self.served(field, &named)?;
        self.notes.note(Dependency::Named(named.clone()));
        let found = self.resolver.named.account(&named).await;
        let found = found.map_err(|_| StoreError::Unasked(named.to_string()))?;
        let facts = found.ok_or_else(|| missing(field, format!("{named} does not exist")))?;
        Ok(Some((named, facts)))
    }

    /// What the Secret or `ConfigMap` `named` holds under `key`.
    ///
    /// # Errors
    /// When there is no such object or no such key, or the API server cannot be asked.
    pub(super) async fn value(
        &mut self,
        field: &str,
        named: &Named,
        key: &str,
    ) -> Result<SecretBytes, StoreError> {
        self.served(field, named)?;
        self.notes.note(Dependency::Named(named.clone()));
        let content = self.resolver.named.content(named).await;
        let content = content.map_err(|_| StoreError::Unasked(named.to_string()))?;
        let Some(content) = content else {
            let problem = format!("{named} does not exist; create it, or name another");
            return Err(missing(field, problem));
        };
        content.get(key).cloned().ok_or_else(|| {
            let problem = format!("{named} has no key {key}; add it, or name another");
            missing(field, problem)
        })
    }
}
