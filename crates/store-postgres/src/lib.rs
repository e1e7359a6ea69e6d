//! Authentication state on PostgreSQL.
