//! Which environment variables are secret, by their names.

use std::ffi::OsStr;

const WORDS: [&str; 9] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "CREDENTIALS",
];

pub(super) fn names_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    WORDS.iter().any(|word| name.ends_with(word) || has_word(&name, word))
}

fn has_word(name: &str, word: &str) -> bool {
    name.match_indices(word).any(|(at, _)| {
        let (before, after) = (&name[..at], &name[at + word.len()..]);
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_what_ends_in_a_word_or_has_it() {
        for name in [
            "TOKEN",
            "GITHUB_TOKEN",
            "MYTOKEN",
            "token_of_ada",
            "aws_secret_access_key",
            "X-Api_Key-2",
            "PGPASSWORD",
        ] {
            assert!(names_secret(OsStr::new(name)), "{name}");
        }
        for name in [
            "TOKENIZERS_PARALLELISM",
            "PASSWORDLESS",
            "SECRETARY",
            "PATH",
            "KEYBOARD",
            "MY_KEY",
            "PUBLIC_KEY",
        ] {
            assert!(!names_secret(OsStr::new(name)), "{name}");
        }
    }
}
