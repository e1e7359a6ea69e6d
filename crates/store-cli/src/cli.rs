//! What can be said on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    bootstrap, cleanup, clients, completions, deployments, import, man, sessions,
};
use crate::place::StoreUrl;

const AFTER_HELP: &str = "\
The store is named by --url, --url-file, the variable STORE_URL or the variable STORE_URL_FILE (the path of a \
file), the first of these that is there. Write it like
  postgres://user:password@host:5432/database
  mysql://user:password@host:3306/database
  dynamodb://region?prefix=…&endpoint=…
DynamoDB's credentials come from the environment, as AWS's own tools take them. Arguments show in the list of \
processes: give a URL with a password in a variable or a file.

Exit codes:
  0    done
  1    failed
  2    called in a way that can't work; nothing was done
  3    status: the tables are not current
       cleanup: the budget ran out
       import: records differ, are missing or were refused
  130  interrupted by Ctrl-C (143: SIGTERM); what was done stays done";

/// Administration of authentication state stores.
#[derive(Parser)]
#[command(name = "storectl", version, after_help = AFTER_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args)]
pub(crate) struct Common {
    /// The store's URL.
    #[arg(long, global = true, value_name = "URL", conflicts_with = "url_file", help_heading = STORE)]
    pub(crate) url: Option<StoreUrl>,
    /// A file that holds the store's URL; - is standard input.
    #[arg(long, global = true, value_name = "FILE", help_heading = STORE)]
    pub(crate) url_file: Option<PathBuf>,
    /// Give up after this long, such as 30s or 5m. What is under way then may or may not happen.
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, help_heading = STORE)]
    pub(crate) timeout: Option<Duration>,
    /// Print one JSON document on standard output, errors too.
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short, global = true, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
}

const STORE: &str = "Store";
const OUTPUT: &str = "Output";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create the tables, or take over those of the npm originals. Safe to run again, and from
    /// several places at once.
    Bootstrap(bootstrap::Args),
    /// Tell whether the tables are there and current (else exit code 3).
    Status,
    /// Ask the server and tell how long it took to answer.
    Health,
    /// Delete what has expired, in batches.
    Cleanup(cleanup::Args),
    /// List, show, add, change and remove clients: the platforms that the tool is registered with.
    #[command(subcommand)]
    Clients(clients::Command),
    /// List, add and remove deployments of a client.
    #[command(subcommand)]
    Deployments(deployments::Command),
    /// List and revoke the JTS sessions of a principal.
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Copy everything from another store into this one, and compare them afterwards.
    Import(import::Args),
    /// Print a script that completes commands in a shell.
    Completions(completions::Args),
    /// Print the manual page, or write the pages of all commands into a directory.
    Man(man::Args),
}

/// A duration in words, such as `90s`, `5m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 30s or 5m"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1m 30s").unwrap(), Duration::from_secs(90));
        assert!(duration("30").unwrap_err().contains("30s"));
    }
}
