use super::*;
use crate::redaction::RedactingStream;

#[test]
fn values_are_masked_wherever_they_stand() {
    let redactor = Redactor::new().with_value("tr0ub4dor").with_value("tr0ub4dor-and-3");
    assert_masked(
        &redactor,
        "xtr0ub4dorx tr0ub4dor-and-3 tr0ub4do",
        "x*********x *************** tr0ub4do",
    );
    assert_masked(&redactor, "tr0ub4dor-and-", "*********-and-");
}

#[test]
fn values_come_from_variables_with_secret_names() {
    let variables = [
        ("HF_TOKEN", "correct-horse"),
        ("USER", "ada-lovelace"),
        ("PASSWORD", "short"),
        ("A_SECRET", " sp4ced \n"),
    ];
    let redactor = Redactor::new().with_environment(variables);
    assert_masked(
        &redactor,
        "correct-horse ada-lovelace short sp4ced",
        "************* ada-lovelace short ******",
    );
    assert_eq!(format!("{redactor:?}"), "Redactor { values: 2, .. }");
}

#[test]
fn values_are_masked_in_strings_of_json() {
    let value = "q\"b\\cdé😀\nz";
    let redactor = Redactor::new().with_value(value);
    for (text, expected) in [
        (value, "*\"*\\c*******\n*"),
        (r#""q\"b\\cdé😀\nz""#, r#""*\"*\\c*******\n*""#),
        (
            r#""q\"b\\cd\u00e9\ud83d\ude00\nz""#,
            r#""*\"*\\c*\u00e9\ud83d\ude00\n*""#,
        ),
        (r#""q\\\"b\\\\cdé😀\\nz""#, r#""*\\\"*\\\\c*******\\n*""#),
    ] {
        assert_masked(&redactor, text, expected);
    }
}

#[test]
fn escapes_before_and_in_a_value_stay() {
    let redactor = Redactor::new().with_value("token123").with_value("00e9abcdef");
    assert_masked(
        &redactor,
        r#"["\token123", "\u00e9abcdef"]"#,
        r#"["\t*******", "\u00e9******"]"#,
    );
}

#[test]
fn bare_json_stays_json() {
    let redactor = Redactor::new()
        .with_value("123456")
        .with_value(r#"{"n": 12, "key": "s3cr3t", "ok": true}"#);
    assert_masked(
        &redactor,
        r#"[123456, -123456e5, "123456", "pw=123456"]"#,
        r#"[123456, -123456e5, "******", "pw=******"]"#,
    );
    assert_masked(
        &redactor,
        r#"[{"n": 12, "key": "s3cr3t", "ok": true}]"#,
        r#"[{"*": 12, "***": "******", "**": true}]"#,
    );
}

#[test]
fn bytes_that_are_no_text_are_values_too() {
    let redactor = Redactor::new().with_value(b"\x80\xffsecret\xc3");
    assert_eq!(
        &*redactor.redact_bytes(b"-\x80\xffsecret\xc3-"),
        b"-\x80\xff******\xc3-"
    );
    let redactor = Redactor::new().with_value(b"\xa9secret");
    assert_eq!(redactor.redact("ésecret"), "é******");
}

#[test]
fn a_value_in_base64_is_kept() {
    let redactor = Redactor::new().with_value("secret");
    let data = format!("{}secret{}", mixed(300), mixed(300));
    assert_masked(&redactor, &data, &data);
}

#[test]
fn long_values_are_masked_and_what_is_held_is_bounded() {
    let value: String = (0..9000)
        .map(|n: u32| char::from(b'a' + u8::try_from(n * n % 23).unwrap_or(0)))
        .collect();
    let redactor = Redactor::new().with_value(&value);
    let mut stream = redactor.stream();
    let user = format!("a://{}:", mixed(200));
    let inputs = [
        value.as_str(),
        &value[..8000],
        &user,
        &mixed(9000),
        " eyJ",
        &mixed(9000),
        " ",
        &value,
    ];
    let mut out = Vec::new();
    for input in inputs {
        for chunk in input.as_bytes().chunks(100) {
            out.extend(stream.push(chunk));
            assert!(stream.held() <= RedactingStream::MOST_HELD, "{}", stream.held());
        }
    }
    out.extend(stream.finish());
    assert_eq!(out, *redactor.redact_bytes(inputs.concat().as_bytes()));
    assert!(out.starts_with(stars(9000).as_bytes()) && out.ends_with(stars(9000).as_bytes()));
}

#[test]
fn a_finished_stream_begins_anew() {
    let mut stream = Redactor::new().stream();
    assert_eq!(
        stream.push(b"-----BEGIN PRIVATE KEY-----\nabc"),
        b"-----BEGIN PRIVATE KEY-----\n***"
    );
    assert_eq!(stream.finish(), b"");
    assert_eq!(stream.push(b"abc\n"), b"abc\n");
}
