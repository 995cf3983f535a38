//! OOS: plain parameters, reading by path, and lists.

use cloudsim::{Parameter, ParameterType, Simulator};
use serde_json::{Value, json};

use crate::support::*;

async fn with_paths() -> (Simulator, Client) {
    let simulator = simulator().await;
    for name in ["/shop/db/user", "/shop/db/password", "/shop/db/deep/key"] {
        simulator.put_parameter(name, "canary").unwrap();
    }
    let list = Parameter {
        kind: ParameterType::StringList,
        tags: [("env".to_owned(), "prod".to_owned())].into(),
        ..Parameter::new("/shop/list", "x,y")
    };
    simulator.put_plain_parameter(list).unwrap();
    simulator
        .put_plain_parameter(Parameter::new("/shop/text", "one"))
        .unwrap();
    simulator
        .put_plain_parameter(Parameter::new("/shop/text", "two"))
        .unwrap();
    let client = Client::new(&simulator, ROOT);
    (simulator, client)
}

fn draft(action: &'static str) -> Draft {
    Draft::new(OOS, action)
}

fn names(reply: &Reply) -> Vec<&str> {
    let list = reply.body["Parameters"].as_array().unwrap();
    list.iter()
        .map(|entry| entry["Name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn plain_parameters_are_read_alone_and_together_and_are_no_secret_ones() {
    let (_simulator, client) = with_paths().await;
    let get = |name| draft("GetParameter").with("Name", name);
    let text = client.send(&get("/shop/text")).await.body["Parameter"].clone();
    assert_eq!(
        (&text["Value"], &text["Type"]),
        (&json!("two"), &json!("String"))
    );
    let first = client
        .send(&get("/shop/text").with("ParameterVersion", "1"))
        .await;
    assert_eq!(first.body["Parameter"]["Value"], "one");
    let list = client.send(&get("/shop/list")).await.body["Parameter"].clone();
    assert_eq!(list["Type"], "StringList");
    assert_eq!(list["Tags"], json!({ "env": "prod" }));
    let missing = (404, "EntityNotExists.Parameter");
    assert_eq!(client.send(&get("/shop/a")).await.refusal(), missing);
    assert_eq!(client.get("/shop/text").await.refusal(), missing);
    let all = r#"["/shop/text","/shop/list","/shop/none"]"#;
    let reply = client
        .send(&draft("GetParameters").with("Names", all))
        .await;
    assert_eq!(names(&reply), ["/shop/list", "/shop/text"]);
    assert_eq!(reply.body["InvalidParameters"], json!(["/shop/none"]));
    let odd = client
        .send(&get("/shop/text").with("WithDecryption", "true"))
        .await;
    assert_eq!(odd.refusal(), (400, "InvalidParameter"));
}

#[tokio::test]
async fn plain_parameters_take_a_permission_of_oos_only() {
    let (simulator, _) = with_paths().await;
    let client = session(&simulator).await;
    let role = json!({
        "name": "reader",
        "rules": [{ "actions": ["oos:GetParameter"], "resources": ["acs:oos:*:*:parameter//shop/*"] }],
    });
    simulator
        .put_role(serde_json::from_value(role).unwrap())
        .unwrap();
    let get = draft("GetParameter").with("Name", "/shop/text");
    assert_eq!(client.send(&get).await.status, 200);
    let many = draft("GetParameters").with("Names", r#"["/shop/text"]"#);
    assert_eq!(client.send(&many).await.refusal(), (403, "Forbidden.RAM"));
}

#[tokio::test]
async fn a_path_is_read_in_pages_of_one_to_ten() {
    let (_simulator, client) = with_paths().await;
    let by_path = || draft("GetSecretParametersByPath").with("WithDecryption", "true");
    let flat = client.send(&by_path().with("Path", "/shop/db")).await;
    assert_eq!(names(&flat), ["/shop/db/password", "/shop/db/user"]);
    assert_eq!(flat.body["Parameters"][0]["Value"], "canary");
    assert!(flat.body.get("NextToken").is_none());
    let deep = by_path()
        .with("Path", "/shop/")
        .with("Recursive", "true")
        .with("MaxResults", "3");
    let first = client.send(&deep).await;
    assert_eq!(names(&first), ["/shop/a", "/shop/b", "/shop/db/deep/key"]);
    assert_eq!(first.body["TotalCount"], 5);
    let token = first.body["NextToken"].as_str().unwrap();
    let second = by_path()
        .with("Path", "/shop/")
        .with("Recursive", "true")
        .with("NextToken", token);
    assert_eq!(
        names(&client.send(&second).await),
        ["/shop/db/password", "/shop/db/user"]
    );
    for (name, value) in [
        ("MaxResults", "0"),
        ("MaxResults", "11"),
        ("NextToken", "?"),
        ("Path", "shop"),
    ] {
        let mut draft = by_path().with("Path", "/shop/");
        draft.query.retain(|(known, _)| known != name);
        let reply = client.send(&draft.with(name, value)).await;
        assert_eq!(reply.refusal(), (400, "InvalidParameter"), "{name}={value}");
    }
    let plain = client
        .send(&draft("GetParametersByPath").with("Path", "/shop"))
        .await;
    assert_eq!(names(&plain), ["/shop/list", "/shop/text"]);
    assert_eq!(plain.body["Parameters"][1]["Value"], "two");
}

#[tokio::test]
async fn a_path_takes_the_permission_for_it() {
    let (simulator, _) = with_paths().await;
    let client = session(&simulator).await;
    let read = |path| draft("GetSecretParametersByPath").with("Path", path);
    assert_eq!(
        client.send(&read("/shop")).await.refusal(),
        (403, "Forbidden.RAM")
    );
    let role = json!({
        "name": "reader",
        "rules": [{
            "actions": ["oos:GetSecretParametersByPath", "kms:GetSecretValue"],
            "resources": ["/shop/*"],
        }],
    });
    simulator
        .put_role(serde_json::from_value(role).unwrap())
        .unwrap();
    let reply = client.send(&read("/shop")).await;
    assert_eq!(names(&reply), ["/shop/a", "/shop/b"]);
    assert!(reply.body["Parameters"][0].get("Value").is_none());
    assert_eq!(
        client.send(&read("/bank")).await.refusal(),
        (403, "Forbidden.RAM")
    );
}

#[tokio::test]
async fn lists_have_no_values_and_can_be_narrowed_and_sorted() {
    let (_simulator, client) = with_paths().await;
    let all = client.send(&draft("ListSecretParameters")).await;
    assert_eq!(all.body["TotalCount"], 6);
    assert!(!all.body.to_string().contains("canary"));
    let named = draft("ListSecretParameters")
        .with("Name", "db")
        .with("SortOrder", "Descending");
    let reply = client.send(&named).await;
    assert_eq!(
        names(&reply),
        ["/shop/db/user", "/shop/db/password", "/shop/db/deep/key"]
    );
    let under = draft("ListSecretParameters")
        .with("Path", "/bank")
        .with("SortField", "CreatedDate");
    assert_eq!(names(&client.send(&under).await), ["/bank/pin"]);
    let tagged = draft("ListParameters").with("Tags", r#"{"env":"prod"}"#);
    assert_eq!(names(&client.send(&tagged).await), ["/shop/list"]);
    let first: Value = client.send(&draft("ListParameters")).await.body["Parameters"][0].clone();
    assert!(first.get("Value").is_none());
    for (name, value) in [("MaxResults", "9"), ("Tags", "[]"), ("SortField", "Size")] {
        let reply = client
            .send(&draft("ListParameters").with(name, value))
            .await;
        assert_eq!(reply.refusal(), (400, "InvalidParameter"));
    }
}
