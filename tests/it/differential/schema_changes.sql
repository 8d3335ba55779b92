CREATE TABLE later (id bigint PRIMARY KEY, n int)

CREATE TABLE later (id bigint)

CREATE TABLE IF NOT EXISTS later (id bigint)

INSERT INTO later VALUES (1, 1), (2, 2), (3, 3), (4, 4)

SELECT * FROM later ORDER BY id

ALTER TABLE later ADD COLUMN t text DEFAULT 'd'

SELECT * FROM later ORDER BY id

INSERT INTO later VALUES (5, 5, 'five')

INSERT INTO later (id) VALUES (6), (7), (8) RETURNING *

ALTER TABLE later ADD COLUMN t text

ALTER TABLE later ALTER COLUMN n TYPE bigint

SELECT sum(n) FROM later

ALTER TABLE later RENAME COLUMN t TO label

SELECT label FROM later ORDER BY id

ALTER TABLE later DROP COLUMN label

SELECT * FROM later ORDER BY id

ALTER TABLE later ADD CONSTRAINT positive CHECK (n > 0)

INSERT INTO later VALUES (9, -1)

ALTER TABLE later ADD CONSTRAINT small CHECK (n < 3)

ALTER TABLE later DROP CONSTRAINT positive

ALTER TABLE nowhere ADD COLUMN x int

ALTER TABLE IF EXISTS nowhere ADD COLUMN x int

CREATE INDEX later_n ON later (n)

CREATE INDEX later_n ON later (n)

CREATE INDEX IF NOT EXISTS later_n ON later (n)

DROP INDEX later_n

DROP INDEX later_n

DROP INDEX IF EXISTS later_n

CREATE UNIQUE INDEX later_u ON later (id, n)

ALTER INDEX later_u RENAME TO later_v

REINDEX INDEX later_v

REINDEX TABLE later

DROP INDEX later_v

CREATE INDEX CONCURRENTLY later_c ON later (n)

DROP INDEX CONCURRENTLY later_c

CREATE INDEX CONCURRENTLY later_c ON later (nothing)

COMMENT ON TABLE later IS 'a comment'

COMMENT ON COLUMN later.n IS 'a comment'

VACUUM later

VACUUM (ANALYZE) later

VACUUM

ANALYZE later

ANALYZE

ANALYZE nowhere

TRUNCATE later

SELECT count(*) FROM later

INSERT INTO later (id) VALUES (1), (2), (3)

TRUNCATE TABLE later, empty

SELECT count(*) FROM later

TRUNCATE nowhere

LOCK TABLE later

--: simple
BEGIN; INSERT INTO later (id) VALUES (1), (2), (3); TRUNCATE later; ROLLBACK

SELECT count(*) FROM later

--: simple
BEGIN; ALTER TABLE later ADD COLUMN z int; INSERT INTO later (id, z) VALUES (1, 1), (2, 2); SELECT * FROM later ORDER BY id; ROLLBACK

SELECT * FROM later ORDER BY id

--: simple
BEGIN; LOCK TABLE later IN SHARE MODE; COMMIT

BEGIN

CREATE INDEX CONCURRENTLY x ON later (n)

ROLLBACK

BEGIN

VACUUM later

ROLLBACK

DROP TABLE later

DROP TABLE later

DROP TABLE IF EXISTS later

SELECT * FROM later

-- Single and unlisted tables
CREATE INDEX settings_v ON settings (value)

DROP INDEX settings_v

CREATE INDEX audit_w ON audit (what)

CREATE INDEX audit_w ON audit (what)

ALTER INDEX audit_w RENAME TO audit_x

DROP INDEX audit_x

DROP INDEX audit_x

CREATE INDEX loose_w ON loose (what)

ALTER INDEX loose_w RENAME TO loose_x

REINDEX INDEX loose_x

DROP INDEX loose_x

ALTER TABLE audit ADD COLUMN more int

SELECT * FROM audit

ALTER TABLE loose ADD COLUMN more int

SELECT * FROM loose ORDER BY id

TRUNCATE audit

SELECT * FROM audit

TRUNCATE settings

SELECT * FROM settings

VACUUM settings

ANALYZE audit

-- What fills rows that are there
ALTER TABLE customers ADD COLUMN made timestamptz NOT NULL DEFAULT now(), ADD note text DEFAULT 'x, y' COLLATE "C"

SELECT count(DISTINCT made), count(*) > 3, min(note) FROM customers

INSERT INTO customers (customer_id, name) VALUES (9001, 'late')

SELECT count(DISTINCT made) FROM customers

ALTER TABLE customers ADD COLUMN IF NOT EXISTS made timestamptz DEFAULT now()

BEGIN

ALTER TABLE customers ADD COLUMN "a Day" date DEFAULT (CURRENT_DATE - 1), ADD local timestamp(3) DEFAULT localtimestamp, ADD ok bool DEFAULT true

SELECT count(*) FROM customers WHERE "a Day" <> current_date - 1 OR abs(extract(epoch FROM local - localtimestamp)) > 5

ALTER TABLE customers ALTER COLUMN made SET DATA TYPE date USING (now() - interval '1 day')::date

SELECT DISTINCT made = current_date - 1 FROM customers

INSERT INTO customers (customer_id) VALUES (9002)

SELECT "a Day" = current_date - 1, local IS NULL, ok, note FROM customers WHERE customer_id = 9002

ROLLBACK

ALTER TABLE customers ADD COLUMN token uuid DEFAULT gen_random_uuid(), ADD who text DEFAULT current_user

SELECT count(DISTINCT token) = count(*), count(DISTINCT who) FROM customers

--: refused 0A000
ALTER TABLE customers ADD COLUMN number bigserial

--: refused 0A000
ALTER TABLE customers ADD COLUMN number int GENERATED ALWAYS AS IDENTITY

--: refused 0A000
ALTER TABLE customers ADD COLUMN moment timestamptz DEFAULT statement_timestamp()

--: refused 0A000
ALTER TABLE customers ADD COLUMN moment timestamptz DEFAULT 'now'

--: refused 0A000
ALTER TABLE customers ADD COLUMN moment timestamptz DEFAULT now(), ALTER COLUMN moment SET STATISTICS 5

ALTER TABLE customers DROP COLUMN made, DROP COLUMN note, DROP COLUMN token, DROP COLUMN who

DELETE FROM customers WHERE customer_id = 9001

ALTER TABLE loose ADD COLUMN moment timestamptz DEFAULT statement_timestamp(), ADD COLUMN number serial

SELECT count(DISTINCT moment), max(number) = count(*) FROM loose

ALTER TABLE loose DROP COLUMN moment, DROP COLUMN number

-- Reference tables
ALTER TABLE regions ADD COLUMN more int DEFAULT 5

SELECT * FROM regions ORDER BY region_id

CREATE INDEX regions_n ON regions (name)

DROP INDEX regions_n

TRUNCATE regions

SELECT * FROM regions

SELECT c.customer_id, r.name FROM customers c LEFT JOIN regions r ON r.region_id = c.region ORDER BY 1

INSERT INTO regions VALUES (1, 'again')

SELECT c.customer_id, r.name FROM customers c JOIN regions r ON r.region_id = c.region ORDER BY 1

--: refused 0A000
TRUNCATE regions, audit

VACUUM regions

ANALYZE regions

-- Views, sequences, types, functions, schemas
CREATE VIEW cheap AS SELECT * FROM loose WHERE id < 2

SELECT * FROM cheap

CREATE OR REPLACE VIEW cheap AS SELECT * FROM loose WHERE id < 3

SELECT * FROM cheap ORDER BY id

DROP VIEW cheap

DROP VIEW cheap

CREATE VIEW over_shards AS SELECT * FROM customers

SELECT count(*) FROM over_shards

COMMENT ON VIEW over_shards IS 'all of them'

ALTER VIEW over_shards RENAME TO all_over

SELECT customer_id FROM all_over ORDER BY 1 LIMIT 3

DROP VIEW all_over

CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM loose

REFRESH MATERIALIZED VIEW counted

SELECT * FROM counted

DROP MATERIALIZED VIEW counted

CREATE TABLE copied AS SELECT * FROM loose

SELECT * FROM copied ORDER BY id

DROP TABLE copied

-- A table made of what other shards have
CREATE TABLE copied AS SELECT * FROM customers

SELECT * FROM copied ORDER BY customer_id

SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = 'copied' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum

CREATE TABLE copied AS SELECT 1 FROM customers

CREATE TABLE IF NOT EXISTS copied AS SELECT 1 FROM customers

DROP TABLE copied

CREATE TABLE copied (k, n, "Sum") AS (SELECT region, count(*), sum(balance) FROM customers GROUP BY region) WITH DATA

SELECT * FROM copied ORDER BY k

SELECT c.name, k.n FROM customers c JOIN copied k ON k.k = c.region ORDER BY c.customer_id

DROP TABLE copied

CREATE TABLE copied AS WITH x AS (SELECT customer_id, row_number() OVER (ORDER BY amount DESC NULLS LAST, customer_id) AS place FROM orders) SELECT x.place, c.name::varchar(7), c.balance::numeric(20, 4) FROM x JOIN customers c USING (customer_id) WHERE place <= 3 WITH NO DATA

SELECT * FROM copied

SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = 'copied' AND a.attnum > 0 ORDER BY a.attnum

DROP TABLE copied

CREATE UNLOGGED TABLE copied WITH (fillfactor = 70) AS TABLE orders

SELECT count(*), sum(amount) FROM copied

DROP TABLE copied

CREATE TABLE copied AS SELECT * FROM facts

SELECT * FROM copied ORDER BY id

DROP TABLE copied

CREATE TABLE copied AS (TABLE orders)

SELECT count(*) FROM copied

DROP TABLE copied

CREATE TABLE copied AS (TABLE orders) UNION ALL ((SELECT * FROM orders))

SELECT count(*) FROM copied

DROP TABLE copied

CREATE TABLE copied AS (VALUES (1::bigint), (77)) UNION ALL SELECT customer_id FROM orders

SELECT count(*), sum(column1) FROM copied

DROP TABLE copied

CREATE TABLE copied (k) AS ((WITH w AS (TABLE orders) SELECT customer_id FROM w)) WITH DATA

SELECT count(*), sum(k) FROM copied

DROP TABLE copied

CREATE TABLE copied (a int, b int GENERATED ALWAYS AS (a * 2) STORED)

INSERT INTO copied (a) VALUES (4)

SELECT * FROM copied

DROP TABLE copied

CREATE TABLE copied AS SELECT 1 / (customer_id - customer_id) AS n FROM customers WITH NO DATA

SELECT * FROM copied

DROP TABLE copied

--: refused 0A000
(SELECT * INTO copied FROM orders)

--: refused 0A000
CREATE TABLE copied AS SELECT ts::timestamp(2) FROM facts

--: refused 0A000
CREATE TABLE copied AS SELECT ARRAY[name]::varchar(7)[] FROM customers

--: refused 0A000
CREATE TABLE copied AS SELECT name::name FROM customers

SELECT customer_id AS into FROM orders ORDER BY 1

SELECT o.into INTO copied FROM (SELECT customer_id AS into FROM orders) o

SELECT * FROM copied ORDER BY 1

DROP TABLE copied

SELECT customer_id, name INTO copied FROM customers WHERE customer_id IN (1, 2, 9) ORDER BY 1

SELECT * FROM copied ORDER BY 1

DROP TABLE copied

SELECT customer_id, count(*) AS n INTO UNLOGGED copied FROM orders GROUP BY customer_id HAVING count(*) > 1

SELECT * FROM copied ORDER BY 1

DROP TABLE copied

CREATE TABLE copied AS SELECT customer_id FROM customers WHERE customer_id = 4

SELECT * FROM copied

DROP TABLE copied

CREATE TABLE copied AS SELECT name, name FROM customers

CREATE TABLE nowhere.copied AS SELECT name FROM customers

CREATE TABLE copied AS SELECT nothing FROM customers

BEGIN

CREATE TABLE copied AS SELECT customer_id FROM orders WHERE amount > 5

SELECT count(*) FROM copied

ROLLBACK

SELECT * FROM copied

--: with 5
CREATE TABLE copied AS SELECT customer_id, $1::int AS five FROM customers WHERE customer_id > $1

--: refused 0A000
CREATE TABLE later AS SELECT customer_id AS id FROM customers

--: refused 0A000
CREATE TABLE copied AS SELECT customer_id FROM customers FOR UPDATE

BEGIN

CREATE TEMP TABLE mine ON COMMIT DROP AS SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id

SELECT * FROM mine WHERE total > 10 ORDER BY 1

UPDATE mine SET total = 0 WHERE customer_id < 5

SELECT * FROM mine ORDER BY 1

COMMIT

CREATE TABLE alike (LIKE loose)

INSERT INTO alike VALUES (1)

DROP TABLE alike

CREATE SEQUENCE steps START 5

SELECT nextval('steps')

SELECT nextval('steps'), lastval(), currval('steps')

ALTER SEQUENCE steps RESTART

SELECT nextval('steps')

CREATE TABLE stepped (id int DEFAULT nextval('steps'), what text)

INSERT INTO stepped (what) VALUES ('a'), ('b') RETURNING id

DROP TABLE stepped

DROP SEQUENCE steps

DROP SEQUENCE steps

CREATE TABLE serials (id serial PRIMARY KEY, what text)

INSERT INTO serials (what) VALUES ('a'), ('b') RETURNING *

DROP TABLE serials

CREATE TYPE mood AS ENUM ('sad', 'happy')

CREATE TABLE later (id bigint PRIMARY KEY, m mood)

INSERT INTO later VALUES (1, 'sad'), (2, 'happy'), (3, 'happy')

SELECT id, m FROM later ORDER BY id

SELECT id, m FROM later ORDER BY m, id

SELECT m, count(*) FROM later GROUP BY m

INSERT INTO later VALUES (4, 'angry')

ALTER TYPE mood ADD VALUE 'angry'

INSERT INTO later VALUES (4, 'angry'), (5, 'angry')

SELECT id FROM later WHERE m = 'angry' ORDER BY id

DROP TYPE mood

DROP TABLE later

DROP TYPE mood

CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'

SELECT twice(4)

SELECT twice(age) FROM customers WHERE customer_id = 1

DROP FUNCTION twice(int)

CREATE SCHEMA corner

CREATE TABLE corner.t (id int)

INSERT INTO corner.t VALUES (1)

SELECT * FROM corner.t

DROP SCHEMA corner

DROP SCHEMA corner CASCADE

CREATE TABLE corner.t (id int)

CREATE DOMAIN positive AS int CHECK (VALUE > 0)

SELECT 1::positive

SELECT (-1)::positive

DROP DOMAIN positive

DROP TABLE empty, items

SELECT * FROM empty

CREATE TEMP TABLE scratch (id int)

INSERT INTO scratch VALUES (1), (2)

SELECT * FROM scratch ORDER BY id

DROP TABLE scratch

GRANT SELECT ON customers TO PUBLIC

REVOKE SELECT ON customers FROM PUBLIC

-- Migrations wrap what may be there already in a block
DO 'BEGIN CREATE TYPE public.wrapped AS ENUM (''a'', ''b''); EXCEPTION WHEN duplicate_object THEN null; END'

DO $$ BEGIN CREATE TYPE public.wrapped AS ENUM ('a', 'b'); EXCEPTION WHEN duplicate_object THEN null; END $$

DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_type WHERE typname = 'wrapped') THEN CREATE TYPE wrapped AS ENUM ('c'); END IF; END $$

DO $$ BEGIN EXECUTE 'ALTER TYPE wrapped RENAME VALUE ''b'' TO ''c'''; END $$

BEGIN

DO $$ BEGIN ALTER TABLE strict ADD CONSTRAINT wrapped CHECK (n < 1000); EXCEPTION WHEN duplicate_object THEN null; END $$

DO $$ BEGIN ALTER TABLE strict ADD CONSTRAINT wrapped CHECK (n < 1000); EXCEPTION WHEN duplicate_object THEN null; END $$

COMMIT

SELECT 'c'::wrapped, count(*) FROM customers WHERE customer_id IN (1, 2, 3, 4, 5) GROUP BY 1

INSERT INTO strict VALUES (901, 1001)

INSERT INTO strict VALUES (902, 1001)

INSERT INTO strict VALUES (903, 1001)

DO $$ BEGIN DROP INDEX IF EXISTS nothing_is_named_so; END $$

--: refused 0A000
DO $$ BEGIN ALTER TABLE strict DROP CONSTRAINT wrapped; INSERT INTO settings VALUES ('a', 'b'); END $$

--: refused 0A000
DO $$ BEGIN CREATE TYPE other_wrapped AS ENUM ('c'); CREATE SEQUENCE wrapped_numbers; END $$

--: refused 0A000
DO $$ BEGIN DROP INDEX nothing_is_named_so; END $$

--: refused 0A000
DO $$ BEGIN ALTER TABLE strict ADD COLUMN moment timestamptz DEFAULT now(); END $$

DO $$ BEGIN ALTER TABLE strict DROP CONSTRAINT wrapped; DROP TYPE wrapped; END $$

DO $$ BEGIN DROP TYPE wrapped; END $$
