//! A dedicated instance of KMS: a listener with TLS, certified by a private CA that is made at the start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

/// Where a dedicated instance listens, and what it is called.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its host name.
    pub host: String,
    /// Further names and addresses that its certificate is good for.
    pub names: Vec<String>,
}

/// A running dedicated instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KmsInstance {
    /// Its host name, for clients that resolve it to `address` themselves.
    pub host: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its URL by address, `https://127.0.0.1:PORT`.
    pub url: String,
    /// The certificate of its CA, in PEM.
    pub ca_pem: String,
}

/// An instance's CA and its own certificate.
pub(crate) struct Certified {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) ca_pem: String,
}

// === impl InstanceOptions ===

impl Default for InstanceOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            host: "kst-sim.cryptoservice.kms.aliyuncs.com".to_owned(),
            names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        }
    }
}

// === impl KmsInstance ===

impl KmsInstance {
    pub(crate) fn new(options: &InstanceOptions, address: SocketAddr, ca_pem: String) -> Self {
        Self {
            host: options.host.clone(),
            address,
            url: format!("https://{address}"),
            ca_pem,
        }
    }
}

// === impl Certified ===

impl Certified {
    /// Makes a root, a second CA and a certificate, as the real instances' chains are made.
    pub(crate) fn new(options: &InstanceOptions) -> io::Result<Self> {
        let root = CertifiedIssuer::self_signed(ca("cloudsim private KMS root CA"), key()?);
        let root = root.map_err(io::Error::other)?;
        let second = ca("cloudsim private KMS second CA");
        let second = CertifiedIssuer::signed_by(second, key()?, &root).map_err(io::Error::other)?;
        let names = [vec![options.host.clone()], options.names.clone()].concat();
        let leaf_key = key()?;
        let leaf = CertificateParams::new(names)
            .and_then(|leaf| leaf.signed_by(&leaf_key, &second))
            .map_err(io::Error::other)?;
        let chain = vec![leaf.der().clone(), second.der().clone()];
        let leaf_key = leaf_key.serialize_der().try_into();
        let leaf_key = leaf_key.map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, leaf_key)
            .map_err(io::Error::other)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca_pem: format!("{}{}", root.pem(), second.pem()),
        })
    }
}

fn key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

fn ca(name: &str) -> CertificateParams {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name.push(DnType::CommonName, name);
    ca
}
