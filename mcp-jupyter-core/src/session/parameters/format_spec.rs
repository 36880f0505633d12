//! The part of Python's format specifications that file names need: fill, alignment, sign, `#`, `0`, width, precision
//! and the types for texts, integers and floating-point numbers. Not grouping (`,` and `_`), `c` and `n`.

use super::number::with_exponent;

/// `[[fill]align][sign][#][0][width][.precision][type]`
#[derive(Debug, PartialEq)]
pub(super) struct FormatSpec {
    fill: char,
    align: Option<char>,
    sign: Option<char>,
    /// A `0` before the width.
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

/// Wider than any file name; keeps a slip of the finger from filling the memory.
const MAX_WIDTH: usize = 4096;

impl FormatSpec {
    pub(super) fn parse(spec: &str) -> Result<Self, String> {
        let unsupported = || format!("the format `{spec}` is not supported here: expected one such as `03d` or `.2f`");
        let mut rest = Characters(spec);
        let (fill, align) = rest.take_alignment();
        let sign = rest.take_if(|c| matches!(c, '+' | '-' | ' '));
        let alternate = rest.take_if(|c| c == '#').is_some();
        let zero = rest.take_if(|c| c == '0').is_some();
        let width = rest.take_number().unwrap_or(0);
        let precision = match rest.take_if(|c| c == '.') {
            Some(_) => Some(rest.take_number().ok_or_else(unsupported)?),
            None => None,
        };
        let kind = rest.take_if(|c| "sdxXobeEfFgG%".contains(c));
        if !rest.0.is_empty() || width > MAX_WIDTH || precision > Some(MAX_WIDTH) {
            return Err(unsupported());
        }
        Ok(Self {
            fill: fill.unwrap_or(if zero { '0' } else { ' ' }),
            align,
            sign,
            zero,
            alternate,
            width,
            precision,
            kind,
        })
    }

    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        let numeric = self.alternate || self.sign.is_some() || self.align == Some('=');
        if numeric || !matches!(self.kind, None | Some('s')) {
            return Err("this format is not for texts".to_owned());
        }
        // Since Python 3.10 a leading zero only fills texts, it does not align them.
        let align = self.align.unwrap_or('<');
        let text: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        Ok(self.padded("", &text, align))
    }

    pub(super) fn integer(&self, value: i64) -> Result<String, String> {
        let (magnitude, prefix) = match self.kind {
            None | Some('d') => (value.unsigned_abs().to_string(), ""),
            Some('x') => (format!("{:x}", value.unsigned_abs()), "0x"),
            Some('X') => (format!("{:X}", value.unsigned_abs()), "0X"),
            Some('o') => (format!("{:o}", value.unsigned_abs()), "0o"),
            Some('b') => (format!("{:b}", value.unsigned_abs()), "0b"),
            #[expect(clippy::cast_precision_loss, reason = "Python takes the nearest float as well")]
            Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => return self.float(value as f64),
            Some(_) => return Err("this format is not for integers".to_owned()),
        };
        if self.precision.is_some() {
            return Err("an integer has no precision".to_owned());
        }
        let prefix = if self.alternate { prefix } else { "" };
        Ok(self.signed(value < 0, prefix, &magnitude))
    }

    pub(super) fn float(&self, value: f64) -> Result<String, String> {
        let magnitude = value.abs();
        let precision = self.precision.unwrap_or(6);
        let text = match self.kind {
            _ if self.alternate => return Err("`#` is not supported for floating-point numbers".to_owned()),
            _ if !value.is_finite() => if value.is_nan() { "nan" } else { "inf" }.to_owned() + self.percent(),
            Some('f' | 'F') => format!("{magnitude:.precision$}"),
            Some('%') => format!("{:.precision$}%", magnitude * 100.0),
            Some('e' | 'E') => exponential(magnitude, precision),
            Some('g' | 'G') => general(magnitude, precision),
            None => match self.precision {
                None => super::number::float_repr(magnitude),
                Some(_) => {
                    return Err("a precision without a type is not supported: expected one such as `.2f`".to_owned());
                }
            },
            Some(_) => return Err("this format is not for floating-point numbers".to_owned()),
        };
        let upper = matches!(self.kind, Some('E' | 'F' | 'G'));
        let text = if upper { text.to_uppercase() } else { text };
        Ok(self.signed(value.is_sign_negative() && !value.is_nan(), "", &text))
    }

    fn percent(&self) -> &'static str {
        if self.kind == Some('%') { "%" } else { "" }
    }

    fn signed(&self, negative: bool, prefix: &str, magnitude: &str) -> String {
        let sign = match self.sign {
            _ if negative => "-",
            Some('+') => "+",
            Some(' ') => " ",
            _ => "",
        };
        let align = self.align.unwrap_or(if self.zero { '=' } else { '>' });
        self.padded(&format!("{sign}{prefix}"), magnitude, align)
    }

    fn padded(&self, sign: &str, text: &str, align: char) -> String {
        let missing = self.width.saturating_sub(sign.chars().count() + text.chars().count());
        let fill = |count: usize| self.fill.to_string().repeat(count);
        match align {
            '<' => format!("{sign}{text}{}", fill(missing)),
            '^' => format!("{}{sign}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
            '=' => format!("{sign}{}{text}", fill(missing)),
            _ => format!("{}{sign}{text}", fill(missing)),
        }
    }
}

/// C's `%e`.
fn exponential(magnitude: f64, precision: usize) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    // A mantissa of precision 1 that ends in `.0` keeps it here, unlike in a repr.
    let exponent = with_exponent("", exponent);
    format!("{mantissa}{exponent}")
}

/// C's `%g`: so many significant digits, no zeros at the end, an exponent for the very large and very small.
fn general(magnitude: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let text = format!("{magnitude:.*e}", precision - 1);
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let trimmed = |text: &str| {
        let fraction = text
            .contains('.')
            .then(|| text.trim_end_matches('0').trim_end_matches('.'));
        fraction.unwrap_or(text).to_owned()
    };
    let last = i32::try_from(precision).expect("at most MAX_WIDTH") - 1;
    if (-4..=last).contains(&exponent) {
        let decimals = usize::try_from(last - exponent).expect("the exponent is not above it");
        trimmed(&format!("{magnitude:.decimals$}"))
    } else {
        with_exponent(&trimmed(mantissa), &exponent.to_string())
    }
}

/// What is left of a specification.
struct Characters<'a>(&'a str);

impl Characters<'_> {
    fn take_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let first = self.0.chars().next().filter(|c| wanted(*c))?;
        self.0 = &self.0[first.len_utf8()..];
        Some(first)
    }

    fn take_alignment(&mut self) -> (Option<char>, Option<char>) {
        let is_align = |c: char| matches!(c, '<' | '>' | '=' | '^');
        let mut characters = self.0.chars();
        if let (Some(fill), Some(align)) = (characters.next(), characters.next().filter(|c| is_align(*c))) {
            self.0 = characters.as_str();
            return (Some(fill), Some(align));
        }
        (None, self.take_if(is_align))
    }

    fn take_number(&mut self) -> Option<usize> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        (length > 0).then(|| digits.parse().unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (spec, value, expected) in [
            ("03d", 7, "007"),
            ("03", -7, "-07"),
            ("+d", 7, "+7"),
            ("#x", 255, "0xff"),
            ("*^7", 12, "**12***"),
            ("<5", 1, "1    "),
            (".1f", 2, "2.0"),
        ] {
            assert_eq!(
                FormatSpec::parse(spec).unwrap().integer(value).unwrap(),
                expected,
                "{spec}"
            );
        }
        FormatSpec::parse("s").unwrap().integer(1).unwrap_err();
        FormatSpec::parse(".2d").unwrap().integer(1).unwrap_err();
    }

    #[test]
    fn floats() {
        for (spec, value, expected) in [
            (".2f", 0.125, "0.12"),
            ("", 1e16, "1e+16"),
            (".0e", 12345.0, "1e+04"),
            (".1e", 1.0, "1.0e+00"),
            ("g", 0.0001, "0.0001"),
            ("g", 1e-5, "1e-05"),
            (".3g", 1234.0, "1.23e+03"),
            ("g", 100_000.0, "100000"),
            (".1%", 0.5, "50.0%"),
            ("08.3f", -1.5, "-001.500"),
        ] {
            assert_eq!(
                FormatSpec::parse(spec).unwrap().float(value).unwrap(),
                expected,
                "{spec}"
            );
        }
    }

    #[test]
    fn texts() {
        for (spec, expected) in [
            ("", "név"),
            (".2", "né"),
            (">5", "  név"),
            ("_<5s", "név__"),
            ("05", "név00"),
        ] {
            assert_eq!(
                FormatSpec::parse(spec).unwrap().text("név").unwrap(),
                expected,
                "{spec}"
            );
        }
        FormatSpec::parse("d").unwrap().text("név").unwrap_err();
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for spec in [",", "_d", "c", ".f", "5.", "99999999999999999999", "d3"] {
            FormatSpec::parse(spec).unwrap_err();
        }
    }
}
