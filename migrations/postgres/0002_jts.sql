-- JTS sessions, in the columns of the npm family's adapters.

CREATE TABLE IF NOT EXISTS {jts_sessions} (
    aid varchar(64) COLLATE "C" PRIMARY KEY,
    prn varchar(256) COLLATE "C" NOT NULL,
    current_state_proof varchar(256) COLLATE "C" NOT NULL,
    previous_state_proof varchar(256) COLLATE "C",
    state_proof_version integer DEFAULT 1,
    rotation_timestamp timestamptz,
    device_fingerprint varchar(128),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_active timestamptz NOT NULL DEFAULT now(),
    user_agent text,
    ip_address varchar(45),
    metadata jsonb
);
CREATE INDEX IF NOT EXISTS {index:jts_sessions:prn} ON {jts_sessions} (prn);
CREATE INDEX IF NOT EXISTS {index:jts_sessions:current_sp} ON {jts_sessions} (current_state_proof);
CREATE INDEX IF NOT EXISTS {index:jts_sessions:previous_sp} ON {jts_sessions} (previous_state_proof);
CREATE INDEX IF NOT EXISTS {index:jts_sessions:expires} ON {jts_sessions} (expires_at);

-- What makes the replay of any older proof recognisable: SHA-256 of each proof retired before the
-- previous one. The rows live and die with their session.
CREATE TABLE IF NOT EXISTS {jts_retired_state_proofs} (
    -- Without a collation of its own it joins with either kind of table, ours or an adopted one.
    aid varchar(64) NOT NULL REFERENCES {jts_sessions} (aid) ON DELETE CASCADE,
    state_proof_version integer NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (aid, state_proof_version)
);
CREATE INDEX IF NOT EXISTS {index:jts_retired_state_proofs:digest} ON {jts_retired_state_proofs} (digest);
