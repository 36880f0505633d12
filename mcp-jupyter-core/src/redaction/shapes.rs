//! The forms by which secrets are known, and the tests of whether one stands at a position.

use std::ops::Range;

use super::ahead::{Ahead, Class, Undecided, alphanumeric, base64, token, upper, word};
use super::behind;

/// The rest of a token that is known to be one: it is masked to its end, however far that is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    pub(super) class: Class,
    /// How many dots may follow, each with more of the token behind it.
    pub(super) dots: usize,
}

/// What comes after the part of a secret that has decided that it is one.
#[derive(Debug)]
pub(super) enum After {
    /// Text, from this position on.
    Text(usize),
    /// More of the token.
    Token(Rest),
    /// The body of a private key.
    Key,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) mask: Range<usize>,
    pub(super) after: After,
}

type Answer = Result<Option<Found>, Undecided>;

enum Form {
    /// At least so many bytes of a class, and then whatever a token consists of.
    Open {
        class: Class,
        least: usize,
        rest: Rest,
    },
    /// So many bytes of a class, and no more of a token.
    Exact {
        class: Class,
        length: usize,
    },
    WebToken,
    Hook,
    AwsSecret,
    Url,
    PrivateKey,
}

const fn open(class: Class, least: usize) -> Form {
    dotted(class, least, 0)
}

const fn dotted(class: Class, least: usize, dots: usize) -> Form {
    Form::Open {
        class,
        least,
        rest: Rest { class: token, dots },
    }
}

const fn padded(byte: u8) -> bool {
    base64(byte) || token(byte) || byte == b'='
}

/// Each form by what it begins with. Lengths are the least that are issued, or, where words may follow the prefix, more than
/// words come to.
static FORMS: &[(&str, Form)] = &[
    (
        "AKIA",
        Form::Exact {
            class: upper,
            length: 16,
        },
    ),
    (
        "ASIA",
        Form::Exact {
            class: upper,
            length: 16,
        },
    ),
    (
        "AIza",
        Form::Exact {
            class: token,
            length: 35,
        },
    ),
    ("ya29.", dotted(token, 20, 2)),
    ("ghp_", open(alphanumeric, 36)),
    ("gho_", open(alphanumeric, 36)),
    ("ghu_", open(alphanumeric, 36)),
    ("ghr_", open(alphanumeric, 36)),
    ("ghs_", dotted(word, 36, 2)),
    ("github_pat_", open(word, 36)),
    ("glpat-", dotted(token, 20, 2)),
    ("gldt-", dotted(token, 20, 2)),
    ("glrt-", dotted(token, 20, 2)),
    ("glptt-", dotted(token, 20, 2)),
    ("glcbt-", dotted(token, 20, 2)),
    ("xoxa-", open(token, 20)),
    ("xoxb-", open(token, 20)),
    ("xoxe-", open(token, 20)),
    ("xoxe.xoxb-", open(token, 20)),
    ("xoxe.xoxp-", open(token, 20)),
    ("xoxp-", open(token, 20)),
    ("xoxr-", open(token, 20)),
    ("xoxs-", open(token, 20)),
    ("xapp-", open(token, 20)),
    ("hooks.slack.com", Form::Hook),
    ("sk_live_", open(alphanumeric, 16)),
    ("rk_live_", open(alphanumeric, 16)),
    ("sk_test_", open(alphanumeric, 16)),
    ("rk_test_", open(alphanumeric, 16)),
    (
        "whsec_",
        Form::Open {
            class: base64,
            least: 20,
            rest: Rest { class: padded, dots: 0 },
        },
    ),
    ("sk-", open(alphanumeric, 20)),
    ("sk-proj-", open(token, 32)),
    ("sk-svcacct-", open(token, 32)),
    ("sk-admin-", open(token, 32)),
    ("sk-None-", open(token, 32)),
    ("sk-or-v1-", open(alphanumeric, 32)),
    ("sk-ant-", open(token, 36)),
    ("hf_", open(alphanumeric, 30)),
    ("eyJ", Form::WebToken),
    ("secret_access_key", Form::AwsSecret),
    ("SECRET_ACCESS_KEY", Form::AwsSecret),
    ("secret-access-key", Form::AwsSecret),
    ("ecretAccessKey", Form::AwsSecret),
    ("aws_secret_key", Form::AwsSecret),
    ("AWS_SECRET_KEY", Form::AwsSecret),
    ("://", Form::Url),
    (":\\/\\/", Form::Url),
    ("PRIVATE KEY-----", Form::PrivateKey),
];

/// The longest header of a JSON web token.
const LONGEST_HEADER: usize = 2048;
const LONGEST_USER: usize = 256;
const LONGEST_PASSWORD: usize = 2048;

/// No form needs more bytes than this, its prefix included, to be told from others.
pub(super) const LONGEST_UNDECIDED: usize = 2560;

pub(super) fn prefixes() -> impl Iterator<Item = &'static str> {
    FORMS.iter().map(|(prefix, _)| *prefix)
}

/// Whether the secret with this prefix, which stands in the text at this place, is one.
pub(super) fn examine(index: usize, text: &[u8], prefix: Range<usize>, last: bool) -> Answer {
    let before = &text[..prefix.start];
    let ahead = Ahead::new(text, prefix.end, last);
    match &FORMS[index].1 {
        Form::PrivateKey => Ok(private_key(text, prefix.end)),
        Form::AwsSecret => aws_secret(ahead),
        Form::Hook => hook(ahead),
        Form::Url if !before.last().is_some_and(u8::is_ascii_alphanumeric) => Ok(None),
        Form::Url => url(ahead),
        _ if !behind::delimited(before) => Ok(None),
        Form::Open { class, least, rest } => open_token(ahead, *class, *least, *rest),
        Form::Exact { class, length } => exact_token(ahead, *class, *length),
        Form::WebToken => web_token(ahead),
    }
}

fn open_token(mut ahead: Ahead<'_>, class: Class, least: usize, mut rest: Rest) -> Answer {
    let start = ahead.at;
    let mut length = ahead.run(class, least)?;
    while length < least {
        if rest.dots == 0 || !ahead.inner_dot(class)? {
            return Ok(None);
        }
        rest.dots -= 1;
        ahead.at += 1;
        length += ahead.run(class, least - length)?;
    }
    Ok(Some(Found {
        mask: start..ahead.at,
        after: After::Token(rest),
    }))
}

fn exact_token(mut ahead: Ahead<'_>, class: Class, length: usize) -> Answer {
    let start = ahead.at;
    let is = ahead.run(class, length)? == length && !ahead.peek(0)?.is_some_and(token);
    Ok(is.then(|| closed(start..ahead.at)))
}

/// A header and the beginning of a payload suffice: what may be missing is the end of a token that was cut off.
fn web_token(mut ahead: Ahead<'_>) -> Answer {
    let start = ahead.at;
    let is = ahead.run(token, LONGEST_HEADER)? >= 8 && ahead.literal(b".eyJ")? && ahead.run(token, 8)? == 8;
    let mask = start..ahead.at;
    let after = After::Token(Rest { class: token, dots: 1 });
    Ok(is.then_some(Found { mask, after }))
}

/// `hooks.slack.com/services/T…/B…/…`, or a workflow's or trigger's, of which only the last part is long.
fn hook(mut ahead: Ahead<'_>) -> Answer {
    if !ahead.slash()? || ahead.run(alphanumeric, 16)? == 0 || !ahead.slash()? {
        return Ok(None);
    }
    let start = ahead.at;
    for _ in 0..4 {
        if ahead.run(alphanumeric, 16)? == 16 {
            let rest = Rest {
                class: alphanumeric,
                dots: 0,
            };
            return Ok(Some(Found {
                mask: start..ahead.at,
                after: After::Token(rest),
            }));
        }
        if !ahead.slash()? {
            return Ok(None);
        }
    }
    Ok(None)
}

/// The forty bytes of a secret key behind its name, in whatever notation.
fn aws_secret(mut ahead: Ahead<'_>) -> Answer {
    let separator = |byte: u8| b" \t\"'\\:=>,(".contains(&byte);
    if ahead.run(separator, 16)? == 0 {
        return Ok(None);
    }
    let start = ahead.at;
    let mut length = 0;
    while length < 40 {
        if !ahead.slash()? && ahead.run(base64, 1)? == 0 {
            return Ok(None);
        }
        length += 1;
    }
    // A mask behind it was more of the same before.
    let goes_on = ahead.peek(0)?.is_some_and(|byte| padded(byte) || byte == b'*');
    Ok((!goes_on).then(|| closed(start..ahead.at)))
}

const fn user(byte: u8) -> bool {
    password(byte) && byte != b':'
}

/// Whether a password in a URL may contain the byte, though it should be escaped there; `@` is among them.
const fn password(byte: u8) -> bool {
    let delimiter = matches!(
        byte,
        b'"' | b'\'' | b'\\' | b'/' | b'<' | b'>' | b'{' | b'}' | b'[' | b']' | b'`' | b'|' | b'?' | b'#'
    );
    byte > b' ' && byte != 0x7f && !delimiter
}

/// `user:password@host` behind `://`; the last `@` is the one before the host.
fn url(mut ahead: Ahead<'_>) -> Answer {
    // The user may be a token itself.
    let authority = ahead.at;
    ahead.run(user, LONGEST_USER)?;
    if !ahead.literal(b":")? {
        return Ok(None);
    }
    let start = ahead.at;
    let mut end = None;
    loop {
        let rest = LONGEST_PASSWORD - (ahead.at - start);
        ahead.run(|byte| password(byte) && byte != b'@', rest)?;
        if ahead.at - start == LONGEST_PASSWORD || ahead.peek(0)? != Some(b'@') {
            break;
        }
        end = Some(ahead.at);
        ahead.at += 1;
    }
    Ok(end.map(|end| Found {
        mask: start..end,
        after: After::Text(authority),
    }))
}

fn private_key(text: &[u8], end: usize) -> Option<Found> {
    behind::ends_in_private_key(&text[..end]).then_some(Found {
        mask: end..end,
        after: After::Key,
    })
}

fn closed(mask: Range<usize>) -> Found {
    let end = mask.end;
    Found {
        mask,
        after: After::Text(end),
    }
}
