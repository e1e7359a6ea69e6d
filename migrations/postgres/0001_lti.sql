-- LTI 1.3 tool storage. Tables, columns, constraints and indexes are those of @lti-tool/postgresql, so
-- that a database which that package made is taken over as it is, and the package keeps working on it.

CREATE TABLE IF NOT EXISTS {clients} (
    id uuid PRIMARY KEY,
    name varchar(255) NOT NULL,
    iss varchar(255) COLLATE "C" NOT NULL,
    client_id varchar(255) COLLATE "C" NOT NULL,
    auth_url text NOT NULL,
    token_url text NOT NULL,
    jwks_url text NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS {index:iss_client_id_unique} ON {clients} (iss, client_id);

CREATE TABLE IF NOT EXISTS {deployments} (
    id uuid PRIMARY KEY,
    deployment_id varchar(255) COLLATE "C" NOT NULL,
    name varchar(255),
    description text,
    client_id uuid NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS {index:client_deployment_unique} ON {deployments} (client_id, deployment_id);
-- The original's foreign key does not cascade. With it, deleting a client is one atomic statement
-- that a deployment added at the same moment can't slip past.
DO $$
DECLARE
    theirs name;
BEGIN
    FOR theirs IN SELECT conname FROM pg_constraint WHERE contype = 'f'
        AND conrelid = '{deployments}'::regclass AND confrelid = '{clients}'::regclass
    LOOP
        EXECUTE format('ALTER TABLE {deployments} DROP CONSTRAINT %I', theirs);
    END LOOP;
END $$;
ALTER TABLE {deployments} ADD CONSTRAINT {index:deployments_client_id_clients_id_fk}
    FOREIGN KEY (client_id) REFERENCES {clients} (id) ON DELETE CASCADE;

CREATE TABLE IF NOT EXISTS {nonces} (
    nonce varchar(255) COLLATE "C" PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
-- Databases of the original's first versions lack this column, and their nonces count as used, as in
-- the original's own migration.
ALTER TABLE {nonces} ADD COLUMN IF NOT EXISTS used_at timestamptz DEFAULT now();
ALTER TABLE {nonces} ALTER COLUMN used_at DROP DEFAULT;
CREATE INDEX IF NOT EXISTS {index:nonces_expires_at_idx} ON {nonces} (expires_at);

CREATE TABLE IF NOT EXISTS {sessions} (
    id uuid PRIMARY KEY,
    data jsonb NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS {index:sessions_expires_at_idx} ON {sessions} (expires_at);

CREATE TABLE IF NOT EXISTS {registration_sessions} (
    id uuid PRIMARY KEY,
    data jsonb NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS {index:reg_sessions_expires_at_idx} ON {registration_sessions} (expires_at);
