//! What all conversions between the protocol and the domains need.

use std::time::Duration;

use jiff::Timestamp;

/// A message of the protocol that does not say what it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has no valid {what}")]
#[allow(
    unreachable_pub,
    reason = "the generated types, in whose conversions it occurs, are not narrower"
)]
pub struct Malformed {
    what: &'static str,
}

impl From<Malformed> for tonic::Status {
    fn from(error: Malformed) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// The error about a field.
pub(crate) fn malformed(what: &'static str) -> Malformed {
    Malformed { what }
}

/// What has to be there.
pub(crate) fn required<T, U>(value: Option<T>, what: &'static str) -> Result<U, Malformed>
where
    U: TryFrom<T>,
{
    let value = value.ok_or(malformed(what))?;
    value.try_into().map_err(|_| malformed(what))
}

/// Every one of them.
pub(crate) fn all<T, U>(values: Vec<T>) -> Result<Vec<U>, Malformed>
where
    U: TryFrom<T, Error = Malformed>,
{
    values.into_iter().map(U::try_from).collect()
}

/// A time on its way out. Every one that a clock has fits.
pub(crate) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    // Before 1970 the protocol counts nanoseconds forwards from the second before.
    let nanosecond = time.as_nanosecond();
    prost_types::Timestamp {
        seconds: i64::try_from(nanosecond.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanosecond.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

/// A time on its way in.
pub(crate) fn to_timestamp(time: Option<prost_types::Timestamp>) -> Result<Timestamp, Malformed> {
    let time = time.ok_or(malformed("time"))?;
    Timestamp::new(time.seconds, time.nanos).map_err(|_| malformed("time"))
}

/// A span of time on its way out; one that is longer than the protocol can say is as good as endless.
pub(crate) fn duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or_default(),
    }
}

/// A span of time on its way in.
pub(crate) fn to_duration(span: prost_types::Duration) -> Result<Duration, Malformed> {
    span.try_into().map_err(|_| malformed("duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_nanosecond() {
        for time in [
            Timestamp::MIN,
            Timestamp::MAX,
            Timestamp::UNIX_EPOCH,
            Timestamp::new(1_700_000_000, 123_456_789).unwrap(),
            Timestamp::new(-5, -1).unwrap(),
        ] {
            assert_eq!(to_timestamp(Some(timestamp(time))), Ok(time));
        }
        for span in [Duration::ZERO, Duration::new(3, 7), Duration::from_secs(1 << 40)] {
            assert_eq!(to_duration(duration(span)), Ok(span));
        }
        assert!(to_timestamp(None).is_err());
        let backwards = prost_types::Duration { seconds: -1, nanos: 0 };
        assert!(to_duration(backwards).is_err());
    }
}
