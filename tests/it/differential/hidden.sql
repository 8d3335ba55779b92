-- Views over sharded tables: their queries take the place of their names

CREATE VIEW known AS SELECT customer_id, name, age FROM customers WHERE name IS NOT NULL

CREATE VIEW older AS SELECT * FROM known WHERE age > 30

CREATE VIEW spending (who, total, orders) AS SELECT c.name, sum(o.amount), count(*) FROM customers c JOIN orders o ON o.customer_id = c.customer_id GROUP BY c.name

CREATE VIEW busy AS SELECT r.name AS region, k.name, l.what FROM older k LEFT JOIN regions r ON r.region_id = k.customer_id LEFT JOIN loose l ON l.id = k.customer_id

CREATE VIEW top AS SELECT customer_id, order_id, amount FROM orders ORDER BY amount DESC NULLS LAST, order_id LIMIT 5

CREATE VIEW counting AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n, (SELECT count(*) FROM customers c WHERE c.region = t.n) AS people FROM t

CREATE VIEW "Odd view" AS SELECT customer_id AS "Id" FROM customers

CREATE VIEW plainly AS SELECT id, what FROM loose

CREATE VIEW named_settings AS SELECT s.name, l.what FROM settings s, loose l

CREATE VIEW priced AS SELECT product_id, title FROM products

--: plain
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM orders

--: proxy
/* shardloom: shard=s0 */ CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM orders

--: refused 0A000
CREATE MATERIALIZED VIEW seen AS SELECT * FROM customers

--: refused 0A000
CREATE TEMP VIEW brief AS SELECT * FROM customers

--: refused 0A000
CREATE VIEW far AS SELECT * FROM audit

SELECT * FROM plainly ORDER BY id

SELECT count(*) FROM named_settings

SELECT * FROM priced ORDER BY product_id

INSERT INTO plainly VALUES (70, 'through the view') RETURNING *

UPDATE plainly SET what = 'changed' WHERE id = 70

DELETE FROM plainly WHERE id = 70 RETURNING what

SELECT p.what, c.name FROM plainly p LEFT JOIN customers c ON c.customer_id = p.id ORDER BY 1

SELECT * FROM known ORDER BY customer_id

SELECT * FROM known WHERE customer_id = 3

SELECT k.name FROM known AS k WHERE k.customer_id IN (1, 4) ORDER BY 1

SELECT k.* FROM public.known k, loose l WHERE l.id = k.customer_id

SELECT known.name FROM known WHERE known.age > 30 ORDER BY 1 LIMIT 2

SELECT count(*) FROM older

SELECT count(*), max(age) FROM known

SELECT age, count(*) FROM known GROUP BY age ORDER BY age

SELECT * FROM spending ORDER BY who NULLS FIRST

SELECT s.a FROM spending s(a, b) WHERE b > 3 ORDER BY 1

SELECT * FROM busy ORDER BY name

SELECT * FROM top ORDER BY amount DESC, order_id

SELECT count(*) FROM top WHERE customer_id = 1

SELECT * FROM counting ORDER BY n

SELECT v."Id" FROM "Odd view" v ORDER BY 1

SELECT "Id" FROM "Odd view" ORDER BY 1 DESC LIMIT 3

SELECT customer_id FROM customers WHERE customer_id = 1 AND EXISTS (SELECT 1 FROM known)

WITH k AS (SELECT * FROM known) SELECT count(*) FROM k

SELECT (SELECT max(age) FROM known)

SELECT l.id FROM loose l JOIN older o ON o.customer_id = l.id

SELECT a.name FROM known a JOIN known b USING (customer_id) ORDER BY 1

SELECT name FROM known UNION SELECT what FROM plainly ORDER BY 1

SELECT c.name, (SELECT count(*) FROM known k WHERE k.age > c.age) FROM customers c ORDER BY 1, 2

SELECT nothing FROM known

SELECT * FROM known WHERE customer_id = 'x'

SELECT row_number() OVER (ORDER BY customer_id), name FROM older ORDER BY 1

--: with 3
SELECT * FROM known WHERE customer_id = $1

--: with 30 | 2
SELECT name FROM known WHERE age > $1 ORDER BY name LIMIT $2

--: with 30
SELECT count(*) FROM older WHERE age > $1

BEGIN

UPDATE customers SET name = 'changed' WHERE customer_id = 1

SELECT name FROM known WHERE customer_id = 1

SELECT count(*) FROM known WHERE name = 'changed'

ROLLBACK

--: refused 0A000
SELECT known FROM known

--: refused 0A000
SELECT row_to_json(k) FROM known k

TABLE known

--: refused 0A000
SELECT * FROM ONLY known

--: refused 0A000
SELECT public.known.name FROM known

--: refused 0A000
SELECT * FROM known FOR UPDATE

--: refused 0A000
WITH customers AS (SELECT 1 AS customer_id, 'x' AS name, 2 AS age) SELECT * FROM known

--: refused 0A000
SELECT * FROM kept

--: refused 0A000
SELECT n FROM public.kept

--: refused 0A000
INSERT INTO loose SELECT customer_id, name FROM known

--: refused 0A000
INSERT INTO known VALUES (100, 'x', 1)

--: refused 0A000
UPDATE known SET age = 1

--: refused 0A000
UPDATE loose SET what = name FROM known WHERE customer_id = id

--: refused 0A000
DELETE FROM known WHERE customer_id = 1

--: refused 0A000
CREATE TABLE copied AS SELECT * FROM known

--: refused 0A000
CREATE MATERIALIZED VIEW more AS SELECT * FROM older

--: refused 0A000
REFRESH MATERIALIZED VIEW kept

COPY (SELECT * FROM known) TO STDOUT

--: simple
COPY (TABLE older) TO STDOUT

--: refused 0A000
MERGE INTO loose l USING known k ON k.customer_id = l.id WHEN MATCHED THEN DELETE

--: refused 0A000
DO $$ BEGIN PERFORM count(*) FROM older; END $$

CREATE OR REPLACE VIEW known AS SELECT customer_id, name, age FROM customers WHERE name IS NULL

SELECT * FROM known

SELECT count(*) FROM older

DROP VIEW busy, older, known

SELECT * FROM known

-- Partitions and children that no rule names
--: plain
CREATE TABLE older_orders () INHERITS (orders)

--: proxy
/* shardloom: shard=s0 */ CREATE TABLE older_orders () INHERITS (orders)

--: refused 0A000
SELECT * FROM older_orders

--: refused 0A000
INSERT INTO older_orders VALUES (1, 77)

--: refused 0A000
DELETE FROM older_orders

--: refused 0A000
TRUNCATE older_orders

-- Functions that read and write by themselves
CREATE SEQUENCE s


--: plain
CREATE TABLE IF NOT EXISTS loose (id int PRIMARY KEY, what text)

--: proxy
/* shardloom: shard=s1 */ CREATE TABLE IF NOT EXISTS loose (id int PRIMARY KEY, what text)

--: proxy
/* shardloom: shard=s2 */ CREATE TABLE IF NOT EXISTS loose (id int PRIMARY KEY, what text)

CREATE FUNCTION all_customers() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM customers'

CREATE FUNCTION orders_of(c bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM orders WHERE customer_id = c); END'

CREATE FUNCTION through() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT all_customers() + 1'

CREATE FUNCTION by_text() RETURNS bigint LANGUAGE plpgsql STABLE AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FROM customers'' INTO n; RETURN n; END'

CREATE FUNCTION standard() RETURNS bigint STABLE BEGIN ATOMIC SELECT count(*) FROM customers; END

CREATE FUNCTION of_type(k bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'DECLARE c customers%ROWTYPE; n customers.name%TYPE; BEGIN n := ''n'' || k; RETURN n; END'

CREATE FUNCTION shout(c customers) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(c.name)'

CREATE FUNCTION spent(c customers) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(amount) FROM orders o WHERE o.customer_id <= c.customer_id'

CREATE FUNCTION price_of(p int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT price FROM products WHERE product_id = p'

CREATE FUNCTION set_price(p int) RETURNS int LANGUAGE sql AS 'UPDATE products SET price = 1 WHERE product_id = p RETURNING 1'

CREATE FUNCTION loose_what(p int) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT what FROM loose WHERE id = p); END'

CREATE FUNCTION note(p int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO loose VALUES (p, ''noted''); RETURN p; END'

CREATE FUNCTION dice() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 4'

CREATE FUNCTION twice(p bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * p'

CREATE PROCEDURE count_all() LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM customers; END'

CREATE PROCEDURE note_it(p int) LANGUAGE sql AS 'INSERT INTO loose VALUES (p, ''called'')'

--: refused 0A000
SELECT all_customers()

--: refused 0A000
SELECT public.all_customers()

--: refused 0A000
SELECT through()

--: refused 0A000
SELECT by_text()

--: refused 0A000
SELECT standard()

--: refused 0A000
SELECT * FROM all_customers()

--: refused 0A000
SELECT orders_of(customer_id) FROM customers WHERE customer_id = 2

--: refused 0A000
SELECT customer_id, orders_of(1) FROM customers

--: refused 0A000
SELECT c.spent FROM customers c WHERE customer_id = 3

--: refused 0A000
SELECT spent(c) FROM customers c

--: refused 0A000
UPDATE customers SET age = orders_of(1) WHERE customer_id = 1

--: refused 0A000
INSERT INTO customers (customer_id, age) VALUES (200, all_customers())

--: refused 0A000
INSERT INTO loose VALUES (80, all_customers())

--: refused 0A000
DELETE FROM loose WHERE id = all_customers()

--: refused 0A000
CALL count_all()

--: refused 0A000
DO $$ BEGIN PERFORM all_customers(); END $$

--: refused 0A000
CREATE TABLE counted AS SELECT all_customers()

--: refused 0A000
COPY (SELECT all_customers()) TO STDOUT

--: refused 0A000
SELECT 1 ORDER BY all_customers()

--: refused 0A000
SELECT count(*) OVER w FROM loose WINDOW w AS (ORDER BY all_customers())

--: refused 0A000
SELECT set_price(1)

--: refused 0A000
SELECT loose_what(1) FROM customers WHERE customer_id = 1

--: refused 0A000
SELECT customer_id, loose_what(1) FROM customers

--: refused 0A000
INSERT INTO customers (customer_id, name) VALUES (200, loose_what(1))

--: refused 0A000
SELECT customer_id, note(900 + customer_id::int) FROM customers

--: refused 0A000
UPDATE counters SET hits = note(1)

--: refused 0A000
SELECT customer_id, dice() FROM customers

--: refused 0A000
SELECT nextval('s') FROM customers WHERE customer_id = 1

--: refused 0A000
SELECT nextval('s') FROM customers

--: refused 0A000
SELECT lo_get(1) FROM customers WHERE customer_id = 1

--: refused 0A000
SELECT txid_current() FROM customers WHERE customer_id = 1

--: refused 0A000
SELECT pg_notify('a', 'b') FROM customers

--: refused 0A000
SELECT setval('s', 1) FROM customers

--: refused 0A000
SELECT pg_sleep(0) FROM customers

--: refused 0A000
SELECT set_config('a.b', 'c', false) FROM customers

SELECT of_type(customer_id) FROM customers WHERE customer_id = 1

SELECT customer_id, of_type(customer_id) FROM customers ORDER BY 1

SELECT customer_id, shout(c) FROM customers c WHERE customer_id = 1

SELECT c.shout FROM customers c WHERE customer_id = 2

SELECT price_of(2)

SELECT customer_id, price_of(2) FROM customers WHERE customer_id = 3

SELECT loose_what(1)

SELECT note(300)

SELECT what FROM loose WHERE id = 300

BEGIN

SELECT note(301)

SELECT note(302)

UPDATE customers SET age = 9 WHERE customer_id = 2

UPDATE customers SET age = 9 WHERE customer_id = 3

COMMIT

SELECT * FROM loose WHERE id > 299 ORDER BY id

SELECT dice() FROM customers WHERE customer_id = 2

SELECT sum(twice(customer_id)) FROM customers

INSERT INTO loose VALUES (303, loose_what(1)) RETURNING *

CALL note_it(304)

SELECT what FROM loose WHERE id = 304

SELECT count(random()) FROM customers

-- Sequences: each shard has one of its own
CREATE TABLE later (id bigint, number bigserial, what text)

INSERT INTO later (id, what) VALUES (1, 'a'), (2, 'b')

INSERT INTO later VALUES (3, DEFAULT, 'a')

INSERT INTO later (id, number) VALUES (4, nextval('s')), (5, 1 + nextval('s')) RETURNING *

--: copy
COPY later (id, what) FROM STDIN
8	copied
9	as well

INSERT INTO later (id, number, what) VALUES (6, 10, 'a'), (7, 11, 'b')

SELECT * FROM later ORDER BY id

INSERT INTO loose VALUES (nextval('s') + 400, 'numbered') RETURNING id

--: refused 0A000
SELECT query_to_xml('SELECT count(*) FROM customers', true, false, '')

--: refused 0A000
SELECT word FROM ts_stat('SELECT to_tsvector(note) FROM orders')

--: refused 0A000
SELECT customer_id, table_to_xml('orders', true, false, '') FROM customers WHERE customer_id = 1

SELECT 'query_to_xml(' AS query_to_xml

-- What the open transaction has made is not known yet
BEGIN

CREATE VIEW fresh AS SELECT name FROM customers

GRANT SELECT ON fresh TO PUBLIC

--: refused 0A000
SELECT count(*) FROM fresh

ROLLBACK

BEGIN

CREATE FUNCTION fresh() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customers'

COMMENT ON FUNCTION fresh() IS 'counts'

--: refused 0A000
SELECT fresh()

ROLLBACK

BEGIN

CREATE VIEW fresh AS SELECT name FROM customers

CREATE OR REPLACE VIEW fresher AS SELECT * FROM fresh

ALTER VIEW fresher RENAME TO freshest

--: refused 0A000
SELECT count(*) FROM freshest

ROLLBACK

BEGIN

CREATE VIEW fresh AS SELECT name FROM customers

--: refused 0A000
CREATE TABLE copied AS SELECT * FROM fresh

ROLLBACK

BEGIN

CREATE VIEW fresh AS SELECT 5 AS five

SELECT * FROM fresh

CREATE VIEW public.fresher AS SELECT name FROM customers WHERE customer_id < 4

COMMIT

SELECT count(*) FROM fresher

DROP VIEW fresh, fresher

-- Weaker row locks
SELECT name FROM customers WHERE customer_id = 1 FOR NO KEY UPDATE

SELECT name FROM customers WHERE customer_id IN (1, 2, 3) ORDER BY customer_id FOR KEY SHARE

BEGIN

SELECT customer_id FROM customers c WHERE customer_id < 5 ORDER BY 1 FOR NO KEY UPDATE OF c SKIP LOCKED

COMMIT

-- Functions of one's own with the names of PostgreSQL's
CREATE FUNCTION add_both(bigint, bigint, int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, 0) + $2 + $3'

CREATE AGGREGATE max(bigint, int) (SFUNC = add_both, STYPE = bigint)

SELECT max(customer_id, 1) FROM customers

SELECT max(customer_id) FROM customers

SELECT region, max(customer_id, 1), count(*) FROM customers GROUP BY region ORDER BY region

DROP AGGREGATE max(bigint, int)

SELECT max(customer_id), min(customer_id) FROM customers
