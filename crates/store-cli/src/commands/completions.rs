//! `storectl completions`.

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::answer::Answer;
use crate::cli::Cli;
use crate::failure::{Failure, Result};

#[derive(clap::Args)]
#[command(after_help = "For instance: storectl completions bash > /etc/bash_completion.d/storectl")]
pub(crate) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "storectl", &mut script);
    let script =
        String::from_utf8(script).map_err(|_| Failure::new("io", "the script is not UTF-8"))?;
    let document = json!({ "shell": args.shell.to_string(), "script": script });
    Ok(Answer::new(&document, script))
}
