-- What stands behind views, partitions and functions

--: plain
CREATE VIEW known AS SELECT customer_id, name, age FROM customers WHERE name IS NOT NULL

--: proxy
/* shardloom: shard=s0 */ CREATE VIEW known AS SELECT customer_id, name, age FROM customers WHERE name IS NOT NULL

--: plain
CREATE VIEW older AS SELECT * FROM known WHERE age > 30

--: proxy
/* shardloom: shard=s0 */ CREATE VIEW older AS SELECT * FROM known WHERE age > 30

--: plain
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM orders

--: proxy
/* shardloom: shard=s0 */ CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM orders

CREATE VIEW plainly AS SELECT id, what FROM loose

CREATE VIEW named_settings AS SELECT s.name, l.what FROM settings s, loose l

--: plain
CREATE VIEW priced AS SELECT product_id, title FROM products

--: proxy
/* shardloom: shard=s0 */ CREATE VIEW priced AS SELECT product_id, title FROM products

SELECT * FROM plainly ORDER BY id

SELECT count(*) FROM named_settings

SELECT * FROM priced ORDER BY product_id

INSERT INTO plainly VALUES (70, 'through the view') RETURNING *

UPDATE plainly SET what = 'changed' WHERE id = 70

DELETE FROM plainly WHERE id = 70 RETURNING what

SELECT p.what, c.name FROM plainly p LEFT JOIN customers c ON c.customer_id = p.id ORDER BY 1

--: refused 0A000
SELECT * FROM known

--: refused 0A000
SELECT count(*) FROM older

--: refused 0A000
TABLE known

--: refused 0A000
SELECT * FROM kept

--: refused 0A000
SELECT n FROM public.kept

--: refused 0A000
SELECT customer_id FROM customers WHERE customer_id = 1 AND EXISTS (SELECT 1 FROM known)

--: refused 0A000
WITH k AS (SELECT * FROM known) SELECT count(*) FROM k

--: refused 0A000
SELECT (SELECT max(age) FROM known)

--: refused 0A000
SELECT l.id FROM loose l JOIN older o ON o.customer_id = l.id

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
CREATE VIEW more AS SELECT * FROM older

--: refused 0A000
REFRESH MATERIALIZED VIEW kept

--: refused 0A000
COPY (SELECT * FROM known) TO STDOUT

--: refused 0A000
COPY (TABLE older) TO STDOUT

--: refused 0A000
MERGE INTO loose l USING known k ON k.customer_id = l.id WHEN MATCHED THEN DELETE

--: refused 0A000
EXPLAIN SELECT * FROM known

--: refused 0A000
DO $$ BEGIN PERFORM count(*) FROM older; END $$

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
