//! MariaDB.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::mysql;
use super::native::{Home, program};
use super::server::{Container, Kind};
use super::supervisor::Supervisor;

const INSTALL_LIMIT: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(super) struct MariaDb;

impl Kind for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn backend(&self) -> &'static str {
        "mysql"
    }

    fn product(&self) -> &'static str {
        "MariaDB"
    }

    fn url_variable(&self) -> &'static str {
        "STORE_TEST_MARIADB_URL"
    }

    fn other_variables(&self) -> &'static [&'static str] {
        &["STORE_TEST_MARIADB_CA"]
    }

    fn container(&self) -> Container {
        Container {
            service: "mariadb",
            image_variable: "MARIADB_IMAGE",
            port_variable: "MARIADB_PORT",
        }
    }

    fn url(&self, port: u16, password: &str) -> String {
        mysql::root_url(port, password)
    }

    fn probe(&self, url: &str) -> Result<Option<String>> {
        mysql::version(url).map(|number| Some(format!("MariaDB {number}")))
    }

    fn installed(&self, _supervisor: &Supervisor) -> Option<PathBuf> {
        program("mariadb-install-db")?;
        program("mariadbd")?.parent().map(Path::to_owned)
    }

    fn packages(&self) -> &'static [&'static str] {
        &["mariadb-server"]
    }

    fn start(&self, supervisor: &Supervisor, binaries: &Path) -> Result<BTreeMap<String, String>> {
        let home = Home::new(supervisor, "mariadb")?;
        let install = program("mariadb-install-db").context("mariadb-install-db is not found")?;
        let mut install = home.command(&install);
        install
            .args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"])
            .arg("--auth-root-authentication-method=normal")
            .arg(format!("--datadir={}", home.path().join("data").display()));
        supervisor.run(&mut install, INSTALL_LIMIT)?;
        let server = binaries.join("mariadbd");
        mysql::serve(supervisor, self, &home, &server, &["--skip-name-resolve"])
    }
}
