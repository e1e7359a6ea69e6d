//! Showing that something goes on: a spinner on a terminal, lines now and then elsewhere.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    what: &'static str,
    shown: Shown,
    began: Instant,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    pub(crate) fn new(what: &'static str, quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed}: {msg}");
            let bar = ProgressBar::new_spinner().with_prefix(what);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            Shown::Bar(bar)
        } else {
            Shown::Lines {
                last: Instant::now(),
            }
        };
        Self {
            what,
            shown,
            began: Instant::now(),
        }
    }

    /// How far it is now. May be called as often as one likes.
    pub(crate) fn at(&mut self, state: impl FnOnce() -> String) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_message(state()),
            Shown::Lines { last } => {
                if last.elapsed() >= EVERY {
                    *last = Instant::now();
                    let elapsed = self.began.elapsed().as_secs();
                    anstream::eprintln!("{} {elapsed}s: {}", self.what, state());
                }
            }
        }
    }

    /// Something that everybody should read who doesn't want quiet.
    pub(crate) fn note(&self, text: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.println(text),
            Shown::Lines { .. } => anstream::eprintln!("{}: {text}", self.what),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
