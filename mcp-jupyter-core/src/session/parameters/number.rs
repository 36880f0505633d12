//! Numbers as Python reads and prints them.

use crate::model::Json;

/// Python refuses to read or print integers of more digits (`sys.get_int_max_str_digits`).
pub(super) const MAX_INT_DIGITS: usize = 4300;

/// Where each run of ten decimal digits begins (Unicode 14, category Nd); Python's `int` and `float` take them all.
const DIGIT_ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620,
    0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0,
    0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60,
    0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// What Python's `int(text)` gives, as a canonical literal; nothing where it raises `ValueError`.
pub(super) fn parse_int(text: &str) -> Option<String> {
    let text = ascii_digits(text.trim());
    let (negative, digits) = split_sign(&text);
    let digits = without_underscores(digits)?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits && digits.len() <= MAX_INT_DIGITS).then(|| int_literal(negative, &digits))
}

/// The canonical literal of an integer: no leading zeros, no negative zero.
pub(super) fn int_literal(negative: bool, digits: &str) -> String {
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits if negative => format!("-{digits}"),
        digits => digits.to_owned(),
    }
}

/// What Python's `float(text)` gives; nothing where it raises `ValueError`.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    // Rust's grammar is Python's but for the underscores, the other scripts' digits and the white space around.
    without_underscores(&ascii_digits(text.trim()))?.parse().ok()
}

/// Digits of other scripts become the ASCII ones.
fn ascii_digits(text: &str) -> String {
    text.chars().map(ascii_digit).collect()
}

fn ascii_digit(character: char) -> char {
    if character.is_ascii() {
        return character;
    }
    let code = u32::from(character);
    let run = DIGIT_ZEROS.partition_point(|zero| *zero <= code) - 1;
    char::from_digit(code - DIGIT_ZEROS[run], 10).unwrap_or(character)
}

pub(super) fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Drops underscores; nothing where one does not stand between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let misplaced = |at: usize| bytes[at] == b'_' && !(is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    (!(0..bytes.len()).any(misplaced)).then(|| text.replace('_', ""))
}

/// A number from a literal of JSON or one of `NaN`, `Infinity`, `-Infinity`.
pub(super) fn json_number(literal: &str) -> Json {
    Json::parse(literal.as_bytes()).expect("the literal was built as JSON's grammar wants it")
}

/// A floating-point number whose literal is the one that Python's `json` would write.
pub(super) fn json_float(value: f64) -> Json {
    if value.is_finite() {
        json_number(&float_repr(value))
    } else {
        Json::from(value)
    }
}

/// The number as Python's `repr` writes it.
pub(super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    // Both write the shortest digits that read back the same and turn to exponents at the same sizes; they differ in
    // the form of the exponent.
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => with_exponent(mantissa, exponent),
        None => text,
    }
}

/// Python writes an exponent with its sign and at least two digits, and no `.0` before it.
pub(super) fn with_exponent(mantissa: &str, exponent: &str) -> String {
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    let (negative, digits) = split_sign(exponent);
    format!("{mantissa}e{}{digits:0>2}", if negative { '-' } else { '+' })
}

/// Adds up an integer of any size from digits of any base.
#[derive(Default)]
pub(super) struct BigInt {
    /// Groups of nine decimal digits, the lowest first.
    groups: Vec<u32>,
}

impl BigInt {
    const GROUP: u64 = 1_000_000_000;

    /// `self * factor + term`
    pub(super) fn multiply_add(&mut self, factor: u32, term: u32) {
        let mut carry = u64::from(term);
        for group in &mut self.groups {
            let value = u64::from(*group) * u64::from(factor) + carry;
            *group = low_group(value);
            carry = value / Self::GROUP;
        }
        if carry > 0 {
            self.groups.push(low_group(carry));
        }
    }

    /// The decimal digits, perhaps with zeros in front.
    pub(super) fn digits(&self) -> String {
        let groups: Vec<_> = self.groups.iter().rev().map(|group| format!("{group:09}")).collect();
        groups.concat()
    }
}

fn low_group(value: u64) -> u32 {
    u32::try_from(value % BigInt::GROUP).expect("below 10^9")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("007", "7"),
            (" -0\n", "0"),
            ("1_000", "1000"),
            ("+5", "5"),
            ("٣\u{a0}", "3"),
            ("𝟏２", "12"),
            ("99999999999999999999", "99999999999999999999"),
        ] {
            assert_eq!(parse_int(text).as_deref(), Some(expected), "{text:?}");
        }
        for text in [
            "",
            "_1",
            "1_",
            "1__0",
            "+ 1",
            "--1",
            "0x10",
            "1e5",
            "\u{1c}1",
            "1\u{200b}",
            "½",
        ] {
            assert_eq!(parse_int(text), None, "{text:?}");
        }
        assert_eq!(parse_int(&"1".repeat(MAX_INT_DIGITS + 1)), None);
    }

    #[test]
    fn floats_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("1.", 1.0),
            (".5", 0.5),
            ("1_0e1_0", 1e11),
            ("+iNfinity", f64::INFINITY),
            ("1e999", f64::INFINITY),
            ("٣.٥", 3.5),
        ] {
            assert_eq!(parse_float(text), Some(expected), "{text:?}");
        }
        assert!(parse_float("-nan").is_some_and(f64::is_nan));
        for text in [".", "1_.5", "1._5", "1e_5", "in_f", "infinit", "0x1p3", "1f"] {
            assert_eq!(parse_float(text), None, "{text:?}");
        }
    }

    #[test]
    fn floats_are_printed_as_python_prints_them() {
        for (value, expected) in [
            (1.0, "1.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1.5e-5, "1.5e-05"),
            (0.0001, "0.0001"),
            (5e-324, "5e-324"),
            (-0.0, "-0.0"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float_repr(value), expected);
        }
    }

    proptest! {
        #[test]
        fn big_integers_add_up(digits in "[1-9][0-9]{0,60}") {
            let mut value = BigInt::default();
            for digit in digits.bytes() {
                value.multiply_add(10, u32::from(digit - b'0'));
            }
            prop_assert_eq!(int_literal(false, &value.digits()), digits);
        }

        #[test]
        fn printed_floats_read_back(value in proptest::num::f64::ANY) {
            let back = parse_float(&float_repr(value)).unwrap();
            prop_assert!(back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()));
        }
    }
}
