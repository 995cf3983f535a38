//! Fresh keys and certificates for one cluster: one CA, a serving certificate, two clients and the service-account key.

use crate::error::Error;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The name of the one node that a cluster may have.
pub const NODE: &str = "node";

// RS256, as every real cluster signs its service-account tokens.
const SERVICE_ACCOUNT_KEY_BITS: usize = 2048;

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Everything a cluster's processes and its administrator authenticate with.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) ca: String,
    pub(crate) serving: Pair,
    pub(crate) admin: Pair,
    pub(crate) controller_manager: Pair,
    pub(crate) scheduler: Pair,
    /// The kubelet of the node [`NODE`].
    pub(crate) kubelet: Pair,
    /// The service-account key: public in `certificate`'s place.
    pub(crate) service_account: Pair,
}

// === impl Certificates ===

impl Certificates {
    /// Makes new ones. Finding RSA primes takes a while, so call it off the async threads.
    pub(crate) fn generate() -> Result<Self, Error> {
        let ca = authority()?;
        let mut serving = CertificateParams::new(
            [
                "127.0.0.1",
                "localhost",
                "10.0.0.1",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
            ]
            .map(String::from),
        )?;
        serving
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(Self {
            ca: ca.pem(),
            serving: sign(serving, &ca)?,
            admin: client("admin", Some("system:masters"), &ca)?,
            controller_manager: client("system:kube-controller-manager", None, &ca)?,
            scheduler: client("system:kube-scheduler", None, &ca)?,
            kubelet: client(&format!("system:node:{NODE}"), Some("system:nodes"), &ca)?,
            service_account: service_account_key()?,
        })
    }

    /// Writes the files that the processes read.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Error> {
        for (name, text) in [
            ("ca.crt", &self.ca),
            ("serving.crt", &self.serving.certificate),
            ("serving.key", &self.serving.key),
            ("sa.pub", &self.service_account.certificate),
            ("sa.key", &self.service_account.key),
        ] {
            write_private(&dir.join(name), text)?;
        }
        Ok(())
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &PathBuf, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::io("write", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(Error::io("protect", path))
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "devcluster");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn client(
    name: &str,
    group: Option<&str>,
    ca: &CertifiedIssuer<'static, KeyPair>,
) -> Result<Pair, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(params, ca)
}

fn sign(
    mut params: CertificateParams,
    ca: &CertifiedIssuer<'static, KeyPair>,
) -> Result<Pair, Error> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, ca)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn service_account_key() -> Result<Pair, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::ServiceAccountKey(error.to_string());
    let key =
        RsaPrivateKey::new(&mut OsRng, SERVICE_ACCOUNT_KEY_BITS).map_err(|error| failed(&error))?;
    let private = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| failed(&error))?;
    let public = key
        .to_public_key()
        .to_public_key_pem(LineEnding::LF)
        .map_err(|error| failed(&error))?;
    Ok(Pair {
        certificate: public,
        key: private.to_string(),
    })
}
