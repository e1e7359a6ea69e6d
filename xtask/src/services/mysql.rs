//! MySQL, and what MariaDB has in common with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::certificates::certificates;
use super::native::{Home, free_port, password, program};
use super::process::Stop;
use super::server::{Container, Kind};
use super::supervisor::Supervisor;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const INITIALIZE_LIMIT: Duration = Duration::from_secs(180);
const QUICK: Duration = Duration::from_secs(10);
/// The longest path that a Unix socket can have.
const SOCKET_PATH: usize = 100;

#[derive(Debug)]
pub(super) struct MySql;

impl Kind for MySql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    /// Debian has none; MariaDB stands in for it there.
    fn required(&self) -> bool {
        false
    }

    fn product(&self) -> &'static str {
        "MySQL"
    }

    fn url_variable(&self) -> &'static str {
        "STORE_TEST_MYSQL_URL"
    }

    fn other_variables(&self) -> &'static [&'static str] {
        &["STORE_TEST_MYSQL_CA"]
    }

    fn container(&self) -> Container {
        Container {
            service: "mysql",
            image_variable: "MYSQL_IMAGE",
            port_variable: "MYSQL_PORT",
        }
    }

    fn url(&self, port: u16, password: &str) -> String {
        root_url(port, password)
    }

    fn probe(&self, url: &str) -> Result<Option<String>> {
        version(url).map(|number| Some(format!("MySQL {number}")))
    }

    fn installed(&self, supervisor: &Supervisor) -> Option<PathBuf> {
        let server = program("mysqld")?;
        // MariaDB's packages have a program of this name too.
        let version = supervisor
            .run(Command::new(&server).arg("--version"), QUICK)
            .ok()?;
        let own = !version.contains("MariaDB");
        own.then(|| server.parent().map(Path::to_owned)).flatten()
    }

    fn packages(&self) -> &'static [&'static str] {
        // Debian has none, and Ubuntu's are named after the release's version.
        &[]
    }

    fn start(&self, supervisor: &Supervisor, binaries: &Path) -> Result<BTreeMap<String, String>> {
        let home = Home::new(supervisor, "mysql")?;
        let server = binaries.join("mysqld");
        let mut initialize = home.command(&server);
        initialize
            .args(["--no-defaults", "--initialize-insecure"])
            .arg(format!("--datadir={}", home.path().join("data").display()));
        supervisor.run(&mut initialize, INITIALIZE_LIMIT)?;
        serve(supervisor, self, &home, &server, &["--mysqlx=OFF"])
    }
}

/// Starts a server on a data directory that was initialized, and returns its variables.
pub(super) fn serve(
    supervisor: &Supervisor,
    kind: &dyn Kind,
    home: &Home,
    server: &Path,
    options: &[&str],
) -> Result<BTreeMap<String, String>> {
    let password = password()?;
    let first = home.write(
        "init.sql",
        &format!(
            "DROP USER IF EXISTS 'root'@'127.0.0.1';\n\
             DROP USER IF EXISTS ''@'localhost';\n\
             CREATE USER 'root'@'%' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n\
             ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n\
             CREATE DATABASE store;\n"
        ),
        false,
    )?;
    let certificates = certificates(home)?;
    let socket = home.path().join("socket");
    let socket = if socket.as_os_str().len() < SOCKET_PATH {
        socket
    } else {
        // In the data directory.
        PathBuf::from("socket")
    };
    let port = free_port()?;
    let mut command = home.command(server);
    command.arg("--no-defaults");
    for (option, value) in [
        ("datadir", home.path().join("data")),
        ("socket", socket),
        ("pid-file", home.path().join("pid")),
        ("init-file", first),
        ("ssl-ca", certificates.authority.clone()),
        ("ssl-cert", certificates.certificate),
        ("ssl-key", certificates.key),
    ] {
        command.arg(format!("--{option}={}", value.display()));
    }
    command
        .arg(format!("--port={port}"))
        .args(["--bind-address=127.0.0.1", "--max-connections=300"])
        .args(options);
    let url = kind.url(port, &password);
    home.serve(supervisor, kind, &url, command, Stop::Kill)?;
    let mut variables = BTreeMap::from([(kind.url_variable().to_owned(), url)]);
    for name in kind.other_variables() {
        let authority = certificates.authority.display().to_string();
        variables.insert((*name).to_owned(), authority);
    }
    Ok(variables)
}

pub(super) fn root_url(port: u16, password: &str) -> String {
    format!("mysql://root:{password}@127.0.0.1:{port}/store")
}

/// The number of the server's version.
pub(super) fn version(url: &str) -> Result<String> {
    // Options of the store's, which the driver does not know, matter to the tests only.
    let plain = url.split_once('?').map_or(url, |(plain, _)| plain);
    let opts = OptsBuilder::from_opts(Opts::from_url(plain)?).prefer_socket(false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ask = async {
        let mut conn = Conn::new(opts).await?;
        let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
        conn.disconnect().await?;
        version.context("the server has no version")
    };
    let version = runtime.block_on(async {
        match tokio::time::timeout(2 * CONNECT_LIMIT, ask).await {
            Ok(version) => version,
            Err(_) => bail!("no answer within {} s", 2 * CONNECT_LIMIT.as_secs()),
        }
    })?;
    let number = version.split('-').next().unwrap_or_default();
    Ok(number.to_owned())
}
