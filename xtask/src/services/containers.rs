//! Servers in containers, as docker-compose.yml describes them.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use regex::Regex;

use super::native::{free_port, password};
use super::record::compose_command;
use super::server::{Container, Kind, Server, Source};
use super::supervisor::{Supervisor, tail};
use super::wait_until_ready;

const FILE: &str = "docker-compose.yml";
/// Engines and the compose front ends to them, in order of preference.
const ENGINES: &[(&str, &[&str])] = &[
    ("docker", &["docker", "compose"]),
    ("docker", &["docker-compose"]),
    ("podman", &["podman", "compose"]),
    ("podman", &["podman-compose"]),
];
const QUICK: Duration = Duration::from_secs(15);
const PULL_LIMIT: Duration = Duration::from_secs(300);
const UP_LIMIT: Duration = Duration::from_secs(60);
const READY_LIMIT: Duration = Duration::from_secs(90);

/// Starts the kind's service and waits until it answers. Also says why a container was taken.
pub(super) fn start(supervisor: &Supervisor, kind: &dyn Kind) -> Result<(Server, String)> {
    let (engine, front_end) = engine(supervisor)?;
    let container = kind.container();
    let image = ensure_image(supervisor, engine, &container)?;

    let file = supervisor.workspace().root().join(FILE);
    let compose: Vec<String> = front_end
        .iter()
        .map(|&word| word.to_owned())
        .chain([
            "-p".to_owned(),
            supervisor.name(),
            "-f".to_owned(),
            file.display().to_string(),
        ])
        .collect();
    supervisor.down_at_end(&compose)?;
    let port = match env::var(container.port_variable) {
        Ok(port) if !port.is_empty() => port
            .parse()
            .with_context(|| format!("{} is not a port", container.port_variable))?,
        _ => free_port()?,
    };
    let password = password()?;
    let mut up = compose_command(&compose);
    up.args(["up", "-d", container.service])
        .env(container.port_variable, port.to_string())
        .env("STORE_PASSWORD", &password);
    supervisor.run(&mut up, UP_LIMIT)?;

    let url = kind.url(port, &password);
    let ready = wait_until_ready(supervisor, kind, &url, READY_LIMIT, || {
        still_runs(supervisor, engine, &compose, container.service)
    });
    let version = ready.or_else(|error| {
        let logs = supervisor.run(
            compose_command(&compose).args(["logs", "--tail", "20", container.service]),
            QUICK,
        );
        let mut remove = compose_command(&compose);
        supervisor.run(
            remove.args(["rm", "-s", "-f", "-v", container.service]),
            UP_LIMIT,
        )?;
        Err(error.context(format!(
            "{image} started, but: {}",
            tail(&logs.unwrap_or_default())
        )))
    })?;
    let server = Server {
        kind: kind.name().to_owned(),
        source: Source::Containers,
        version,
        variables: [(kind.url_variable().to_owned(), url)].into(),
    };
    Ok((
        server,
        format!("`{}` answers, image {image}", front_end.join(" ")),
    ))
}

/// The first engine that answers, with a compose front end to it.
fn engine(supervisor: &Supervisor) -> Result<(&'static str, &'static [&'static str])> {
    let mut refusals = Vec::new();
    for (engine, front_end) in ENGINES {
        // `ps` needs the engine itself, unlike `version` and `info` of some releases.
        let answers = supervisor
            .run(Command::new(engine).args(["ps", "-q"]), QUICK)
            .and_then(|_| {
                let mut version = Command::new(front_end[0]);
                supervisor.run(version.args(&front_end[1..]).arg("version"), QUICK)
            });
        supervisor.check_running()?;
        match answers {
            Ok(_) => return Ok((engine, front_end)),
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    refusals.dedup();
    bail!(
        "no container engine with compose answers ({})",
        refusals.join("; ")
    )
}

/// Pulls the image unless it is there, and returns its name.
fn ensure_image(supervisor: &Supervisor, engine: &str, container: &Container) -> Result<String> {
    let image = match env::var(container.image_variable) {
        Ok(image) if !image.is_empty() => image,
        _ => {
            let path = supervisor.workspace().root().join(FILE);
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            default_image(&text, container.image_variable).with_context(|| {
                format!(
                    "{FILE} has no image: ${{{}:-...}}",
                    container.image_variable
                )
            })?
        }
    };
    if supervisor
        .run(
            Command::new(engine).args(["image", "inspect", &image]),
            QUICK,
        )
        .is_err()
    {
        supervisor.check_running()?;
        eprintln!(
            "services: pulling {image} with {engine}, for at most {} s",
            PULL_LIMIT.as_secs()
        );
        supervisor
            .run(
                Command::new(engine).args(["pull", "--quiet", &image]),
                PULL_LIMIT,
            )
            .with_context(|| format!("the image {image} can't be had"))?;
    }
    Ok(image)
}

/// The image that the compose file takes unless the variable is set.
fn default_image(compose: &str, variable: &str) -> Option<String> {
    let pattern = Regex::new(&format!(r"\$\{{{variable}:-([^}}]+)\}}")).ok()?;
    Some(pattern.captures(compose)?[1].to_owned())
}

fn still_runs(
    supervisor: &Supervisor,
    engine: &str,
    compose: &[String],
    service: &str,
) -> Result<()> {
    let ids = supervisor.run(
        compose_command(compose).args(["ps", "-a", "-q", service]),
        QUICK,
    )?;
    let Some(id) = ids.lines().last() else {
        return Ok(());
    };
    let mut inspect = Command::new(engine);
    let state = supervisor.run(
        inspect.args(["inspect", "-f", "{{.State.Status}}", id]),
        QUICK,
    )?;
    if matches!(state.trim(), "exited" | "dead") {
        bail!("the container has ended");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::default_image;

    #[test]
    fn the_default_image_is_read_from_the_compose_file() {
        let text =
            "    image: ${POSTGRES_IMAGE:-postgres:18}\n    image: ${MYSQL_IMAGE:-mysql:9}\n";
        assert_eq!(
            default_image(text, "MYSQL_IMAGE").as_deref(),
            Some("mysql:9")
        );
        assert_eq!(default_image(text, "OTHER_IMAGE"), None);
    }
}
