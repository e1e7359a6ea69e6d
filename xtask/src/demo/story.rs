//! What is told: steps, each with what was expected and what was seen.

use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
/// How wide the names of steps are shown.
const NAME_WIDTH: usize = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

/// A step failed to give what the rest of its chapter needs.
#[derive(Debug)]
pub(super) struct Broken;

/// What a step saw, and what it hands on.
pub(super) struct Seen<T> {
    ok: bool,
    text: String,
    details: Vec<(&'static str, String)>,
    value: T,
}

/// What a step saw; `ok` if it is what was expected.
pub(super) fn seen(ok: bool, text: impl Into<String>) -> Seen<()> {
    Seen {
        ok,
        text: text.into(),
        details: Vec::new(),
        value: (),
    }
}

impl<T> Seen<T> {
    /// Hands this on to later steps.
    pub(super) fn giving<U>(self, value: U) -> Seen<U> {
        Seen {
            ok: self.ok,
            text: self.text,
            details: self.details,
            value,
        }
    }

    /// Shows this below the step.
    pub(super) fn detail(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.details.push((name, text.into()));
        self
    }
}

#[derive(Debug, Serialize)]
struct Step {
    chapter: String,
    name: &'static str,
    expected: String,
    seen: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    details: Map<String, Value>,
    ok: bool,
    micros: u64,
}

/// The JSON form of the whole.
#[derive(Serialize)]
struct Document<'a> {
    server: &'a str,
    launch: &'a str,
    ok: bool,
    held: usize,
    failed: usize,
    micros: u64,
    steps: &'a [Step],
}

pub(super) struct Story<'a> {
    format: Format,
    server: &'a str,
    launch: &'a str,
    out: &'a mut dyn Write,
    began: Instant,
    chapter: String,
    steps: Vec<Step>,
}

impl<'a> Story<'a> {
    pub(super) fn begin(
        format: Format,
        server: &'a str,
        launch: &'a str,
        out: &'a mut dyn Write,
    ) -> Self {
        let mut story = Self {
            format,
            server,
            launch,
            out,
            began: Instant::now(),
            chapter: String::new(),
            steps: Vec::new(),
        };
        story.say(&format!(
            "{HEADING}A launch, and what follows{HEADING:#} {FAINT}· {server} · {launch}{FAINT:#}\n"
        ));
        story
    }

    pub(super) fn chapter(&mut self, title: impl Into<String>) {
        self.chapter = title.into();
        let title = shown(&self.chapter);
        self.say(&format!("\n{HEADING}{title}{HEADING:#}\n"));
    }

    /// Time passes on the demo's clock.
    pub(super) fn pause(&mut self, what: &str) {
        self.say(&format!("  {FAINT}· {what}{FAINT:#}\n"));
    }

    /// Does a step and tells what came of it. An error is something seen that nobody expected.
    pub(super) async fn step<T>(
        &mut self,
        name: &'static str,
        expected: impl Into<String>,
        work: impl Future<Output = Result<Seen<T>>>,
    ) -> Result<T, Broken> {
        let began = Instant::now();
        let outcome = work.await;
        let micros = micros(began.elapsed());
        let (ok, text, details, value) = match outcome {
            Ok(seen) => (seen.ok, seen.text, seen.details, Ok(seen.value)),
            Err(error) => (false, format!("error: {error:#}"), Vec::new(), Err(Broken)),
        };
        let expected = expected.into();
        self.tell(name, &expected, &text, &details, ok);
        self.steps.push(Step {
            chapter: self.chapter.clone(),
            name,
            expected,
            seen: text,
            details: details
                .into_iter()
                .map(|(name, text)| (name.to_owned(), text.into()))
                .collect(),
            ok,
            micros,
        });
        value
    }

    fn tell(
        &mut self,
        name: &str,
        expected: &str,
        seen: &str,
        details: &[(&str, String)],
        ok: bool,
    ) {
        let mut text = String::new();
        let seen = shown(seen);
        let _ = if ok {
            writeln!(text, "  {GOOD}✓{GOOD:#} {name:NAME_WIDTH$} {seen}")
        } else {
            writeln!(
                text,
                "  {BAD}✗ {name}{BAD:#}\n      expected  {expected}\n      seen      {seen}"
            )
        };
        let width = details.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default().max(8);
        for (name, detail) in details {
            let detail = shown(detail);
            let _ = writeln!(text, "      {FAINT}{name:width$}{FAINT:#}  {detail}");
        }
        self.say(&text);
    }

    /// Closes the story and says whether all of it held.
    pub(super) fn end(mut self) -> bool {
        let took = self.began.elapsed();
        let total = self.steps.len();
        let held = self.steps.iter().filter(|step| step.ok).count();
        let ok = held == total && total > 0;
        let seconds = took.as_secs_f64();
        let style = if ok { GOOD } else { BAD };
        let summary = if ok {
            format!("all {total} steps hold")
        } else {
            format!("{} of {total} steps do not hold", total - held)
        };
        self.say(&format!(
            "\n{style}{summary}{style:#} {FAINT}in {seconds:.3} s{FAINT:#}\n"
        ));
        if self.format == Format::Json {
            let document = Document {
                server: self.server,
                launch: self.launch,
                ok,
                held,
                failed: total - held,
                micros: micros(took),
                steps: &self.steps,
            };
            // Nobody reads on if this fails, and the exit status tells the outcome.
            let _ = serde_json::to_writer_pretty(&mut *self.out, &document);
            let _ = writeln!(self.out);
        }
        ok
    }

    fn say(&mut self, text: &str) {
        if self.format == Format::Text {
            let _ = self.out.write_all(text.as_bytes());
            let _ = self.out.flush();
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// What a launch says may hold anything: only what fits a terminal, and nothing that moves its cursor.
fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(LONGEST).map(plain).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The beginning of a secret, enough to tell two apart on a screen.
pub(super) fn masked(secret: &str) -> String {
    let shown = (secret.chars().count() / 3).min(7);
    let mut text: String = secret.chars().take(shown).collect();
    text.push('…');
    text
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[tokio::test]
    async fn what_does_not_hold_is_told_and_fails_the_story() {
        let mut text = Vec::new();
        let mut story = Story::begin(Format::Text, "server", "file", &mut text);
        story.chapter("Chapter");
        let good = async { Ok(seen(true, "all well").giving(7)) };
        assert!(matches!(story.step("good", "well", good).await, Ok(7)));
        let bad = async { Ok(seen(false, "ill").detail("where", "here")) };
        assert!(story.step("bad", "well", bad).await.is_ok());
        let broken = async { bail!("no answer") };
        assert!(story.step::<()>("broken", "well", broken).await.is_err());
        assert!(!story.end());
        let text = anstream::adapter::strip_str(&String::from_utf8(text).unwrap()).to_string();
        assert!(text.contains("  ✓ good "), "{text}");
        assert!(text.contains(
            "  ✗ bad\n      expected  well\n      seen      ill\n      where     here\n"
        ));
        assert!(
            text.contains("      seen      error: no answer\n"),
            "{text}"
        );
        assert!(text.contains("\n2 of 3 steps do not hold in "), "{text}");
    }

    #[test]
    fn a_story_without_steps_shows_nothing() {
        assert!(!Story::begin(Format::Json, "server", "file", &mut Vec::new()).end());
    }

    #[test]
    fn what_a_launch_says_stays_on_its_line() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a [2J b");
        assert_eq!(shown(&"x".repeat(201)), format!("{}…", "x".repeat(200)));
    }

    #[test]
    fn secrets_are_masked() {
        assert_eq!(masked("sp_0123456789012345678901234567890"), "sp_0123…");
        assert_eq!(masked("ab"), "…");
    }
}
