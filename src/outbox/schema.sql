-- The control plane's own schema, on every shard. Run as the service role, in one transaction, under an advisory lock.
CREATE SCHEMA IF NOT EXISTS shardloom;
REVOKE CREATE ON SCHEMA shardloom FROM PUBLIC;
CREATE TABLE IF NOT EXISTS shardloom.version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version integer NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE SEQUENCE IF NOT EXISTS shardloom.commit_seq CACHE 1;
CREATE TABLE IF NOT EXISTS shardloom.ledger (
    txid bigint PRIMARY KEY,
    xid xid8,
    commit_seq bigint,
    state text NOT NULL CHECK (state IN ('OPEN', 'ATTENTION', 'DONE', 'ABORTED')),
    mode text NOT NULL,
    kind text NOT NULL,
    targets text[] NOT NULL DEFAULT '{}',
    copies text[] NOT NULL DEFAULT '{}',
    payload json,
    environment json,
    home_rows bigint NOT NULL DEFAULT 0,
    captured_rows bigint NOT NULL DEFAULT 0,
    proxy text,
    username text,
    rule_version text,
    on_dead text NOT NULL DEFAULT 'park_key',
    business_key text,
    idempotency_key text,
    trace_id text,
    -- Never granted for INSERT: a redo runs as the role that really wrote the row.
    acting_role text NOT NULL DEFAULT current_user,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz);
-- Each row is written once more, when it is finished: on its own page, so that no index learns of it.
ALTER TABLE shardloom.ledger SET (fillfactor = 50);
CREATE INDEX IF NOT EXISTS ledger_commit_seq ON shardloom.ledger (commit_seq);
CREATE INDEX IF NOT EXISTS ledger_xid ON shardloom.ledger (xid) WHERE copies <> '{}';
CREATE TABLE IF NOT EXISTS shardloom.ledger_target (
    txid bigint NOT NULL,
    target text NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    expected_rows bigint,
    affected_rows bigint,
    drift boolean NOT NULL DEFAULT false,
    last_sqlstate text,
    last_error text,
    next_attempt_at timestamptz,
    applied_at timestamptz,
    keys text[] NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (txid, target));
CREATE INDEX IF NOT EXISTS ledger_target_stuck ON shardloom.ledger_target (target)
    WHERE state IN ('DEAD', 'PARKED', 'BLOCKED');
CREATE TABLE IF NOT EXISTS shardloom.outbox (
    seq bigserial PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    relation text NOT NULL,
    op text NOT NULL,
    old_rows text[] NOT NULL,
    new_rows text[] NOT NULL,
    row_count bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp());
-- Only shardloom's own functions write here, and a check costs a fifth of what capturing a row does.
ALTER TABLE shardloom.outbox DROP CONSTRAINT IF EXISTS outbox_op_check;
-- It is empty again and again: plans that are made for one page then are of no use a second later.
ALTER TABLE shardloom.outbox SET (vacuum_truncate = off);
CREATE INDEX IF NOT EXISTS outbox_xid ON shardloom.outbox (xid, seq);
-- What a row of the kind barrier measures on its way. Behind the outbox: clients' transactions take locks in this order.
ALTER TABLE shardloom.ledger ADD COLUMN IF NOT EXISTS barrier text;
-- Which transaction has used a client's key: written with the decision, on the shard that decides.
CREATE TABLE IF NOT EXISTS shardloom.idempotency (
    -- Never granted for INSERT: nobody takes keys in another role's name.
    owner text NOT NULL DEFAULT current_user,
    username text NOT NULL,
    key text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    statement_hash text,
    command_tag text NOT NULL,
    txid bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner, username, key));
CREATE INDEX IF NOT EXISTS idempotency_created_at ON shardloom.idempotency (created_at);
CREATE TABLE IF NOT EXISTS shardloom.inbox (
    txid bigint NOT NULL,
    home text NOT NULL,
    -- One transaction may concern a target twice: by commands, which the client path runs, and by row images.
    part text NOT NULL DEFAULT 'command' CHECK (part IN ('command', 'image')),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (txid, home, part));
-- Rows come in the order of time: next to nothing to keep, and the newest are found at once.
CREATE INDEX IF NOT EXISTS inbox_applied_at ON shardloom.inbox USING brin (applied_at) WITH (autosummarize = on);
-- What this shard's copy of a table was like when a barrier passed.
CREATE TABLE IF NOT EXISTS shardloom.barrier (
    txid bigint NOT NULL,
    home text NOT NULL,
    measured text NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (txid, home));
CREATE TABLE IF NOT EXISTS shardloom.lane (
    home text PRIMARY KEY,
    epoch bigint NOT NULL,
    applied_seq bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS shardloom.lease (
    name text PRIMARY KEY,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS shardloom.worker_lease (
    worker integer PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    reserved_until bigint NOT NULL);
CREATE TABLE IF NOT EXISTS shardloom.dead_letter (
    txid bigint NOT NULL,
    target text NOT NULL,
    keys text[] NOT NULL DEFAULT '{}',
    sqlstate text,
    error text NOT NULL,
    error_group text NOT NULL,
    died_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    resolution text,
    PRIMARY KEY (txid, target));
-- Transactions that were taken back by what their tables declare, or could not be yet.
CREATE TABLE IF NOT EXISTS shardloom.compensation (
    txid bigint PRIMARY KEY,
    compensated_by bigint,
    state text NOT NULL CHECK (state IN ('DONE', 'FAILED')),
    attempts integer NOT NULL DEFAULT 0,
    sqlstate text,
    error text,
    actor text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    next_attempt_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
-- Shards to which this home replays nothing, at an operator's word.
CREATE TABLE IF NOT EXISTS shardloom.paused_target (
    target text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''));
-- Statements that run shard by shard, each shard by itself: written before the first one is touched.
CREATE TABLE IF NOT EXISTS shardloom.ddl (
    id bigint NOT NULL,
    shard text NOT NULL,
    statement text NOT NULL,
    username text NOT NULL,
    proxy text NOT NULL,
    state text NOT NULL CHECK (state IN ('PENDING', 'RUNNING', 'DONE', 'FAILED')),
    sqlstate text,
    error text,
    leftover text[] NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (id, shard));
CREATE TABLE IF NOT EXISTS shardloom.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    verb text NOT NULL,
    subject text NOT NULL,
    before text,
    after text,
    reason text NOT NULL CHECK (reason <> ''));
CREATE TABLE IF NOT EXISTS shardloom.id_layout (
    name text PRIMARY KEY,
    epoch_ms bigint NOT NULL,
    time_bits integer NOT NULL,
    tag_bits integer NOT NULL,
    worker_bits integer NOT NULL,
    sequence_bits integer NOT NULL);
-- Whether the second field is a bucket: unknown of what came before version 8. Ids may have been made in all of those.
ALTER TABLE shardloom.id_layout ADD COLUMN IF NOT EXISTS has_bucket boolean;
ALTER TABLE shardloom.id_layout ADD COLUMN IF NOT EXISTS used boolean NOT NULL DEFAULT true;
CREATE TABLE IF NOT EXISTS shardloom.id_column (
    table_name text PRIMARY KEY,
    layout text NOT NULL);
CREATE TABLE IF NOT EXISTS shardloom.id_tag (
    code integer PRIMARY KEY,
    name text NOT NULL);

CREATE TABLE IF NOT EXISTS shardloom.id_segment (
    name text PRIMARY KEY,
    next_id bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp());

-- Proxies that came before version 6 count by it until they end.
CREATE OR REPLACE FUNCTION shardloom.captured_rows() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ BEGIN
    RETURN (SELECT coalesce(sum(row_count), 0)::bigint FROM shardloom.outbox WHERE xid = pg_current_xact_id_if_assigned());
END $$;

CREATE OR REPLACE FUNCTION shardloom.next_id(tag text, id bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT $2 $$;

CREATE OR REPLACE FUNCTION shardloom.next_id(tag text) RETURNS bigint LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'shardloom.next_id works only through the proxy'
   USING ERRCODE = 'feature_not_supported', HINT = 'Connect to the proxy; it makes the id and puts it in.'; END $$;

CREATE OR REPLACE FUNCTION shardloom.txn_status(txid bigint) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'shardloom.txn_status works only through the proxy, as a statement by itself'
   USING ERRCODE = 'feature_not_supported', HINT = 'SELECT shardloom.txn_status(txid)'; END $$;

CREATE OR REPLACE FUNCTION shardloom.wait_for(txid bigint, time_to_wait text DEFAULT NULL) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'shardloom.wait_for works only through the proxy, as a statement by itself'
   USING ERRCODE = 'feature_not_supported', HINT = 'SELECT shardloom.wait_for(txid, ''2s'')'; END $$;

CREATE OR REPLACE FUNCTION shardloom.decode_id(id bigint, layout text DEFAULT 'standard',
    OUT issued_at timestamptz, OUT tag integer, OUT worker integer, OUT sequence integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ DECLARE l shardloom.id_layout;
BEGIN
    SELECT known.* INTO l FROM shardloom.id_layout known LEFT JOIN shardloom.id_column c ON c.layout = known.name
        AND decode_id.layout IN (c.table_name, 'public.' || c.table_name)
        WHERE known.name = decode_id.layout OR c.layout IS NOT NULL ORDER BY known.name = decode_id.layout DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no id layout "%", and no table of that name whose ids have one', layout USING ERRCODE = 'undefined_object',
            HINT = 'Layouts are declared in the Ids rule file, tables'' ids in their table group.';
    END IF;
    IF id < 0 OR (id >> l.sequence_bits >> l.worker_bits >> l.tag_bits >> l.time_bits) > 0 THEN
        RAISE EXCEPTION '% is no id of the layout "%"', id, layout USING ERRCODE = 'invalid_parameter_value';
    END IF;
    issued_at := to_timestamp((l.epoch_ms + (id >> (l.tag_bits + l.worker_bits + l.sequence_bits))) / 1000.0);
    tag := (id >> (l.worker_bits + l.sequence_bits)) & ((1::bigint << l.tag_bits) - 1);
    worker := (id >> l.sequence_bits) & ((1::bigint << l.worker_bits) - 1);
    sequence := id & ((1::bigint << l.sequence_bits) - 1);
END $$;

-- Row images as text: json_populate_record reads them back on the copies, by column name. The settings make the
-- text independent of the client's session.
CREATE OR REPLACE FUNCTION shardloom.capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD'
SET IntervalStyle = 'postgres' SET TimeZone = 'UTC' SET extra_float_digits = '1' SET bytea_output = 'hex'
SET lc_monetary = 'C' AS
$$ DECLARE before text[] := '{}'; after text[] := '{}'; n bigint := 0;
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        SELECT coalesce(array_agg(row_to_json(shardloom_old.*)::text), '{}') INTO before FROM shardloom_old;
        n := cardinality(before);
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        SELECT coalesce(array_agg(row_to_json(shardloom_new.*)::text), '{}') INTO after FROM shardloom_new;
        n := cardinality(after);
    END IF;
    IF n > 0 OR TG_OP = 'TRUNCATE' THEN
        INSERT INTO shardloom.outbox (relation, op, old_rows, new_rows, row_count)
        VALUES (format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME), TG_OP, before, after, greatest(n, 1));
    END IF;
    RETURN NULL;
END $$;

-- What it captures is applied with the service role's rights: only that role may make triggers of it.
REVOKE EXECUTE ON FUNCTION shardloom.capture() FROM PUBLIC;

-- What the columns were of a reference table's rows that this transaction has changed or deleted: one JSON object each.
CREATE OR REPLACE FUNCTION shardloom.written_keys(parent text, columns text[]) RETURNS SETOF json
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT (SELECT json_object_agg(c, i.image::json -> c) FROM unnest(columns) c)
   FROM shardloom.outbox o CROSS JOIN LATERAL unnest(o.old_rows) AS i (image)
   WHERE o.xid = pg_current_xact_id_if_assigned() AND o.op IN ('UPDATE', 'DELETE')
     AND o.relation = (SELECT format('%I.%I', n.nspname, r.relname) FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
                       WHERE r.oid = to_regclass(parent)) $$;

CREATE OR REPLACE FUNCTION shardloom.guard() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'table "%" is a copy of a reference table and takes no direct writes', TG_TABLE_NAME
   USING ERRCODE = 'insufficient_privilege',
         HINT = 'Write it through the proxy, or on shard ' || TG_ARGV[0] || ', its home.'; END $$;

CREATE OR REPLACE FUNCTION shardloom.keep_bucket() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the keys in lookup table "%" keep their buckets: rows with them would not be found', TG_TABLE_NAME
   USING ERRCODE = 'object_not_in_prerequisite_state',
         HINT = 'Add keys, and leave those that are there. To move a key with its rows see docs/rules.md, lookup.'; END $$;

CREATE OR REPLACE FUNCTION shardloom.refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'reference table "%" cannot be copied to the other shards: %', TG_TABLE_NAME, TG_ARGV[0]
   USING ERRCODE = 'feature_not_supported', HINT = 'Give it a primary key, then reload the rules.'; END $$;
