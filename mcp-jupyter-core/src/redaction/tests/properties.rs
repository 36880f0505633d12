use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::*;

const VALUES: [&str; 9] = [
    "tr0ub4dor",
    "tr0ub4dor-and-3",
    "123456",
    "pa\"ss\\wörd 1",
    "\\nabcdef",
    "n00e9abc",
    "[1, true, \"x9\"]",
    "ab/cdefg=",
    "ue, null",
];

#[rustfmt::skip]
const LITERALS: &[&str] = &[
    "AKIA", "AIza", "ya29.", "ghp_", "ghs_", "glpat-", "xoxb-", "sk_live_", "rk_live_", "whsec_", "sk-", "sk-ant-",
    "hf_", "eyJ", ".eyJ", "hooks.slack.com/services/T1/B1/", "aws_secret_access_key", "SecretAccessKey\": \"", "://",
    ":\\/\\/", "http://u:", "@h", "-----", "-----BEGIN ", "PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----",
    "-----END", "\n", "\\n", "\\", "\"", "'", "\", \"", " ", ".", "/", "+", "=", "*", ",", ":", "@", "é", "😀",
    "\\u00e9", "\u{1b}[32m", "u", "n", "5", "[", "]", "true", "%3D", "-", "_",
];

fn redactor() -> Redactor {
    Redactor::new().with_environment(VALUES.map(|value| ("MY_TOKEN", value)))
}

/// What secrets consist of, and what stands around and between their parts.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(LITERALS).prop_map(str::to_owned),
        2 => select(&VALUES[..]).prop_map(str::to_owned),
        1 => select(&VALUES[..]).prop_map(|value| value[..value.len() / 2].to_owned()),
        1 => select(&VALUES[..]).prop_map(|value| Value::from(value).to_string()),
        2 => select(&[8, 16, 20, 35, 36, 40, 256, 300][..]).prop_map(mixed),
        2 => select(&[4, 16, 36, 40][..]).prop_map(upper),
        1 => (1_usize..50).prop_map(stars),
        1 => "\\PC{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    vec(fragment(), 0..24).prop_map(|fragments| fragments.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => text().prop_map(|text| Value::from(Value::from(text).to_string())),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(Value::from(123_456)),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_give_what_the_whole_gives(text in text(), cuts in vec(1_usize..40, 1..20)) {
        let redactor = redactor();
        let whole = redactor.redact(&text);
        prop_assert_eq!(whole.len(), text.len());

        let mut stream = redactor.stream();
        let (mut out, mut rest) = (Vec::new(), text.as_bytes());
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, next) = rest.split_at(cut.min(rest.len()));
            out.extend(stream.push(chunk));
            rest = next;
        }
        out.extend(stream.finish());
        prop_assert_eq!(String::from_utf8_lossy(&out), whole);
    }

    #[test]
    fn masks_are_stars_and_change_nothing_when_masked_again(text in text()) {
        let redactor = redactor();
        let once = redactor.redact(&text).into_owned();
        for (before, after) in text.bytes().zip(once.bytes()) {
            prop_assert!(before == after || after == b'*' && before != b'"' && before != b'\\');
        }
        prop_assert_eq!(redactor.redact(&once), once.as_str());
    }

    #[test]
    fn json_stays_json(json in json(), pretty: bool) {
        let text = if pretty { format!("{json:#}") } else { json.to_string() };
        let masked = redactor().redact(&text).into_owned();
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&masked).is_ok(), "{} became {}", text, masked);
    }

    #[test]
    fn bytes_of_any_kind_are_taken(bytes in vec(any::<u8>(), 0..200), cut in 1_usize..30) {
        let redactor = redactor().with_value(b"\xe9\x80x\xff\xfe123");
        let mut stream = redactor.stream();
        let mut out: Vec<u8> = bytes.chunks(cut).flat_map(|chunk| stream.push(chunk)).collect();
        out.extend(stream.finish());
        prop_assert_eq!(out, redactor.redact_bytes(&bytes).into_owned());
    }
}
