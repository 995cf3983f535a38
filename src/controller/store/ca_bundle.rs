//! Certificates that a store names by reference: they take the place of a bundle in its spec, so that
//! whatever they are is part of the address that is read.

use std::borrow::Cow;

use super::resolve::{Resolution, StoreError, invalid, missing};
use crate::api::{CaBundleKind, CaBundleRef, ProviderSpec};
use crate::controller::dependency::{Named, NamedKind};
use crate::http::{Authority, AuthorityError};
use crate::secret_bytes::SecretBytes;

const FIELD: &str = "spec.provider.kms.instance.caBundleRef";
/// The most characters of a bundle, as many as a store's own `caBundle` may have.
const LONGEST_BUNDLE: usize = 32_768;

/// Why a value is no bundle. It repeats nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum BundleError {
    #[error("holds more than {LONGEST_BUNDLE} characters")]
    TooLong,
    #[error(transparent)]
    NoAuthority(#[from] AuthorityError),
}

impl<'a> Resolution<'a, '_> {
    /// The store's `spec.provider`, in which the certificates stand that it names.
    ///
    /// # Errors
    /// When they are not there, or are none.
    pub(super) async fn provider(&mut self) -> Result<Cow<'a, ProviderSpec>, StoreError> {
        let spec = self.store.provider();
        let Some((instance, reference)) = spec
            .kms
            .as_ref()
            .and_then(|kms| kms.instance.as_ref())
            .and_then(|instance| Some((instance, instance.ca_bundle_ref.as_ref()?)))
        else {
            return Ok(Cow::Borrowed(spec));
        };
        if instance.ca_bundle.is_some() {
            let problem = "must have either caBundle or caBundleRef, not both";
            return Err(invalid(FIELD, problem));
        }
        let bundle = self.bundle(reference).await?;
        let mut spec = spec.clone();
        let instance = spec.kms.as_mut().and_then(|kms| kms.instance.as_mut());
        if let Some(instance) = instance {
            instance.ca_bundle = Some(bundle);
            instance.ca_bundle_ref = None;
        }
        Ok(Cow::Owned(spec))
    }

    async fn bundle(&mut self, reference: &CaBundleRef) -> Result<String, StoreError> {
        let named = Named {
            kind: match reference.kind() {
                CaBundleKind::ConfigMap => NamedKind::ConfigMap,
                CaBundleKind::Secret => NamedKind::Secret,
            },
            namespace: self.fixed_namespace(FIELD, reference.namespace.as_deref())?,
            name: reference.name.clone(),
        };
        let key = &reference.key;
        let value = self.value(FIELD, &named, key).await?;
        text(&value).map_err(|error| {
            let problem = format!(
                "the key {key} of {named} {error}; put the instance's certificate chain there, in PEM"
            );
            missing(FIELD, problem)
        })
    }
}

/// The text of `value`, if it is a bundle of certificates.
fn text(value: &SecretBytes) -> Result<String, BundleError> {
    let text = std::str::from_utf8(value.expose()).map_err(|_| AuthorityError::NotPem)?;
    if text.chars().count() > LONGEST_BUNDLE {
        return Err(BundleError::TooLong);
    }
    Authority::from_pem(text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::alibaba::ca;

    #[test]
    fn only_certificates_are_a_bundle_and_an_error_repeats_nothing() {
        let pem = ca::chain("cn-hangzhou").unwrap().pem;
        let padding = |length: usize| "#".repeat(length - pem.len() - 1) + "\n" + pem;
        let block = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
        let read = |bytes: Vec<u8>| text(&SecretBytes::new(bytes));
        assert_eq!(read(pem.into()).as_deref(), Ok(pem));
        assert!(read(padding(LONGEST_BUNDLE).into()).is_ok());
        let table = [
            (padding(LONGEST_BUNDLE + 1).into(), BundleError::TooLong),
            (Vec::new(), AuthorityError::Empty.into()),
            (b"canary".to_vec(), AuthorityError::Empty.into()),
            (key.into(), AuthorityError::Empty.into()),
            (block.into(), AuthorityError::NotACertificate.into()),
            (
                block.replace("Y2", "canary!").into(),
                AuthorityError::NotPem.into(),
            ),
            (b"canary\xff".to_vec(), AuthorityError::NotPem.into()),
        ];
        for (bytes, expected) in table {
            let refused = read(bytes).unwrap_err();
            assert_eq!(refused, expected);
            let said = refused.to_string();
            assert!(!said.contains("canary") && !said.contains("Y2"), "{said}");
        }
    }
}
