//! From tower-sessions' instants to lifetimes.

use std::time::Duration;

use time::OffsetDateTime;

/// 1,000 years, which is longer than any session and ends before the last instant that a store keeps.
const LONGEST: Duration = Duration::from_secs(1_000 * 365 * 24 * 3600);

/// How long a session lives that expires at `expiry`, or `None` if that is over.
///
/// tower-sessions reckons with the system's clock, a store with its own: what counts is how long is
/// left.
pub(crate) fn lifetime(expiry: OffsetDateTime) -> Option<Duration> {
    let left = Duration::try_from(expiry - OffsetDateTime::now_utc()).ok()?;
    (left >= Duration::from_millis(1)).then(|| left.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_what_is_left() {
        let now = OffsetDateTime::now_utc();
        let hour = Duration::from_secs(3600);
        let left = lifetime(now + hour).unwrap();
        assert!(left <= hour && hour - left < Duration::from_secs(60));
        assert_eq!(lifetime(now), None);
        assert_eq!(lifetime(now - hour), None);
        let last = now.saturating_add(time::Duration::MAX);
        assert_eq!(lifetime(last), Some(LONGEST));
        assert_eq!(lifetime(now.saturating_add(time::Duration::MIN)), None);
    }
}
