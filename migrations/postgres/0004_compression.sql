-- Payloads are compressed with lz4 from now on, which costs the server less than its default. Rows that
-- are there already stay as they are, and readable. Servers before 14, and those built without lz4, go
-- on with their default.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE {sessions} ALTER COLUMN data SET COMPRESSION lz4';
    EXECUTE 'ALTER TABLE {login_sessions} ALTER COLUMN data SET COMPRESSION lz4';
EXCEPTION
    WHEN syntax_error OR feature_not_supported THEN NULL;
END $$;
