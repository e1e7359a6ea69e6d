//! Servers that are not there, or refuse: what is said, and that no password is.

use libtest_mimic::Trial;

use crate::support::{Place, Run, Server, storectl};
use crate::{alone, on_each};

pub(crate) fn trials() -> Vec<Trial> {
    let sql = [Server::Postgres, Server::MySql, Server::MariaDb];
    let mut trials = vec![
        alone("an unreachable server", unreachable),
        alone("a server that accepts and is silent", silent),
    ];
    trials.extend(on_each(&sql, "refuses a wrong password", wrong_password));
    trials.extend(on_each(&sql, "has no such database", no_database));
    trials.extend(on_each(&sql, "lets nobody create tables", no_rights));
    trials.extend(on_each(&Server::ALL, "has no tables", no_tables));
    trials
}

const SCHEMES: [(&str, &str); 3] = [
    ("postgres://u:hunter2@ADDRESS/db", "Connection refused"),
    ("mysql://u:hunter2@ADDRESS/db", "Connection refused"),
    (
        "dynamodb://eu-west-1?endpoint=http://ADDRESS",
        "DynamoDB can't be reached",
    ),
];

fn at(url: &str, address: &str, arguments: &[&str]) -> Run {
    let run = Run::of(
        storectl(arguments)
            .env("STORE_URL", url.replace("ADDRESS", address))
            .env("AWS_SECRET_ACCESS_KEY", "hunter2"),
    );
    run.keeps("hunter2");
    run
}

fn unreachable() {
    for (url, said) in SCHEMES {
        let run = at(url, "127.0.0.1:1", &["health"]);
        run.said(
            1,
            &[
                said,
                "store: ",
                "127.0.0.1:1",
                "next: ",
                "`storectl health` tells",
            ],
        );
        assert!(run.out.is_empty());
        let run = at(url, "127.0.0.1:1", &["clients", "list", "--json"]);
        let error = &run.json()["error"];
        assert_eq!(
            (&error["kind"], &error["retryable"]),
            (&"unavailable".into(), &true.into())
        );
        assert!(run.err.is_empty(), "{run:?}");
    }
}

fn silent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for (url, _) in SCHEMES {
        let run = at(url, &address, &["health", "--timeout", "300ms"]);
        run.said(1, &["not done after 300ms", "--timeout"]);
    }
    let run = at(
        "postgres://u:hunter2@ADDRESS/db?connect_timeout=1",
        &address,
        &["health"],
    );
    run.said(1, &["did not accept a connection in time"]);
}

fn wrong_password(server: Server) {
    let place = Place::new(server);
    let url = place.url.replace(&place.password, "wrong-hunter2");
    let run = Run::of(storectl(&["status"]).env("STORE_URL", url));
    run.said(
        1,
        &[
            "permission denied",
            &place.name,
            "check user",
            "next: ",
            "mend the URL",
        ],
    );
    run.keeps("hunter2");
}

fn no_database(server: Server) {
    let place = Place::new(server);
    let (base, _) = place.url.rsplit_once('/').unwrap();
    let run = Run::of(storectl(&["status"]).env("STORE_URL", format!("{base}/nowhere")));
    run.keeps(&place.password);
    // MySQL tells only those who may use it that a database is not there.
    let said = match server {
        Server::Postgres => "create the database as its administrator",
        _ => "permission denied",
    };
    run.said(1, &["nowhere", said]);
}

fn no_rights(server: Server) {
    let place = Place::new(server);
    let name = &place.name;
    match server {
        Server::Postgres => place.administer(&[
            &format!("ALTER SCHEMA {name} OWNER TO CURRENT_USER"),
            &format!("GRANT USAGE ON SCHEMA {name} TO {name}"),
        ]),
        _ => place.administer(&[
            &format!("REVOKE ALL ON {name}.* FROM '{name}'@'%'"),
            &format!("GRANT SELECT ON {name}.* TO '{name}'@'%'"),
        ]),
    }
    place
        .run(&["bootstrap"])
        .said(1, &["permission denied", "storectl bootstrap --print"]);
}

fn no_tables(server: Server) {
    let place = Place::new(server);
    place
        .run(&["clients", "list"])
        .said(1, &["schema missing", "run `storectl bootstrap`"]);
    let run = place.run(&["cleanup", "--json"]);
    assert_eq!(run.json()["error"]["kind"], "schema_missing", "{run:?}");
    place
        .run(&["status"])
        .said(3, &["pending", "not current: run `storectl bootstrap`"]);
}
