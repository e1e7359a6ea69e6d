//! PgBouncer in transaction mode, in front of a PostgreSQL of our own.

use anyhow::{Context, Result};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::install;
use super::native::{Home, free_port, program};
use super::process::Stop;
use super::server::{Kind, Server, masked};
use super::supervisor::Supervisor;

pub(super) const URL_VARIABLE: &str = "STORE_TEST_PGBOUNCER_URL";
pub(super) const PACKAGE: &str = "pgbouncer";

/// Adds the URL to the server's variables.
pub(super) fn start(supervisor: &Supervisor, kind: &dyn Kind, server: &mut Server) -> Result<()> {
    let mut binary = program("pgbouncer");
    if binary.is_none() {
        install::packages(supervisor, &[PACKAGE]).context("pgbouncer is not installed")?;
        binary = program("pgbouncer");
    }
    let binary = binary.context("pgbouncer is not found")?;
    let config: Config = server.url(kind).parse()?;
    let (Some(Host::Tcp(host)), Some(port), Some(user), Some(password)) = (
        config.get_hosts().first(),
        config.get_ports().first(),
        config.get_user(),
        config.get_password(),
    ) else {
        anyhow::bail!("the server's URL lacks a part");
    };
    let password = std::str::from_utf8(password)?;

    let home = Home::new(supervisor, "pgbouncer")?;
    let users = home.write("users.txt", &format!("\"{user}\" \"{password}\"\n"), false)?;
    let own_port = free_port()?;
    // Other roles log in with what the server knows of them (auth_user turns on PgBouncer's auth_query).
    let settings = format!(
        "[databases]\n\
         * = host={host} port={port} auth_user={user}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {own_port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {}\n\
         pool_mode = transaction\n\
         max_client_conn = 1000\n\
         default_pool_size = 20\n",
        users.display()
    );
    let settings = home.write("pgbouncer.ini", &settings, false)?;
    let mut command = home.command(&binary);
    command.arg(settings);
    let url = kind.url(own_port, password);
    home.serve(supervisor, kind, &url, command, Stop::Kill)?;
    eprintln!("services: PgBouncer in front of it at {}", masked(&url));
    server.variables.insert(URL_VARIABLE.to_owned(), url);
    Ok(())
}
