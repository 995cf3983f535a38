//! Private authorities against TLS servers on loopback.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use super::super::private::MOST_PRIVATE;
use super::*;

/// An authority, and a server whose certificate for `localhost` comes from it.
struct Signed {
    authority: Authority,
    port: u16,
}

impl Signed {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut seen = vec![0; 4096];
                    let _ = stream.read(&mut seen).await;
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    let _ = stream.write_all(answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self {
            authority: Authority::from_pem(&issuer.pem()).unwrap(),
            port,
        }
    }
}

async fn ask(client: &HttpClient, host: &str, port: u16) -> Result<u16, String> {
    let url = format!("https://{host}:{port}/");
    let request = Post::new(&url, &[], Zeroizing::default()).unwrap();
    let answer = client.post(request).await;
    answer
        .map(|answer| answer.status)
        .map_err(|error| format!("{} {}", error.class.as_str(), error.code()))
}

#[tokio::test]
async fn a_private_authority_is_the_only_root_and_host_names_are_verified() {
    let (one, other) = (Signed::start().await, Signed::start().await);
    let system = client(CALL_TIMEOUT);
    let private = system.trusting(&one.authority).unwrap();
    let failed = Err("Unavailable TlsFailed".to_owned());
    assert_eq!(ask(&private, "localhost", one.port).await, Ok(200));
    assert_eq!(ask(&private, "localhost", other.port).await, failed);
    assert_eq!(
        ask(&private, "127.0.0.1", one.port).await,
        failed,
        "the wrong name"
    );
    assert_eq!(ask(&system, "localhost", one.port).await, failed);
    let swapped = private.trusting(&other.authority).unwrap();
    assert_eq!(
        ask(&swapped, "localhost", one.port).await,
        failed,
        "authorities do not add up"
    );
    assert_eq!(ask(&swapped, "localhost", other.port).await, Ok(200));
}

#[tokio::test]
async fn equal_authorities_share_a_client_and_few_are_kept() {
    let system = client(CALL_TIMEOUT);
    for _ in 0..3 {
        for chain in CHAINS {
            let authority = Authority::from_pem(chain.pem).unwrap();
            system.trusting(&authority.named(chain.region)).unwrap();
        }
    }
    let known = system.authorities();
    assert_eq!(known.len(), CHAINS.len());
    for chain in CHAINS {
        let expected = (chain.region.to_owned(), chain.expiry.parse().unwrap());
        assert!(known.contains(&expected), "{known:?}");
    }
    let pems: Vec<&str> = CHAINS
        .iter()
        .flat_map(|chain| chain.pem.split_inclusive("-----END CERTIFICATE-----"))
        .filter(|pem| pem.contains("BEGIN"))
        .collect();
    for (a, b) in pems
        .iter()
        .zip(pems.iter().cycle().skip(1))
        .take(MOST_PRIVATE)
    {
        let authority = Authority::from_pem(&format!("{a}\n{b}")).unwrap();
        system.trusting(&authority).unwrap();
        assert!(system.authorities().len() <= MOST_PRIVATE);
    }
}
