use std::time::Duration;

use mcp_jupyter_core::engine::SavePolicy;

use super::assets::ByteRange;

/// What `--save interval` means.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);

/// A time: `3`, `1.5`, `500ms`, `2m`, `1h30m`; seconds where there is no unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = match text.parse::<f64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => with_units(text),
    };
    seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            "expected a time above 0 in seconds, or with units, such as `1.5`, `500ms`, `2m`, `1h30m`".to_owned()
        })
}

fn with_units(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at(number);
        let unit = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        seconds += value.parse::<f64>().ok()? * seconds_of(&after[..unit])?;
        rest = after[unit..].trim_start();
    }
    Some(seconds)
}

fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "ms" => Some(0.001),
        "s" | "sec" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        _ => None,
    }
}

/// A size: `1000`, `64k`, `1.5M`, `2GiB`; bytes where there is no unit. `k`, `M`, `G` are powers of 1000, `Ki`, `Mi`, `Gi`
/// of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let expected = || "expected a size in bytes, or with a unit, such as `64k`, `1.5M`, `2GiB`".to_owned();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| expected())?;
    let unit = unit.trim().trim_end_matches(['b', 'B']);
    let factor = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" | "m" => 1e6,
        "G" | "g" => 1e9,
        "T" | "t" => 1e12,
        "Ki" | "ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        _ => return Err(expected()),
    };
    let size = (number * factor).round();
    // More has no exact value.
    if !(0.0..=9e15).contains(&size) {
        return Err(expected());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and within the limits"
    )]
    Ok(size as u64)
}

/// Width and height: `800x600`.
pub(super) fn pixels(text: &str) -> Result<(u32, u32), String> {
    let size = text.split_once('x').and_then(|(width, height)| {
        let side = |text: &str| text.parse::<u32>().ok().filter(|side| *side > 0);
        Some((side(width)?, side(height)?))
    });
    size.ok_or_else(|| "expected width and height in pixels, such as `800x600`".to_owned())
}

pub(super) fn byte_range(text: &str) -> Result<ByteRange, String> {
    let expected = || "expected `FROM-TO`, `FROM-` or `-LAST`, such as `0-1000`".to_owned();
    let (from, to) = text.split_once('-').ok_or_else(expected)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| expected());
    match (from, to) {
        ("", last) => Ok(ByteRange::Last(number(last)?)),
        (from, "") => Ok(ByteRange::From(number(from)?, None)),
        (from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            if from > to {
                return Err(format!("{from} is behind {to}"));
            }
            Ok(ByteRange::From(from, Some(to)))
        }
    }
}

pub(super) fn save_policy(text: &str) -> Result<SavePolicy, String> {
    match text {
        "every-cell" => Ok(SavePolicy::EveryCell),
        "on-exit" => Ok(SavePolicy::OnExit),
        "interval" => Ok(SavePolicy::Interval(SAVE_INTERVAL)),
        time => duration(time)
            .map(SavePolicy::Interval)
            .map_err(|_| "expected `every-cell`, `on-exit`, `interval` or a time such as `10s`".to_owned()),
    }
}

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_units() {
        let seconds = |text| duration(text).map(|time| time.as_secs_f64());
        assert_eq!(seconds("3"), Ok(3.0));
        assert_eq!(seconds("1.5"), Ok(1.5));
        assert_eq!(seconds("500ms"), Ok(0.5));
        assert_eq!(seconds("2m"), Ok(120.0));
        assert_eq!(seconds("1h30m"), Ok(5400.0));
        assert_eq!(seconds("1h 30m 1.5s"), Ok(5401.5));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "0",
            "-1",
            "nan",
            "inf",
            "1e400",
            "m",
            "3x",
            "3m5",
            "1..5s",
            "2 m",
            "9999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(size("64k"), Ok(64_000));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1.5M"), Ok(1_500_000));
        assert_eq!(size("0"), Ok(0));
        for text in ["", "k", "-1", "1x", "1e3", "nan", "99999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_of_bytes() {
        assert_eq!(byte_range("0-10"), Ok(ByteRange::From(0, Some(10))));
        assert_eq!(byte_range("5-"), Ok(ByteRange::From(5, None)));
        assert_eq!(byte_range("-5"), Ok(ByteRange::Last(5)));
        for text in ["", "-", "5", "9-1", "a-b", "--5"] {
            assert!(byte_range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_policy_may_be_a_time() {
        assert_eq!(save_policy("every-cell"), Ok(SavePolicy::EveryCell));
        assert_eq!(save_policy("interval"), Ok(SavePolicy::Interval(SAVE_INTERVAL)));
        assert_eq!(save_policy("10s"), Ok(SavePolicy::Interval(Duration::from_secs(10))));
        assert!(save_policy("never").is_err());
    }

    #[test]
    fn a_variable_needs_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(variable("=b").is_err());
        assert!(variable("A").is_err());
    }
}
