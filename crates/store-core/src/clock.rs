//! Time: instants in whole milliseconds of UTC, and where `now` comes from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant in UTC, in whole milliseconds from 1970-01-01 to 9999-12-31.
///
/// Every backend stores exactly this, so what is read back equals what was written. Finer instants
/// are truncated where they enter, and instants outside the range are brought to its nearest end.
///
/// In JSON it is an RFC 3339 string with three decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant `millis` milliseconds after 1970-01-01T00:00:00Z, brought into range.
    #[must_use]
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded up: the first whole second that is not
    /// before this instant.
    #[must_use]
    pub fn unix_seconds_ceil(self) -> i64 {
        self.0.div_euclid(1000) + i64::from(self.0.rem_euclid(1000) != 0)
    }

    /// This instant plus `duration` in whole milliseconds, or `None` past [`Timestamp::MAX`].
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let sum = self
            .0
            .checked_add(i64::try_from(duration.as_millis()).ok()?)?;
        (sum <= Self::MAX.0).then_some(Self(sum))
    }

    /// How long ago `earlier` was, or `None` if it lies after this instant.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.0 - earlier.0)
            .ok()
            .map(Duration::from_millis)
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(instant: OffsetDateTime) -> Self {
        let millis = instant.unix_timestamp_nanos().div_euclid(1_000_000);
        Self::from_unix_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(instant: SystemTime) -> Self {
        let since_epoch = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::MIN.checked_add(since_epoch).unwrap_or(Self::MAX)
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(instant: Timestamp) -> Self {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(instant.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = OffsetDateTime::from(*self);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339)
            .map(Self::from)
            .map_err(|_| de::Error::custom("expected an RFC 3339 instant"))
    }
}

/// Where a store reads the time from.
///
/// A store binds `now()` as a parameter of each statement, so that all servers and processes that
/// share a clock agree, whatever time zone or clock the database server has.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that stands still until it is told otherwise, for tests without sleeping.
///
/// Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use store_core::{Clock, ManualClock};
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().since(before), Some(Duration::from_secs(5)));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.unix_millis())))
    }

    /// Moves forward by whole milliseconds.
    pub fn advance(&self, by: Duration) {
        self.step(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Steps back by whole milliseconds, as a clock that is being corrected does.
    pub fn rewind(&self, by: Duration) {
        self.step(i64::try_from(by.as_millis()).map_or(i64::MIN, |millis| -millis));
    }

    fn step(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// Shows 2030-01-01T00:00:00.000Z.
    fn default() -> Self {
        Self::at(Timestamp::from_unix_millis(1_893_456_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_truncated_to_milliseconds_and_brought_into_range() {
        let fine = OffsetDateTime::from_unix_timestamp_nanos(1_999_999).unwrap();
        assert_eq!(Timestamp::from(fine).unix_millis(), 1);
        let before = OffsetDateTime::from_unix_timestamp_nanos(-1).unwrap();
        assert_eq!(Timestamp::from(before), Timestamp::MIN);
        assert_eq!(Timestamp::from_unix_millis(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.checked_add(Duration::from_millis(1)), None);
    }

    #[test]
    fn json_is_rfc_3339_with_milliseconds() {
        let json = serde_json::to_string(&Timestamp::MAX).unwrap();
        assert_eq!(json, "\"9999-12-31T23:59:59.999Z\"");
        assert_eq!(
            serde_json::from_str::<Timestamp>(&json).unwrap(),
            Timestamp::MAX
        );
        let zoned: Timestamp = serde_json::from_str("\"1970-01-01T02:00:00.0019+02:00\"").unwrap();
        assert_eq!(zoned.unix_millis(), 1);
    }

    #[test]
    fn seconds_round_up() {
        assert_eq!(Timestamp::from_unix_millis(1000).unix_seconds_ceil(), 1);
        assert_eq!(Timestamp::from_unix_millis(1001).unix_seconds_ceil(), 2);
    }
}
