//! `storectl man`.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;
use serde_json::json;

use crate::answer::Answer;
use crate::cli::Cli;
use crate::failure::{Failure, Result};

#[derive(clap::Args)]
#[command(
    after_help = "For instance: storectl man --dir /usr/local/share/man/man1, or storectl man | man -l -"
)]
pub(crate) struct Args {
    /// Write the pages of storectl and all its commands here instead, as storectl-cleanup.1 and so on.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Answer> {
    let broken =
        |error: std::io::Error| Failure::new("io", format!("the pages can't be written: {error}"));
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page).map_err(broken)?;
        let page = String::from_utf8_lossy(&page).into_owned();
        return Ok(Answer::new(&json!({ "page": page }), page));
    };
    fs::create_dir_all(dir).map_err(broken)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(broken)?;
    let text = format!("the pages are in {}", dir.display());
    Ok(Answer::new(&json!({ "dir": dir }), text))
}
