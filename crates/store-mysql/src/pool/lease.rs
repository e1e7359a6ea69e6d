//! Connections on loan, and what becomes of them.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Pool, Statement};
use tokio::time::timeout;

use super::turns::Turn;
use super::{GOODBYE, Own};
use crate::queries::Query;

/// An open connection. Goes back to its pool when it is dropped.
pub(super) struct Connection {
    conn: Option<Conn>,
    /// The pool of this connection only, and where to put it.
    pub(super) home: Option<(Pool, Arc<Own>)>,
    /// Of our own pools, how many evictions there had been when it was taken from one.
    pub(super) generation: Option<u64>,
    /// What was prepared since, by the queries' numbers.
    statements: Vec<Option<Statement>>,
}

impl Connection {
    pub(super) fn new(conn: Conn) -> Self {
        Self {
            conn: Some(conn),
            home: None,
            generation: None,
            statements: Vec::new(),
        }
    }

    /// Closes the connection, whatever is under way on it.
    fn close(mut self) {
        self.home = None;
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        // Should the runtime be ending, the pool resets it before anybody else gets it.
        conn.reset_connection(true);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(GOODBYE, conn.disconnect()));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.conn.take());
        if let Some((pool, own)) = self.home.take() {
            let mut idle = own.idle();
            if self.generation == Some(idle.generation) {
                idle.pools.push(pool);
            }
        }
    }
}

/// A connection on loan. Dropped between a request and the end of its answer, or within a transaction,
/// it is closed; otherwise it goes to whoever waits for one, or back to its pool.
pub(crate) struct Lease {
    connection: Option<Connection>,
    /// Whether nothing is under way on it.
    pub(crate) settled: bool,
    turn: Option<Turn>,
}

impl Lease {
    pub(super) fn new(connection: Connection, turn: impl Into<Option<Turn>>) -> Self {
        Self {
            connection: Some(connection),
            settled: true,
            turn: turn.into(),
        }
    }

    /// Whether it is of our own pool, and its session as we set it.
    pub(crate) fn is_own(&self) -> bool {
        let generation = self.connection.as_ref().and_then(|held| held.generation);
        generation.is_some()
    }

    /// A query, prepared on this connection.
    pub(crate) async fn statement(
        &mut self,
        query: &Query,
    ) -> Result<Statement, mysql_async::Error> {
        let connection = self.connection.as_mut().expect("held until it is dropped");
        if let Some(Some(known)) = connection.statements.get(query.number) {
            return Ok(known.clone());
        }
        let conn = connection.conn.as_mut().expect("held until it is dropped");
        let statement = conn.prep(query.sql.as_str()).await?;
        // The driver of an application's pool may keep fewer statements than we have.
        if connection.generation.is_some() {
            if connection.statements.len() <= query.number {
                connection.statements.resize(query.number + 1, None);
            }
            connection.statements[query.number] = Some(statement.clone());
        }
        Ok(statement)
    }

    /// Closes the connection and keeps the leave to have another.
    pub(super) fn give_up(mut self) -> Option<Turn> {
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
        self.turn.take()
    }
}

impl Deref for Lease {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        let conn = self.connection.as_ref().and_then(|held| held.conn.as_ref());
        conn.expect("held until it is dropped")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Conn {
        let conn = self.connection.as_mut().and_then(|held| held.conn.as_mut());
        conn.expect("held until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match (self.connection.take(), &mut self.turn) {
            (Some(connection), _) if !self.settled => connection.close(),
            // An application's own pool has others who wait for it.
            (Some(connection), Some(turn)) if connection.generation.is_some() => {
                turn.connection = Some(connection);
            }
            _ => {}
        }
    }
}
