//! One call to KMS: whose it is, where its secrets are, and whether it may be.

use crate::account::Principal;
use crate::cloud::Cloud;
use crate::parameter::Place;
use crate::permission::{self, Resource};
use crate::quota;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::secret::{self, SecretStore, StoredSecret};

/// What a call to KMS needs beside its parameters.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) caller: &'a Principal,
    pub(super) request: &'a Request,
    pub(super) region: &'a str,
}

pub(super) fn resource(place: &Place) -> Resource {
    Resource::new("kms", &place.region, &place.account, "secret", &place.name)
}

pub(super) fn flag(name: &str, text: Option<&str>) -> Result<bool, Refusal> {
    match text {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Refusal::invalid(name, "it is neither true nor false")),
    }
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(
        404,
        "Forbidden.ResourceNotFound",
        "The specified secret or version is not found.",
    )
}

/// Refuses a secret that is pending deletion.
pub(super) fn check_alive(secret: &StoredSecret) -> Result<(), Refusal> {
    if secret.planned_delete.is_none() {
        return Ok(());
    }
    Err(Refusal::new(
        409,
        "Rejected.ResourceInDeleteWindow",
        "The secret is in its deletion window.",
    ))
}

// === impl Call ===

impl<'a> Call<'a> {
    pub(crate) fn new(cloud: &'a Cloud, caller: &'a Principal, request: &'a Request) -> Self {
        let region = cloud.region_of(request);
        Self {
            cloud,
            caller,
            request,
            region,
        }
    }

    /// Counts the call; a dedicated instance has no quota.
    pub(crate) fn throttle(&self, kind: quota::Kind) -> Result<(), Refusal> {
        let Some(limit) = kind.limit(&self.cloud.kms.read()) else {
            return Ok(());
        };
        let second = self.cloud.now().as_second();
        let of = (self.caller.account.clone(), self.region.to_owned(), kind);
        let mut quotas = self.cloud.quotas.write();
        if self.request.instance || quotas.take(second, of, limit) {
            return Ok(());
        }
        Err(Refusal::new(
            429,
            "Rejected.Throttling",
            "QPS Limit Exceeded",
        ))
    }

    /// Where the secret is that a name, or an ARN, means.
    pub(super) fn place(&self, name: &str) -> Result<Place, Refusal> {
        let parts = secret::split_arn(name);
        let (account, region, name) = match parts {
            Some(parts) => parts,
            None if secret::is_name(name) => (&self.caller.account[..], self.region, name),
            None => {
                let why = "it must have 1 to 192 of the characters A-Za-z0-9_/+=.@-, or be an ARN";
                return Err(Refusal::invalid("SecretName", why));
            }
        };
        // A gateway serves the secrets of its region only.
        if region != self.region {
            return Err(not_found());
        }
        Ok(Place {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The place of `SecretName`, which must be in the caller's own account.
    pub(super) fn own_place(&self) -> Result<Place, Refusal> {
        let place = self.place(self.request.require("SecretName")?)?;
        if place.account == self.caller.account {
            return Ok(place);
        }
        let why = "this operation does not take secrets of other accounts";
        Err(Refusal::invalid("SecretName", why))
    }

    pub(super) fn permits(&self, action: &str, resource: &Resource) -> bool {
        let registry = self.cloud.registry.read();
        registry.permits(self.caller, action, resource)
    }

    pub(super) fn denied(&self, action: &str) -> Refusal {
        permission::refusal(
            self.caller,
            action,
            "Forbidden.NoPermission",
            "This operation is forbidden by permission system.",
        )
    }

    /// Permission before existence: nobody learns about secrets that are none of their business.
    pub(super) fn permit(&self, action: &str, place: &Place) -> Result<(), Refusal> {
        if self.permits(action, &resource(place)) {
            return Ok(());
        }
        Err(self.denied(action))
    }

    /// A secret that the caller may do all of this with, even if it is of another account.
    pub(super) fn shared<'s>(
        &self,
        store: &'s SecretStore,
        place: &Place,
        actions: &[&str],
    ) -> Result<&'s StoredSecret, Refusal> {
        for action in actions {
            self.permit(action, place)?;
        }
        let secret = store.get(place, self.cloud.now());
        let Some(last) = actions
            .last()
            .filter(|_| place.account != self.caller.account)
        else {
            return secret.ok_or_else(not_found);
        };
        let (arn, account) = (self.caller.arn(), &self.caller.account);
        secret
            .filter(|secret| secret.admits(&arn, account, last))
            .ok_or_else(|| self.denied(last))
    }
}
