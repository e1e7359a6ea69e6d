-- Login sessions with row locks.

CREATE TABLE IF NOT EXISTS {login_sessions} (
    id varchar(255) COLLATE "C" PRIMARY KEY,
    data jsonb NOT NULL,
    expires_at timestamptz NOT NULL,
    version bigint NOT NULL,
    lock_token varchar(64) COLLATE "C",
    locked_until timestamptz
);
CREATE INDEX IF NOT EXISTS {index:login_sessions_expires_at_idx} ON {login_sessions} (expires_at);
