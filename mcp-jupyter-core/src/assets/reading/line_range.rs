use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::assets::error::AssetError;

/// Which lines, both ends included: `10-20`, `10`, `10-` (to the end), `-5` (the last five), `-20--10` (from the
/// twentieth last to the tenth last), `10--2` (all but the first nine and the last).
///
/// ```
/// use mcp_jupyter_core::assets::reading::LineRange;
///
/// let range: LineRange = "-5".parse()?;
/// assert_eq!(range, LineRange::last(5)?);
/// assert!("20-10".parse::<LineRange>().is_err());
/// # Ok::<(), mcp_jupyter_core::assets::AssetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LineRange {
    first: LineAt,
    last: LineAt,
}

/// A line; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LineAt {
    Start(u64),
    End(u64),
}

impl LineAt {
    /// Its number, where there are `total`; 0 for one before the first.
    fn number(self, total: u64) -> u64 {
        match self {
            Self::Start(number) => number,
            Self::End(back) => (total + 1).saturating_sub(back),
        }
    }
}

impl LineRange {
    /// From line `first` to line `last`.
    ///
    /// # Errors
    /// [`AssetError::Invalid`] where one is 0, or `last` is before `first`.
    pub fn between(first: u64, last: u64) -> Result<Self, AssetError> {
        Self::new(LineAt::Start(first), LineAt::Start(last))
            .map_err(|reason| invalid(&format!("{first}-{last}"), &reason))
    }

    /// From line `first` to the end.
    ///
    /// # Errors
    /// [`AssetError::Invalid`] for 0.
    pub fn starting(first: u64) -> Result<Self, AssetError> {
        Self::new(LineAt::Start(first), LineAt::End(1)).map_err(|reason| invalid(&format!("{first}-"), &reason))
    }

    /// The last `count` lines.
    ///
    /// # Errors
    /// [`AssetError::Invalid`] for 0.
    pub fn last(count: u64) -> Result<Self, AssetError> {
        Self::new(LineAt::End(count), LineAt::End(1)).map_err(|reason| invalid(&format!("-{count}"), &reason))
    }

    fn new(first: LineAt, last: LineAt) -> Result<Self, String> {
        use LineAt::{End, Start};
        match (first, last) {
            (Start(0) | End(0), _) | (_, Start(0) | End(0)) => {
                Err("lines count from 1, and from -1 for the last".to_owned())
            }
            (Start(from), Start(to)) if from > to => Err(format!("line {to} is before line {from}")),
            (End(from), End(to)) if from < to => Err(format!(
                "the line {to} from the end is before the one {from} from the end"
            )),
            (End(_), Start(_)) => Err("what begins from the end has to end from the end".to_owned()),
            (first, last) => Ok(Self { first, last }),
        }
    }

    /// Whether one has to know how many lines there are in order to find the first.
    pub(super) fn begins_from_end(&self) -> bool {
        matches!(self.first, LineAt::End(_))
    }

    /// Whether the last one is named by its distance from the end.
    pub(super) fn ends_from_end(&self) -> bool {
        matches!(self.last, LineAt::End(back) if back > 1)
    }

    /// The numbers of the first line and of the last, where there are `total` lines, or an unknown number; none where
    /// no line is in the range.
    pub(super) fn resolve(&self, total: Option<u64>) -> Option<(u64, u64)> {
        let Some(total) = total else {
            return Some((
                self.first.number(u64::MAX - 1),
                match self.last {
                    LineAt::Start(last) => last,
                    LineAt::End(_) => u64::MAX,
                },
            ));
        };
        let (first, last) = (self.first.number(total).max(1), self.last.number(total).min(total));
        (first <= last).then_some((first, last))
    }
}

fn invalid(range: &str, reason: &str) -> AssetError {
    let shown: String = range.chars().take(80).collect();
    AssetError::invalid(format!("lines {shown:?}"), reason)
}

impl FromStr for LineRange {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, AssetError> {
        let trimmed = text.trim();
        let expected = "expected 10-20, 10, 10-, -5 (the last five) or -20--10";
        let parsed = || -> Result<Self, String> {
            let (first, rest) = line_at(trimmed).ok_or(expected)?;
            let last = match (rest, first) {
                ("", LineAt::Start(_)) => first,
                ("" | "-", _) => LineAt::End(1),
                (rest, _) => match rest.strip_prefix('-').and_then(line_at) {
                    Some((last, "")) => last,
                    _ => return Err(expected.to_owned()),
                },
            };
            Self::new(first, last)
        };
        parsed().map_err(|reason| invalid(text, &reason))
    }
}

/// A line at the start of `text`, and what follows.
fn line_at(text: &str) -> Option<(LineAt, &str)> {
    let digits = text.strip_prefix('-');
    let rest = digits.unwrap_or(text);
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at(length);
    let number = number.parse().ok().filter(|number| *number < u64::MAX)?;
    let at = if digits.is_some() {
        LineAt::End(number)
    } else {
        LineAt::Start(number)
    };
    Some((at, after))
}

impl fmt::Display for LineRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (LineAt::Start(first), LineAt::Start(last)) if first == last => write!(f, "{first}"),
            (LineAt::Start(first), LineAt::Start(last)) => write!(f, "{first}-{last}"),
            (LineAt::Start(first), LineAt::End(1)) => write!(f, "{first}-"),
            (LineAt::End(first), LineAt::End(1)) => write!(f, "-{first}"),
            (LineAt::Start(first), LineAt::End(last)) => write!(f, "{first}--{last}"),
            (LineAt::End(first), LineAt::Start(last) | LineAt::End(last)) => write!(f, "-{first}--{last}"),
        }
    }
}

impl TryFrom<String> for LineRange {
    type Error = AssetError;

    fn try_from(text: String) -> Result<Self, AssetError> {
        text.parse()
    }
}

impl From<LineRange> for String {
    fn from(range: LineRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written_and_resolved() {
        let cases = [
            ("10-20", Some((10, 20))),
            ("10", Some((10, 10))),
            ("10-", Some((10, 100))),
            ("90-2000", Some((90, 100))),
            ("101-", None),
            ("-5", Some((96, 100))),
            ("-500", Some((1, 100))),
            ("-20--10", Some((81, 91))),
            ("-300--200", None),
            ("10--2", Some((10, 99))),
        ];
        for (text, lines) in cases {
            let range: LineRange = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
            assert_eq!(range.resolve(Some(100)), lines, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_reason() {
        let cases = [
            ("", "expected 10-20"),
            ("-", "expected 10-20"),
            ("a-b", "expected 10-20"),
            ("1-2-3", "expected 10-20"),
            ("1..2", "expected 10-20"),
            ("+1", "expected 10-20"),
            ("18446744073709551615", "expected 10-20"),
            ("0", "count from 1"),
            ("-0", "count from 1"),
            ("20-10", "line 10 is before line 20"),
            ("-10--20", "20 from the end is before"),
            ("-10-20", "has to end from the end"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<LineRange>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
