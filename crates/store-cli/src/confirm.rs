//! Asking before something is destroyed.

use std::io::{self, IsTerminal as _, Write as _};

use crate::failure::{Failure, Result};

/// Returns if the user agrees to `question`, or did already by `--yes`.
pub(crate) async fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let message = format!("{question} Nobody can be asked here, so nothing was done");
        return Err(Failure::usage(message).hint("add --yes to do it"));
    }
    let mut prompt = anstream::stderr();
    let _ = write!(prompt, "{question} [y/N] ");
    let _ = prompt.flush();
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = match answer.await {
        Ok(Ok(line)) => line,
        _ => String::new(),
    };
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(
            "declined",
            "nothing was done, because the answer was not yes",
        )),
    }
}
