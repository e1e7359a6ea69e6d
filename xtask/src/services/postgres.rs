//! PostgreSQL.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use super::certificates::certificates;
use super::native::{Home, free_port, password, program_paths};
use super::pgbouncer;
use super::process::Stop;
use super::server::{Container, Kind, Server};
use super::supervisor::Supervisor;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const INITDB_LIMIT: Duration = Duration::from_secs(120);
const QUICK: Duration = Duration::from_secs(10);
/// Where distributions keep the binaries of each version: the directory, and the way from an entry to them.
const VERSIONED: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr/libexec", "."),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];
/// How tests verify the server's certificate.
const CA_VARIABLE: &str = "STORE_TEST_POSTGRES_CA";

#[derive(Debug)]
pub(super) struct Postgres;

impl Kind for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn product(&self) -> &'static str {
        "PostgreSQL"
    }

    fn url_variable(&self) -> &'static str {
        "STORE_TEST_POSTGRES_URL"
    }

    fn other_variables(&self) -> &'static [&'static str] {
        &[CA_VARIABLE, pgbouncer::URL_VARIABLE]
    }

    fn container(&self) -> Container {
        Container {
            service: "postgres",
            image_variable: "POSTGRES_IMAGE",
            port_variable: "POSTGRES_PORT",
        }
    }

    fn url(&self, port: u16, password: &str) -> String {
        database_url(port, password, "store")
    }

    fn probe(&self, url: &str) -> Result<Option<String>> {
        let Ok(mut config) = url.parse::<Config>() else {
            // Such as sslmode=verify-full, which this driver leaves to others.
            return Ok(None);
        };
        if config.get_ssl_mode() == SslMode::Require {
            return Ok(None);
        }
        config.connect_timeout(CONNECT_LIMIT);
        let version = query(&config, "SHOW server_version")?;
        let number = version
            .split_whitespace()
            .next()
            .unwrap_or("of unknown version");
        Ok(Some(format!("PostgreSQL {number}")))
    }

    fn installed(&self, supervisor: &Supervisor) -> Option<PathBuf> {
        let versioned = VERSIONED.iter().flat_map(|(directory, binaries)| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(move |entry| entry.path().join(binaries))
        });
        let mut found: Vec<_> = program_paths()
            .into_iter()
            .chain(versioned)
            .filter(|path| path.join("initdb").is_file() && path.join("postgres").is_file())
            .filter_map(|path| {
                let mut version = Command::new(path.join("postgres"));
                let text = supervisor.run(version.arg("--version"), QUICK).ok()?;
                Some((major_version(&text)?, path))
            })
            .collect();
        found.sort();
        Some(found.pop()?.1)
    }

    fn packages(&self) -> &'static [&'static str] {
        &["postgresql", pgbouncer::PACKAGE]
    }

    fn start(&self, supervisor: &Supervisor, binaries: &Path) -> Result<BTreeMap<String, String>> {
        let home = Home::new(supervisor, "postgres")?;
        let password = password()?;
        let password_file = home.write("password", &password, false)?;
        let certificates = certificates(&home)?;
        let data = home.path().join("data");
        let mut initdb = home.command(&binaries.join("initdb"));
        initdb
            .arg("-D")
            .arg(&data)
            .args([
                "-U",
                "store",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--no-sync",
            ])
            // macOS has no C.UTF-8.
            .arg(if cfg!(target_os = "linux") {
                "--locale=C.UTF-8"
            } else {
                "--locale=C"
            })
            .arg(format!("--pwfile={}", password_file.display()));
        supervisor.run(&mut initdb, INITDB_LIMIT)?;

        let port = free_port()?;
        let mut postgres = home.command(&binaries.join("postgres"));
        postgres.arg("-D").arg(&data);
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificates.certificate.display()),
            format!("ssl_key_file={}", certificates.key.display()),
        ] {
            postgres.arg("-c").arg(setting);
        }
        let first = database_url(port, &password, "postgres");
        home.serve(supervisor, self, &first, postgres, Stop::Quit)?;
        query(&first.parse()?, "CREATE DATABASE store")?;
        Ok([
            (self.url_variable().to_owned(), self.url(port, &password)),
            (
                CA_VARIABLE.to_owned(),
                certificates.authority.display().to_string(),
            ),
        ]
        .into())
    }

    fn start_front(&self, supervisor: &Supervisor, server: &mut Server) -> Result<()> {
        pgbouncer::start(supervisor, self, server)
            .context("tests through PgBouncer will be skipped, because it does not run")
    }
}

fn database_url(port: u16, password: &str, database: &str) -> String {
    format!("postgres://store:{password}@127.0.0.1:{port}/{database}")
}

/// The first column of the first row, or nothing.
fn query(config: &Config, sql: &str) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ask = async {
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(sql).await;
        drop(client);
        connection.await.context("the connection's task")??;
        let row = messages?.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(row.unwrap_or_default())
    };
    runtime.block_on(async {
        match tokio::time::timeout(2 * CONNECT_LIMIT, ask).await {
            Ok(answer) => answer,
            Err(_) => bail!("no answer to {sql}"),
        }
    })
}

/// From `postgres (PostgreSQL) 15.18 (Debian ...)`.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().nth(2)?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_version("nothing"), None);
    }
}
