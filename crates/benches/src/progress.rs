//! How far a run is: a bar with the time left on a terminal, else one line at its beginning.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Says how long it will take.
    pub(crate) fn new(length: Duration) -> Self {
        let seconds = length.as_secs();
        eprintln!(
            "bench: measuring takes {} min {:02} s",
            seconds / 60,
            seconds % 60
        );
        let bar = ProgressBar::new(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {eta} left  {msg:32}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0
            .inc(u64::try_from(by.as_millis()).unwrap_or_default());
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
