//! A person at a terminal: questions, colours, a spinner, Ctrl-C.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use store::{ManualClock, Settings, Timestamp};

use crate::on_each;
use crate::support::{Place, Run, Server};

pub(crate) fn trials() -> Vec<Trial> {
    let one = [Server::Emulator];
    let each = |name, run| on_each(&one, name, run);
    [
        each("asks before it destroys", asks),
        each("shows a spinner on a terminal", spinner),
        each("obeys NO_COLOR", colours),
        each("stops between batches on Ctrl-C and SIGTERM", interrupted),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A run whose standard input and error are a terminal.
struct Terminal {
    child: Child,
    screen: File,
}

impl Terminal {
    fn run(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let pty = openpty(None, None).unwrap();
        let slave = File::from(pty.slave);
        let child = place
            .command(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env_remove("CI")
            .envs(environment.iter().copied())
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(slave))
            .spawn()
            .unwrap();
        Self {
            child,
            screen: File::from(pty.master),
        }
    }

    /// Waits for the end and tells the code and what the screen showed.
    fn end(mut self) -> (i32, String) {
        let mut shown = Vec::new();
        // When nobody has the terminal open any more, reading fails.
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = self.screen.read(&mut buffer) {
            shown.extend_from_slice(&buffer[..read]);
        }
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (code, String::from_utf8_lossy(&shown).into_owned())
    }
}

fn asks(server: Server) {
    let place = Place::bootstrapped(server);
    let url = "https://lms.example/x";
    let added = place.json(&[
        "clients",
        "add",
        "--name",
        "LMS",
        "--iss",
        "https://lms.example",
        "--client-id",
        "a",
        "--auth-url",
        url,
        "--token-url",
        url,
        "--jwks-url",
        url,
    ]);
    let id = added["client"]["id"].as_str().unwrap();
    let remove = ["clients", "remove", id];
    let mut terminal = Terminal::run(&place, &remove, &[]);
    terminal.screen.write_all(b"n\n").unwrap();
    let (code, shown) = terminal.end();
    assert!(
        code == 1 && shown.contains("Remove the client LMS"),
        "{shown}"
    );
    assert!(
        shown.contains("[y/N]") && shown.contains("nothing was done"),
        "{shown}"
    );

    let terminal = Terminal::run(&place, &remove, &[]);
    std::thread::sleep(Duration::from_millis(500));
    kill(Pid::from_raw(terminal.child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(terminal.end().0, 130);
    place.run(&["clients", "show", id]).said(0, &[]);

    let mut terminal = Terminal::run(&place, &remove, &[]);
    terminal.screen.write_all(b"y\n").unwrap();
    assert_eq!(terminal.end().0, 0);
    place.run(&["clients", "show", id]).said(1, &[]);
}

/// A place with expired nonces.
fn littered(server: Server, nonces: u32) -> Place {
    let place = Place::bootstrapped(server);
    let store = place.store(Settings {
        clock: Arc::new(ManualClock::at(Timestamp::MIN)),
        ..Settings::default()
    });
    place.runtime.block_on(async {
        for number in 0..nonces {
            let nonce = format!("nonce-{number}").parse().unwrap();
            store.store_nonce(&nonce, None).await.unwrap();
        }
    });
    place
}

fn spinner(server: Server) {
    let place = littered(server, 4);
    let cleanup = ["cleanup", "--batch", "1", "--pause", "200ms"];
    let (code, shown) = Terminal::run(&place, &cleanup, &[]).end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("2 deleted, 2 of them nonces"), "{shown}");
    let (_, shown) = Terminal::run(&place, &["cleanup", "--quiet"], &[]).end();
    assert!(shown.is_empty(), "{shown}");
}

fn colours(server: Server) {
    let place = Place::new(server);
    let (code, shown) = Terminal::run(&place, &["clients", "list"], &[]).end();
    assert!(
        code == 1 && shown.contains("\u{1b}[1m\u{1b}[31merror"),
        "{shown:?}"
    );
    let plain = [("NO_COLOR", "1")];
    let (code, shown) = Terminal::run(&place, &["clients", "list"], &plain).end();
    assert!(
        code == 1 && shown.contains("error: ") && !shown.contains('\u{1b}'),
        "{shown:?}"
    );
    let run = place.run(&["clients", "list"]);
    assert!(!run.err.contains('\u{1b}'), "{run:?}");
}

fn interrupted(server: Server) {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let place = littered(server, 4);
        let mut command = place.command(&["cleanup", "--batch", "1", "--pause", "1h", "--json"]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(2));
        let began = Instant::now();
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!(run.code, code, "{run:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(run.err.contains("once more stops at once"), "{run:?}");
        let report = run.json();
        assert_eq!(report["ended"], "interrupted");
        assert_eq!(report["deleted"]["nonces"], 1);
    }
}
