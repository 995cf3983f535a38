//! Requests that are made as somebody, and what the API server answers.

use http::Method;
use http::header::CONTENT_TYPE;
use kube::Client;
use serde_json::{Value, json};

/// The status code of a request, 200 standing for success, and what it says.
pub async fn answer(client: &Client, method: Method, path: &str, body: &Value) -> (u16, String) {
    let kind = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let bytes = match body {
        Value::Null => Vec::new(),
        body => serde_json::to_vec(body).unwrap(),
    };
    let request = http::Request::builder().method(&method).uri(path);
    let request = request.header(CONTENT_TYPE, kind).body(bytes).unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => (200, String::new()),
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

/// The path and the body of a request for a token of a ServiceAccount, for these audiences.
pub fn token(namespace: &str, account: &str, audiences: &[&str]) -> (String, Value) {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": { "audiences": audiences, "expirationSeconds": 600 },
    });
    (path, body)
}

/// A Secret, with the operator's label or without.
pub fn secret(name: &str, type_: &str, managed: bool) -> Value {
    let labels = if managed {
        json!({ "cloudsecrets.dev/managed": "true" })
    } else {
        json!({})
    };
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": type_,
        "metadata": { "name": name, "labels": labels },
        "stringData": { "password": "canary-theirs" },
    })
}
