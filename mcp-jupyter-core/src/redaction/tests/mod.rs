//! Tokens are put together here, so that nothing that scans sources for secrets finds any.

mod forms;
mod keys;
mod properties;
mod values;

use super::Redactor;

/// So many letters and digits.
fn mixed(length: usize) -> String {
    "a1Bz9Kq7Xw3Lm5Td2".chars().cycle().take(length).collect()
}

fn upper(length: usize) -> String {
    mixed(length).to_uppercase()
}

fn stars(length: usize) -> String {
    "*".repeat(length)
}

#[track_caller]
fn assert_masked(redactor: &Redactor, text: &str, expected: &str) {
    assert_eq!(redactor.redact(text), expected);
    assert_eq!(text.len(), expected.len(), "a mask is as long as what it covers");
    for size in [1, 2, 3, 7, 64] {
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            out.extend(stream.push(chunk));
        }
        out.extend(stream.finish());
        assert_eq!(String::from_utf8_lossy(&out), expected, "in chunks of {size}");
    }
}

#[track_caller]
fn assert_kept(text: &str) {
    assert_masked(&Redactor::new(), text, text);
}
