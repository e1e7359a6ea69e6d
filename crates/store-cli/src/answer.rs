//! What a command answers: a document for machines, text for people, and an exit code.

use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind as ClapKind;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exit {
    #[default]
    Done,
    Failed,
    Usage,
    /// Not all is as it should be.
    Incomplete,
    /// By a signal of this number.
    Interrupted(u8),
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Interrupted(signal) => 128 + signal,
        }
    }
}

/// The answer of a command that did not fail.
#[derive(Debug)]
pub(crate) struct Answer {
    document: Value,
    text: String,
    pub(crate) exit: Exit,
}

impl Answer {
    pub(crate) fn new(document: &impl Serialize, text: impl Into<String>) -> Self {
        Self {
            // No type of ours fails to serialize.
            document: serde_json::to_value(document).unwrap_or_default(),
            text: text.into(),
            exit: Exit::Done,
        }
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    #[cfg(test)]
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Prints what came of a command.
pub(crate) fn finish(outcome: Result<Answer>, json: bool) -> ExitCode {
    let (document, text, exit) = match outcome {
        Ok(answer) => (answer.document, answer.text, answer.exit),
        Err(failure) => {
            if !json {
                complain(&failure);
            }
            (json!({ "error": failure }), String::new(), failure.exit)
        }
    };
    let shown = if json { format!("{document:#}") } else { text };
    let shown = shown.trim_end_matches('\n');
    if !shown.is_empty() {
        // Whoever closed the pipe has seen enough.
        let _ = writeln!(anstream::stdout(), "{shown}");
    }
    exit.code().into()
}

/// Prints why the command line can't be understood, or the help that was asked for.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ClapKind::DisplayHelp | ClapKind::DisplayVersion
    );
    if asked_for {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.split("\n\n").next().unwrap_or_default();
        let message = message.trim().trim_start_matches("error: ");
        return finish(Err(Failure::usage(without_credentials(message))), true);
    }
    let text = error.render().ansi().to_string();
    let _ = write!(anstream::stderr(), "{}", without_credentials(&text));
    Exit::Usage.code().into()
}

/// Text that may quote an argument, in which a URL may have got to the wrong place.
fn without_credentials(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        match (word.find("://"), word.rfind('@')) {
            (Some(scheme), Some(at)) if scheme < at => {
                format!("{}://…{}", &word[..scheme], &word[at..])
            }
            _ => word.to_owned(),
        }
    });
    words.collect()
}

fn complain(failure: &Failure) {
    let bold = Style::new().bold();
    let red = AnsiColor::Red.on_default().bold();
    let mut err = anstream::stderr();
    let _ = writeln!(err, "{red}error{red:#}: {}", failure.message);
    if let Some(store) = &failure.store {
        let _ = writeln!(err, "  {bold}store{bold:#}: {store}");
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(err, "  {bold}next{bold:#}:  {hint}");
    }
}

/// The word that warnings begin with.
pub(crate) fn warning() -> String {
    let yellow = AnsiColor::Yellow.on_default().bold();
    format!("{yellow}warning{yellow:#}")
}

/// Text in the colour of what is well.
pub(crate) fn good(text: &str) -> String {
    painted(text, AnsiColor::Green)
}

/// Text in the colour of what needs attention.
pub(crate) fn bad(text: &str) -> String {
    painted(text, AnsiColor::Yellow)
}

fn painted(text: &str, colour: AnsiColor) -> String {
    let style = colour.on_default();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_in_the_wrong_place_is_not_quoted() {
        let said = without_credentials("unrecognized subcommand 'postgres://u:hun@ter2@h/db' here");
        assert_eq!(said, "unrecognized subcommand 'postgres://…@h/db' here");
    }
}
