//! What the log shows at its loudest while secrets pass through.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use external_cloud_secrets::provider::{Provider, RemoteKey};
use secrecy::ExposeSecret;
use tracing_subscriber::filter::LevelFilter;

use crate::identity::Fixture;
use crate::oos::provider;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_tokens_nor_credentials_nor_values_are_logged_at_trace_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process: the other tests' canaries must not show either.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let fixture = Fixture::new().await;
    let identity = fixture.identity(|_| ());
    let credentials = fixture.cache.get(&identity).await.unwrap();
    let oos = provider(&fixture.simulator.url());
    let keys = [RemoteKey::named("/shop/db")];
    oos.fetch(&credentials, &keys).await.unwrap();
    let faults = [
        cloudsim::Effect::Truncate,
        cloudsim::Effect::MalformedJson,
        cloudsim::Effect::Html { status: 200 },
        cloudsim::Effect::Reset,
    ];
    for effect in faults {
        let fault = cloudsim::Fault::new(effect).service("oos").times(1);
        fixture.simulator.add_fault(fault);
        oos.fetch(&credentials, &keys).await.unwrap_err();
    }

    // KMS, with a value that is base64 on its way.
    fixture
        .simulator
        .put_secret(cloudsim::Secret::binary("/shop/key", b"canary\0\xff"))
        .unwrap();
    let kms = crate::kms::provider(&fixture.simulator.url(), None);
    let keys = ["/shop/key", "/shop/none"].map(RemoteKey::named);
    kms.fetch(&credentials, &keys[..1]).await.unwrap();
    kms.fetch(&credentials, &keys).await.unwrap();
    let broken = cloudsim::SecretVersion {
        data_type: Some(cloudsim::DataType::Binary),
        ..cloudsim::SecretVersion::new("broken", "canary: no base64")
    };
    fixture
        .simulator
        .put_secret_version("/shop/key", broken)
        .unwrap();
    let answers = kms.fetch(&credentials, &keys).await.unwrap();
    assert!(answers.iter().all(Result::is_err));

    let bytes = log.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&bytes);
    let token = credentials.security_token.as_ref().unwrap();
    let secrets = [
        "canary",
        "Y2FuYXJ5",
        "99, 97, 110, 97, 114, 121",
        "eyJ",
        credentials.access_key_secret.expose_secret(),
        token.expose_secret(),
    ];
    assert!(text.contains("hyper"), "nothing was logged at all");
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}
