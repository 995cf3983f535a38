//! What must be seen nowhere, and the one search for it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{Api, ListParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::scene::Scene;

/// Every secret value of these tests begins with this word, so that a piece of one is found too.
pub const MARK: &str = "kanari";

/// What must be seen nowhere: what it is, and how it looks.
#[derive(Clone)]
pub struct Canaries(BTreeMap<String, String>);

impl Canaries {
    /// The mark of values in all its clothes, and the beginning of every JSON web token.
    pub fn new() -> Self {
        let mut canaries = Self(BTreeMap::new());
        canaries.text("a marked value", MARK);
        canaries.0.insert("a token".into(), "eyJ".into());
        canaries
    }

    /// Adds a text, as it is, in base64, in hexadecimal and as its plain hash.
    pub fn text(&mut self, what: &str, text: &str) {
        self.bytes(what, text.as_bytes());
        self.0.insert(what.to_owned(), text.to_owned());
        let reversed: String = text.chars().rev().collect();
        self.0.insert(format!("{what}, reversed"), reversed);
    }

    /// Adds bytes.
    pub fn bytes(&mut self, what: &str, bytes: &[u8]) {
        // Without what depends on the bytes that follow.
        let base64 = BASE64_STANDARD.encode(&bytes[..bytes.len() / 3 * 3]);
        self.0.insert(format!("{what}, in base64"), base64);
        self.0.insert(format!("{what}, in hexadecimal"), hex(bytes));
        let list = format!("{bytes:?}");
        let list = list.trim_matches(['[', ']']).to_owned();
        self.0.insert(format!("{what}, byte by byte"), list);
        let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
        self.0.insert(format!("{what}, hashed"), hex(hash.as_ref()));
    }

    /// What of all this `text` holds.
    pub fn found(&self, text: &str) -> Vec<&str> {
        let held = self.0.iter().filter(|(_, canary)| text.contains(&**canary));
        held.map(|(what, _)| &**what).collect()
    }

    /// Fails when `text` holds a canary; says which and on which line.
    pub fn check(&self, place: &str, text: &str) {
        assert!(!text.is_empty(), "{place} is empty: nothing was searched");
        let found = self.found(text);
        let lines = text.lines().enumerate();
        let where_: Vec<String> = lines
            .filter(|(_, line)| !self.found(line).is_empty())
            .map(|(n, line)| {
                format!(
                    "line {}: {}",
                    n + 1,
                    line.chars().take(2_000).collect::<String>()
                )
            })
            .take(3)
            .collect();
        assert!(
            found.is_empty(),
            "{place} holds {found:?}:\n{}",
            where_.join("\n")
        );
    }

    /// Searches everything that the API server shows of a scene, data of Secrets apart.
    pub async fn check_objects(&self, scene: &Scene<'_>) {
        for kind in ["ExternalCloudSecret", "CloudSecretStore"] {
            let gvk = GroupVersionKind::gvk("cloudsecrets.dev", "v1alpha1", kind);
            let resource = ApiResource::from_gvk(&gvk);
            let api: Api<DynamicObject> =
                Api::namespaced_with(scene.client.clone(), &scene.namespace, &resource);
            let all = api.list(&ListParams::default()).await.unwrap().items;
            self.check(kind, &serde_json::to_string_pretty(&json!(all)).unwrap());
        }
        let secrets: Api<Secret> = scene.secrets();
        let secrets = secrets.list(&ListParams::default()).await.unwrap().items;
        let metadata: Vec<_> = secrets.iter().map(|secret| &secret.metadata).collect();
        self.check(
            "metadata of Secrets",
            &serde_json::to_string_pretty(&json!(metadata)).unwrap(),
        );
        let events: Api<Event> = Api::namespaced(scene.client.clone(), &scene.namespace);
        let events = events.list(&ListParams::default()).await.unwrap().items;
        assert!(!events.is_empty(), "no events");
        self.check(
            "events",
            &serde_json::to_string_pretty(&json!(events)).unwrap(),
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn the_search_finds_a_value_in_every_guise() {
    let mut canaries = Canaries::new();
    canaries.bytes("a key", &[7; 32]);
    let base64 = BASE64_STANDARD.encode("kanari-abc");
    let key = BASE64_STANDARD.encode([7; 32]);
    let list = format!("{:?}", b"kanari\0\xff");
    for held in [
        "x kanari-abc y",
        &base64,
        "Bearer eyJhbGciOi",
        "iranak",
        &key,
        &hex(&[7; 32]),
        &list,
    ] {
        assert!(!canaries.found(held).is_empty(), "{held}");
    }
    assert!(canaries.found("canary").is_empty());
}
