//! What a scalar of YAML means under YAML 1.1 as `PyYAML` applies it, without dates: papermill's loader.

use super::number::{BigInt, MAX_INT_DIGITS, int_literal, json_float, json_number, parse_float, split_sign};
use crate::model::Json;

/// The value of a plain scalar without a tag.
pub(super) fn plain(text: &str) -> Result<Json, String> {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Json::Null);
    }
    if let Some(value) = boolean(text).filter(|_| has_usual_case(text)) {
        return Ok(value.into());
    }
    if is_float(text) {
        return float(text);
    }
    if is_int(text) {
        return int(text);
    }
    Ok(text.into())
}

/// The value of a scalar with the explicit tag `!!name`.
pub(super) fn tagged(name: &str, text: &str) -> Result<Json, String> {
    match name {
        "str" => Ok(text.into()),
        "null" => Ok(Json::Null),
        "bool" => boolean(text)
            .map(Json::from)
            .ok_or_else(|| format!("`{text}` is no boolean: write true or false")),
        "int" => int(text),
        "float" => float(text),
        _ => Err(format!("the tag `!!{name}` has no value in JSON: write plain YAML")),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// Whether a word is written `word`, `Word` or `WORD`; in other cases YAML takes it for a string.
fn has_usual_case(word: &str) -> bool {
    let lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    lower(word) || upper(word) || (upper(&word[..1]) && lower(&word[1..]))
}

fn is_int(text: &str) -> bool {
    let (_, text) = split_sign(text);
    if let Some(digits) = text.strip_prefix("0b") {
        return made_of(digits, |byte| matches!(byte, b'0' | b'1'));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return made_of(digits, |byte| byte.is_ascii_hexdigit());
    }
    match text.strip_prefix('0') {
        Some("") => true,
        Some(digits) => made_of(digits, |byte| matches!(byte, b'0'..=b'7')),
        None => is_decimal(text) || is_sexagesimal(text),
    }
}

fn is_float(text: &str) -> bool {
    let (_, unsigned) = split_sign(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some((whole, rest)) = unsigned.split_once('.') else {
        return false;
    };
    let (fraction, exponent) = split_exponent(rest);
    // `.5` is a number, `-.5` and `1.0e3` are strings: PyYAML's expressions want it so.
    if whole.is_empty() {
        return text.starts_with('.') && is_decimal(fraction) && exponent;
    }
    let fraction_fits = fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    fraction_fits && ((is_decimal(whole) && exponent) || (is_sexagesimal(whole) && fraction.len() == rest.len()))
}

/// Splits off an exponent with a sign; gives whether what follows the `e`, if there is one, is such an exponent.
fn split_exponent(text: &str) -> (&str, bool) {
    match text.split_once(['e', 'E']) {
        None => (text, true),
        Some((fraction, exponent)) => {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or("");
            (
                fraction,
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
            )
        }
    }
}

/// `[0-9][0-9_]*`
fn is_decimal(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit()) && made_of(text, |byte| byte.is_ascii_digit())
}

/// `[0-9][0-9_]*(:[0-5]?[0-9])+`
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts.next().is_some_and(is_decimal);
    let sixties = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => matches!(tens, b'0'..=b'5') && digit.is_ascii_digit(),
        _ => false,
    };
    first && text.contains(':') && parts.all(sixties)
}

/// Whether there is something, and nothing but such bytes and underscores.
fn made_of(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'_' || fits(byte))
}

fn int(text: &str) -> Result<Json, String> {
    if text.len() > MAX_INT_DIGITS {
        return Err(format!("an integer of more than {MAX_INT_DIGITS} digits"));
    }
    let digits = text.replace('_', "");
    let (negative, unsigned) = split_sign(&digits);
    int_value(unsigned)
        .map(|value| json_number(&int_literal(negative, &value.digits())))
        .ok_or_else(|| format!("`{text}` is no integer: put it in quotes if it is a text"))
}

fn int_value(digits: &str) -> Option<BigInt> {
    if digits.contains(':') {
        return sexagesimal_value(digits);
    }
    let (digits, base) = match digits.as_bytes() {
        [b'0', b'b', ..] => (&digits[2..], 2),
        [b'0', b'x', ..] => (&digits[2..], 16),
        [b'0', ..] => (digits, 8),
        _ => (digits, 10),
    };
    let mut value = BigInt::default();
    for digit in digits.chars() {
        value.multiply_add(base, digit.to_digit(base)?);
    }
    (!digits.is_empty()).then_some(value)
}

fn sexagesimal_value(digits: &str) -> Option<BigInt> {
    let mut parts = digits.split(':');
    let mut value = BigInt::default();
    for digit in parts.next()?.chars() {
        value.multiply_add(10, digit.to_digit(10)?);
    }
    for part in parts {
        value.multiply_add(60, part.parse().ok()?);
    }
    Some(value)
}

fn float(text: &str) -> Result<Json, String> {
    let digits = text.replace('_', "").to_lowercase();
    let (negative, unsigned) = split_sign(&digits);
    let value = match unsigned {
        ".inf" => Some(f64::INFINITY),
        ".nan" => Some(f64::NAN),
        _ => sum_of_sixties(unsigned),
    };
    value
        .map(|value| json_float(if negative { -value } else { value }))
        .ok_or_else(|| format!("`{text}` is no number: put it in quotes if it is a text"))
}

/// Adds from the lowest part up, as `PyYAML` does, so that the rounding is the same.
fn sum_of_sixties(text: &str) -> Option<f64> {
    let mut base = 1.0;
    let mut value = 0.0;
    for part in text.rsplit(':') {
        value += parse_float(part)? * base;
        base *= 60.0;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_yaml_1_1_says() {
        for (text, expected) in [
            ("yes", "true"),
            ("Off", "false"),
            ("oN", r#""oN""#),
            ("y", r#""y""#),
            ("~", "null"),
            ("012", "10"),
            ("08", r#""08""#),
            ("0o17", r#""0o17""#),
            ("-0x_fF", "-255"),
            ("0b1_01", "5"),
            ("1_000", "1000"),
            ("190:20:30", "685230"),
            ("190:20:30.15", "685230.15"),
            ("1:60", r#""1:60""#),
            ("1e3", r#""1e3""#),
            ("1.0e3", r#""1.0e3""#),
            ("1.0e+3", "1000.0"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("-.5", r#""-.5""#),
            ("-.Inf", "-Infinity"),
            (".NaN", "NaN"),
            ("-.nan", r#""-.nan""#),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("2020-01-01", r#""2020-01-01""#),
            ("1.2.3", r#""1.2.3""#),
            ("0xffffffffffffffffffff", "1208925819614629174706175"),
        ] {
            assert_eq!(plain(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        for text in ["0b_", "0x_"] {
            plain(text).unwrap_err();
        }
        tagged("int", "x").unwrap_err();
        tagged("bool", "maybe").unwrap_err();
        tagged("timestamp", "2020-01-01").unwrap_err();
    }
}
