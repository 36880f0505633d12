use std::borrow::Cow;

use super::*;

/// Each form as its prefix and what is masked behind it.
fn tokens() -> Vec<(&'static str, String)> {
    let dashed = |length: usize| mixed(length).replace('9', "-").replace('7', "_");
    vec![
        ("AKIA", upper(16)),
        ("ASIA", upper(16)),
        ("AIza", dashed(35)),
        ("ya29.", format!("a0{}", dashed(120))),
        ("ya29.", format!("c.b0Aa{}", dashed(80))),
        ("ghp_", mixed(36)),
        ("gho_", mixed(36)),
        ("ghu_", mixed(36)),
        ("ghs_", mixed(36)),
        ("ghr_", mixed(76)),
        ("github_pat_", format!("{}_{}", mixed(22), mixed(59))),
        ("glpat-", dashed(20)),
        ("glpat-", format!("{}.01.{}", dashed(27), mixed(9))),
        ("xoxa-", format!("2-{}", mixed(30))),
        ("xoxb-", format!("123456789012-1234567890123-{}", mixed(24))),
        ("xoxp-", format!("123456789012-123456789012-{}", mixed(32))),
        ("xoxr-", format!("123456789012-{}", mixed(24))),
        ("xoxs-", format!("123456789012-{}", mixed(24))),
        ("xapp-", format!("1-A0123456789-{}", mixed(64))),
        ("sk_live_", mixed(24)),
        ("rk_live_", mixed(99)),
        ("sk_test_", mixed(24)),
        ("rk_test_", mixed(24)),
        ("whsec_", mixed(32)),
        ("sk-", format!("{}T3BlbkFJ{}", mixed(20), mixed(20))),
        ("sk-proj-", format!("{}T3BlbkFJ{}", dashed(74), dashed(74))),
        ("sk-svcacct-", dashed(120)),
        ("sk-ant-", format!("api03-{}AA", dashed(93))),
        ("hf_", mixed(34)),
        ("eyJ", format!("{}.eyJ{}.{}", mixed(33), dashed(5000), dashed(43))),
    ]
}

#[test]
fn tokens_are_masked_behind_their_prefix() {
    let redactor = Redactor::new();
    for (prefix, secret) in tokens() {
        let (token, masked) = (format!("{prefix}{secret}"), format!("{prefix}{}", stars(secret.len())));
        for (before, after) in [
            ("", ""),
            ("", "\n"),
            ("key=", "&next=1"),
            ("**", "**"),
            ("It is ", ". Keep it."),
            ("{\"text\": [\"the key\\n", "\\n\", 1.5]}"),
            ("\u{1b}[1;32m", "\u{1b}[0m"),
            ("\\u001b[32m", "\\u001b[0m"),
            ("https://", "@github.com/"),
            ("/bot/", "?send"),
            ("a%3D", "%26"),
            ("('", "', 'é')"),
        ] {
            assert_masked(
                &redactor,
                &format!("{before}{token}{after}"),
                &format!("{before}{masked}{after}"),
            );
        }
    }
}

#[test]
fn a_token_in_a_longer_word_or_too_short_is_none() {
    for (prefix, secret) in tokens() {
        for before in ["x", "Z9", "_", "-"] {
            assert_kept(&format!("{before}{prefix}{secret}"));
        }
        assert_kept(&format!("{prefix}{}", &secret[..5]));
    }
    for exact in [
        format!("AKIA{}", upper(17)),
        format!("AIza{}", mixed(36)),
        format!("AKIA{}_", upper(16)),
    ] {
        assert_kept(&exact);
    }
}

#[test]
fn words_hashes_and_addresses_are_kept() {
    for text in [
        "cc37250a4f5f7d2ce65a6172a40bd5474d0e9f8a1",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709  -",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "123e4567-e89b-12d3-a456-426614174000",
        "import sklearn; sk-learn sk-estimator-doc-link sk-container-id-1 sk-toggleable__content",
        "task-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa risk-0123456789012345678901234567890123456789",
        "desk-proj-0123456789012345678901234567890123456789",
        "sk-proj-template sk-ant-colony-optimization",
        "hf_hub_download_with_progress_and_retries_of_all ghp_ hf_model gho_st",
        "ASIA AKIA PACIFIC ASIAPACIFIC EURASIANECONOMICUNION",
        "sk_live_mode_enabled_for_everyone whsec_secret_of_the_hook xoxb-your-token",
        "glpat-<your token> github_pat_token",
        "eyJ eyJhIjoxfQ== eyJhbGciOiJIUzI1NiJ9.e30.abc eyJhbGciOiJIUzI1NiJ9",
        "http://localhost:8888/lab?at=a@b.c http://[::1]:80/ https://example.org/a:b@c mailto:a@b.c",
        "ssh://git@github.com:22/a/b git@github.com:a/b.git https://ada@example.org/ see http://a:b, or ask c@d.e",
        "postgres://ada:@db/x //a:b@c ://a:b@c",
        "https://hooks.slack.com/services/ hooks.slack.com/services/T000/B000/XXX",
        "aws_secret_access_key = None\nsecret_access_key: str = os.environ['AWS_SECRET_ACCESS_KEY']",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEF\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEF\n-----END CERTIFICATE-----\n",
        "a PRIVATE KEY----- that nothing begins",
    ] {
        assert_kept(text);
    }
}

#[test]
fn base64_is_kept_though_tokens_are_in_it() {
    let line = format!("{}+/", mixed(298));
    let inside = [
        format!("AKIA{}", upper(16)),
        format!("AIza{}", mixed(35)),
        format!("hf_{}", mixed(34)),
    ];
    let data: Vec<_> = inside
        .iter()
        .map(|token| format!("{line}{token}/{line}{line}+{token}+{line}"))
        .collect();
    for data in &data[..2] {
        assert_kept(&format!("{{\"image/png\": \"{data}==\\n\"}}"));
    }
    // What base64 does not contain ends it.
    assert_ne!(
        Redactor::new().redact(&format!("{line} {}", inside[2])),
        format!("{line} {}", inside[2])
    );
    assert_kept(&format!("data:image/png;base64,{}", mixed(100_000)));
}

#[test]
fn secret_keys_of_aws_are_known_by_their_names() {
    let redactor = Redactor::new();
    let (secret, masked) = (
        format!("{}/{}+{}", mixed(10), mixed(20), mixed(8)),
        format!("{}/{}", stars(10), stars(29)),
    );
    for (before, after) in [
        ("aws_secret_access_key = ", "\n"),
        ("export AWS_SECRET_ACCESS_KEY=", ""),
        ("{\"SecretAccessKey\": \"", "\"}"),
        ("\"{\\\"secretAccessKey\\\":\\\"", "\\\"}\""),
        ("<SecretAccessKey>", "</SecretAccessKey>"),
        ("boto3.client('s3', aws_secret_access_key='", "')"),
        ("--aws-secret-access-key ", " --dry-run"),
    ] {
        assert_masked(
            &redactor,
            &format!("{before}{secret}{after}"),
            &format!("{before}{masked}{after}"),
        );
    }
    assert_kept(&format!("aws_secret_access_key = {secret}A"));
    assert_kept(&format!("checksum = {secret}"));
}

#[test]
fn only_the_password_of_a_url_is_masked() {
    let redactor = Redactor::new();
    for (text, expected) in [
        ("postgres://ada:s3cr%21t@db:5432/x", "postgres://ada:********@db:5432/x"),
        ("redis://:hunter2@h", "redis://:*******@h"),
        (
            "mongodb+srv://a:p@ss:w@h1,h2/x, b@c",
            "mongodb+srv://a:******@h1,h2/x, b@c",
        ),
        ("ftp://ada@home:pässwort@h/", "ftp://ada@home:*********@h/"),
        (
            r#"{"a": "https:\/\/u:pw12@h\/x", "b": "c@d"}"#,
            r#"{"a": "https:\/\/u:****@h\/x", "b": "c@d"}"#,
        ),
    ] {
        assert_masked(&redactor, text, expected);
    }
    let user = format!("ghp_{}", mixed(36));
    let expected = format!("https://ghp_{}:****@github.com", stars(36));
    assert_masked(&redactor, &format!("https://{user}:word@github.com"), &expected);
}

#[test]
fn hooks_of_slack_are_masked() {
    let redactor = Redactor::new();
    for slash in ["/", "\\/"] {
        let path = |a: &str, b: &str, c: &str| ["https:", "", "hooks.slack.com", "services", a, b, c].join(slash);
        let text = path("T0123ABCD", "B0123ABCD", &mixed(24));
        assert_masked(&redactor, &text, &path(&stars(9), &stars(9), &stars(24)));
    }
}

#[test]
fn text_without_secrets_is_borrowed() {
    assert!(matches!(
        Redactor::new().redact("nothing: http://a/b sk-learn"),
        Cow::Borrowed(_)
    ));
    assert!(matches!(
        Redactor::new().with_value("tr0ub4dor").redact("tr0ub4do"),
        Cow::Borrowed(_)
    ));
}
