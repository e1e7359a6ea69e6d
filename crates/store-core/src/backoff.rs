//! Waiting between attempts.

use std::time::Duration;

/// Growing pauses with full jitter: each is random between zero and a ceiling that doubles.
///
/// See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Clone, Debug)]
pub struct Backoff {
    ceiling: Duration,
    cap: Duration,
}

impl Backoff {
    /// Pauses that start under `first` and never exceed `cap`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self {
            ceiling: first,
            cap,
        }
    }

    /// The next pause, at least 1 ms.
    pub fn next_pause(&mut self) -> Duration {
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        let pause = self
            .ceiling
            .mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.ceiling = (self.ceiling * 2).min(self.cap);
        pause.max(Duration::from_millis(1))
    }

    /// Sleeps for the next pause.
    pub async fn sleep(&mut self) {
        tokio::time::sleep(self.next_pause()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_under_the_cap() {
        let cap = Duration::from_millis(50);
        let mut backoff = Backoff::new(Duration::from_millis(5), cap);
        assert!((0..100).all(|_| backoff.next_pause() <= cap));
    }
}
