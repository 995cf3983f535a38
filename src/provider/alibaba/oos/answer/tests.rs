//! How answers are matched to questions.

use super::*;

type Shown = Result<String, (Class, String)>;

fn one(body: &str, name: &str, version: Option<&str>) -> Shown {
    let answer: One = serde_json::from_str(body).unwrap();
    text(answer.read(name, version))
}

fn many(body: &str, names: &[&str]) -> Result<Vec<Shown>, String> {
    let answer: Many = serde_json::from_str(body).unwrap();
    let answers = answer.read(names).map_err(|error| error.to_string())?;
    Ok(answers.into_iter().map(text).collect())
}

fn text(answer: Answer) -> Shown {
    let shown = |fetched: Fetched| {
        let value = String::from_utf8(fetched.value.expose().to_vec()).unwrap();
        format!("{value}@{}", fetched.version.unwrap_or_default())
    };
    answer
        .map(shown)
        .map_err(|error| (error.class, error.code().to_owned()))
}

fn protocol(code: &str) -> (Class, String) {
    (Class::Protocol, code.to_owned())
}

#[test]
fn a_value_comes_with_its_version_in_either_spelling() {
    for version in ["7", "\"7\""] {
        let body =
            format!(r#"{{"Parameter":{{"Name":"a","Value":"v","ParameterVersion":{version}}}}}"#);
        assert_eq!(one(&body, "a", None), Ok("v@7".to_owned()));
    }
    let body = r#"{"Parameter":{"Name":"a","Value":"v"}}"#;
    assert_eq!(one(body, "a", Some("7")), Ok("v@".to_owned()));
}

#[test]
fn another_name_or_version_is_not_taken_for_the_answer() {
    let body = r#"{"Parameter":{"Name":"b","Value":"v","ParameterVersion":2}}"#;
    assert_eq!(one(body, "a", None), Err(protocol("UnknownName")));
    assert_eq!(one(body, "b", Some("1")), Err(protocol("WrongVersion")));
}

#[test]
fn an_empty_answer_never_becomes_an_empty_value() {
    for value in ["", r#","Value":null"#, r#","Value":"""#] {
        let body = format!(r#"{{"Parameter":{{"Name":"a"{value}}}}}"#);
        assert_eq!(one(&body, "a", None), Err(protocol("EmptyValue")));
        let body = format!(
            r#"{{"Parameters":[{{"Name":"a"{value}}},{{"Name":"b","Value":"v","ParameterVersion":1}}]}}"#
        );
        let expected = vec![Err(protocol("EmptyValue")), Ok("v@1".to_owned())];
        assert_eq!(many(&body, &["a", "b"]), Ok(expected));
    }
}

#[test]
fn answers_follow_the_questions_whatever_their_order() {
    let body = r#"{"Parameters":[{"Name":"c","Value":"3"},{"Name":"a","Value":"1"}],
        "InvalidParameters":["b"]}"#;
    let expected = vec![
        Ok("1@".to_owned()),
        Err((Class::NotFound, "InvalidParameters".to_owned())),
        Ok("3@".to_owned()),
        Err(protocol("UnmentionedName")),
    ];
    assert_eq!(many(body, &["a", "b", "c", "d"]), Ok(expected));
}

#[test]
fn an_answer_about_other_names_is_refused_whole() {
    let table = [
        (
            r#"{"Parameters":[{"Name":"x","Value":"1"}]}"#,
            "UnknownName",
        ),
        (r#"{"InvalidParameters":["x"]}"#, "UnknownName"),
        (
            r#"{"InvalidParameters":["a"],"Parameters":[{"Name":"a","Value":"1"}]}"#,
            "DuplicateName",
        ),
        (
            r#"{"Parameters":[{"Name":"a","Value":"1"},{"Name":"a","Value":"2"}]}"#,
            "DuplicateName",
        ),
        (r#"{"InvalidParameters":["a","a"]}"#, "DuplicateName"),
    ];
    for (body, code) in table {
        assert_eq!(many(body, &["a", "b"]), Err(code.to_owned()), "{body}");
    }
}

#[test]
fn errors_carry_the_request_id() {
    let body = r#"{"RequestId":"R-9","InvalidParameters":["a"]}"#;
    let answer: Many = serde_json::from_str(body).unwrap();
    let answers = answer.read(&["a", "b"]).unwrap();
    for answer in answers {
        assert_eq!(answer.unwrap_err().request_id(), Some("R-9"));
    }
}
