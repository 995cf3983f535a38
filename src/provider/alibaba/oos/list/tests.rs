//! Lists against a scripted gateway, which answers more than it was asked for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;
use crate::http::{HttpClient, HttpOptions};
use crate::provider::Edge;
use crate::provider::Skews;
use crate::provider::alibaba::code;
use crate::provider::endpoint::{EndpointPolicy, Service};

type Asked = Vec<(String, Vec<(String, String)>)>;

/// A gateway that answers `pages`, one after the other, and what it was asked.
async fn gateway(pages: Vec<Value>) -> (Gateway, Arc<Mutex<Asked>>) {
    let asked = Arc::new(Mutex::new(Asked::new()));
    let seen = Arc::clone(&asked);
    let answer = move |headers: HeaderMap, Query(query): Query<Vec<(String, String)>>| {
        let action = headers["x-acs-action"].to_str().unwrap().to_owned();
        let mut seen = seen.lock().unwrap();
        let page = pages[seen.len().min(pages.len() - 1)].to_string();
        seen.push((action, query));
        async move { page }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let http = HttpClient::new(HttpOptions {
        allow_insecure: true,
        timeout: Duration::from_secs(5),
    });
    let edge = Edge {
        http: http.unwrap(),
        clock: Arc::new(SystemClock),
        random: Arc::new(ring::rand::SystemRandom::new()),
        skews: Skews::default(),
    };
    let policy = EndpointPolicy::new([], true).unwrap();
    let service = Service {
        name: "oos",
        hosts: &[],
    };
    let endpoint = policy.check(&url, &service).unwrap();
    (Gateway::new(edge, endpoint, "2019-06-01", code::OOS), asked)
}

async fn list(
    gateway: &Gateway,
    parameters: Parameters,
    selection: &Selection,
) -> Result<Vec<(String, Option<String>)>, String> {
    let credentials = Credentials {
        access_key_id: "LTAI".to_owned(),
        access_key_secret: SecretString::from("canary"),
        security_token: None,
        expires_at: None,
    };
    let of = Of {
        gateway,
        region: "cn-hangzhou",
        parameters,
    };
    let listed = of.list(&credentials, selection).await;
    let shown = |one: Listed| {
        let value = one.answer.map(|answer| match answer {
            Ok(fetched) => String::from_utf8(fetched.value.expose().to_vec()).unwrap(),
            Err(error) => error.code().to_owned(),
        });
        (one.key.key, value)
    };
    listed
        .map(|all| all.into_iter().map(shown).collect())
        .map_err(|error| error.code().to_owned())
}

fn below(path: &str) -> Selection {
    Selection {
        path: Some(path.to_owned()),
        ..Selection::default()
    }
}

fn named(name: &str, value: &str) -> Value {
    json!({"Name": name, "Value": value, "ParameterVersion": 1})
}

#[tokio::test]
async fn a_path_is_read_with_its_values_page_by_page() {
    let pages = vec![
        json!({"Parameters": [named("/shop/a", "1"), named("/shopping/x", "2")], "NextToken": "t1"}),
        json!({"Parameters": [named("/shop/a", "1"), named("/shop/b/c", "")], "NextToken": ""}),
    ];
    let (gateway, asked) = gateway(pages).await;
    let selection = below("/shop/");
    let listed = list(&gateway, Parameters::Secret, &selection).await;
    let text = |text: &str| Some(text.to_owned());
    let expected = vec![
        ("/shop/a".to_owned(), text("1")),
        ("/shop/b/c".to_owned(), text("EmptyValue")),
    ];
    assert_eq!(listed, Ok(expected));
    let asked = asked.lock().unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (action, query) in asked.iter() {
        assert_eq!(action, "GetSecretParametersByPath");
        assert!(query.contains(&pair("WithDecryption", "true")));
        assert!(query.contains(&pair("Recursive", "true")));
        assert!(query.contains(&pair("MaxResults", "10")));
    }
    assert_eq!(asked.len(), 2);
    assert!(asked[1].1.contains(&pair("NextToken", "t1")));
}

#[tokio::test]
async fn tags_are_matched_again_and_bring_no_values() {
    let tagged = |name: &str, env: &str| json!({"Name": name, "Tags": {"env": env, "x": "y"}});
    let page = json!({"Parameters": [
        tagged("/shop/a", "prod"), tagged("/shop/b", "test"), {"Name": "/shop/c"},
    ]});
    let (gateway, asked) = gateway(vec![page]).await;
    let selection = Selection {
        tags: [("env".to_owned(), "prod".to_owned())].into(),
        ..below("/shop")
    };
    let listed = list(&gateway, Parameters::Plain, &selection).await;
    assert_eq!(listed, Ok(vec![("/shop/a".to_owned(), None)]));
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0].0, "ListParameters");
    let names: Vec<&str> = asked[0].1.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!names.contains(&"WithDecryption"));
    assert!(names.contains(&"Tags"));
}

#[tokio::test]
async fn each_kind_of_parameter_has_its_own_calls() {
    let page = || vec![json!({"Parameters": []})];
    let table = [
        (Parameters::Secret, below("/a"), "GetSecretParametersByPath"),
        (Parameters::Plain, below("/a"), "GetParametersByPath"),
        (Parameters::Secret, below("/"), "ListSecretParameters"),
        (Parameters::Plain, Selection::default(), "ListParameters"),
    ];
    for (parameters, selection, action) in table {
        let (gateway, asked) = gateway(page()).await;
        assert_eq!(list(&gateway, parameters, &selection).await, Ok(Vec::new()));
        assert_eq!(asked.lock().unwrap()[0].0, action);
    }
}

#[tokio::test]
async fn a_list_that_goes_in_circles_is_an_error() {
    let page = json!({"Parameters": [named("/shop/a", "1")], "NextToken": "same"});
    let (gateway, _) = gateway(vec![page]).await;
    let listed = list(&gateway, Parameters::Secret, &below("/shop")).await;
    assert_eq!(listed, Err("EndlessList".to_owned()));
}
