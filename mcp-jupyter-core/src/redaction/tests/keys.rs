use super::*;

const BEGIN: &str = "-----BEGIN RSA PRIVATE KEY-----";
const END: &str = "-----END RSA PRIVATE KEY-----";

fn lines(lines: &[usize], separator: &str, byte: impl Fn(usize) -> String) -> String {
    lines
        .iter()
        .map(|&length| byte(length))
        .collect::<Vec<_>>()
        .join(separator)
}

#[test]
fn the_body_of_a_private_key_is_masked_however_it_is_written() {
    let redactor = Redactor::new();
    for (before, separator, after) in [
        ("", "\n", "\nand more"),
        ("", "\r\n", ""),
        ("key: |\n  ", "\n  ", "\nnext: 5\n"),
        ("{\"private_key\": \"", "\\n", "\\n\", \"n\": 5}"),
        ("\"{\\\"private_key\\\": \\\"", "\\\\n", "\\\\n\\\"}\""),
        ("[\"", "\\n\",\n \"", "\\n\", 5]"),
        ("['", "\\n', '", "\\n']"),
        ("\"", "\\u000a", "\""),
        ("KEY=", " ", " x"),
    ] {
        let text = |byte: &dyn Fn(usize) -> String| {
            let body = lines(&[64, 64, 64, 13], separator, byte);
            format!("{before}{BEGIN}{separator}{body}{separator}{END}{after}")
        };
        assert_masked(&redactor, &text(&|length| mixed(length)), &text(&stars));
    }
}

#[test]
fn every_kind_of_private_key_is_masked() {
    for kind in ["", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "] {
        let text =
            |body: &str| format!("-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----\n5");
        assert_masked(&Redactor::new(), &text(&mixed(64)), &text(&stars(64)));
    }
}

#[test]
fn headers_do_not_end_a_key() {
    let text = format!(
        "{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,12AB\n\n{}=\n{END}\n",
        mixed(64)
    );
    let masked = Redactor::new().redact(&text).into_owned();
    assert_eq!(masked.matches(&stars(65)).count(), 1);
    assert!(masked.ends_with(&format!("\n{END}\n")));
}

#[test]
fn a_key_without_an_end_ends_where_no_key_goes_on() {
    let redactor = Redactor::new();
    let text = |body: &str| format!("{BEGIN}\n{body}");
    assert_masked(&redactor, &text(&mixed(100_000)), &text(&stars(100_000)));
    for after in ["\", \"n\"", "[5]", ". What"] {
        let (text, masked) = (text(&mixed(64)), text(&stars(64)));
        assert!(redactor.redact(&format!("{text}{after}: 5")).starts_with(&masked));
        assert!(redactor.redact(&format!("{text}{after}: 5")).ends_with(": 5"));
    }
    for json in [
        r#"["@\"", 5, true]"#,
        r#"["@'", "a", 5]"#,
        r#"["@'\",\"'", 5]"#,
        r#"{"a":"@", "b": 1e5}"#,
    ] {
        let json = json.replace('@', BEGIN);
        let masked = redactor.redact(&json);
        assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok(), "{masked}");
    }
}

#[test]
fn a_second_key_is_masked_though_the_first_has_no_end() {
    let text = |byte: &dyn Fn(usize) -> String| format!("{BEGIN}\n{}\n{BEGIN}\n{}\n{END}", byte(64), byte(32));
    assert_masked(&Redactor::new(), &text(&|length| mixed(length)), &text(&stars));
}
