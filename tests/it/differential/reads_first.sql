UPDATE customers c SET name = o.note FROM orders o WHERE o.order_id = c.customer_id AND o.amount > 15 AND c.customer_id = 2 RETURNING c.customer_id, c.name

DELETE FROM counters WHERE hits IN (SELECT order_id FROM orders WHERE customer_id = 1) RETURNING id

DELETE FROM counters WHERE hits NOT IN (SELECT product FROM orders) RETURNING id

DELETE FROM counters WHERE hits NOT IN (SELECT product FROM orders WHERE product IS NOT NULL) RETURNING id

INSERT INTO counters VALUES (11, 1, 'a'), (12, 2, 'b'), (13, 3, 'c'), (14, 4, NULL), (15, 5, 'e'), (16, 0, 'f')

DELETE FROM counters WHERE id IN (SELECT customer_id + 10 FROM customers WHERE region = 1) RETURNING *

DELETE FROM counters WHERE id IN (SELECT customer_id FROM customers WHERE region = 77) RETURNING *

DELETE FROM counters WHERE NOT id IN (SELECT customer_id + 10 FROM customers WHERE region = 77) AND hits = 77 RETURNING *

UPDATE counters SET hits = hits + 1 WHERE id = (SELECT max(customer_id) FROM orders) RETURNING *

UPDATE counters SET hits = hits + 1 WHERE id = (SELECT max(customer_id) FROM orders WHERE amount > 1e9) RETURNING *

UPDATE counters SET hits = hits + 1 WHERE NOT (id = (SELECT max(customer_id) FROM orders WHERE amount > 1e9)) RETURNING *

UPDATE counters SET hits = hits + 1 WHERE id = (SELECT customer_id FROM orders) RETURNING *

UPDATE counters SET hits = (SELECT customer_id FROM orders) WHERE id = 14

UPDATE counters SET hits = (SELECT count(*) FROM orders), label = (SELECT max(name) FROM customers WHERE age > 30) RETURNING *

UPDATE counters SET (hits, label) = (SELECT order_id, note FROM orders WHERE amount > 500) WHERE id = 14 RETURNING *

UPDATE counters SET (hits, label) = (SELECT order_id, note FROM orders WHERE amount > 50000) WHERE id = 14 RETURNING *

UPDATE counters SET label = (SELECT note FROM orders WHERE amount > 50000) RETURNING *

UPDATE counters SET label = 'x' WHERE (hits, label) IN (SELECT order_id, note FROM orders)

UPDATE counters SET label = 'm' WHERE hits > ALL (SELECT order_id FROM orders) RETURNING id, label

UPDATE counters SET label = 'n' WHERE hits < ANY (SELECT order_id FROM orders) RETURNING id, label

UPDATE counters SET label = 'o' WHERE EXISTS (SELECT 1 FROM orders WHERE amount > 900) RETURNING id, label

UPDATE counters SET label = 'p' WHERE EXISTS (SELECT FROM orders WHERE amount > 900) RETURNING id, label

UPDATE counters SET label = 'q' WHERE NOT EXISTS (SELECT * FROM orders WHERE amount > 9000) RETURNING id, label

UPDATE counters SET label = array_to_string(ARRAY(SELECT order_id FROM orders WHERE customer_id IN (1, 5) ORDER BY order_id), ',') RETURNING id, label

UPDATE counters k SET label = o.note FROM orders o WHERE o.customer_id + 10 = k.id AND o.order_id = 1 RETURNING k.id, k.label, o.amount, o.placed, o.note

UPDATE counters k SET label = o.note FROM orders AS o WHERE o.customer_id + 10 = k.id AND o.order_id = 1 RETURNING k.*, o.*

UPDATE counters SET label = orders.note FROM orders WHERE orders.customer_id + 10 = counters.id AND orders.order_id = 2 RETURNING counters.id, label, orders.amount

UPDATE counters SET label = c.name FROM orders o JOIN customers c USING (customer_id) WHERE o.customer_id + 10 = counters.id AND o.order_id = 1 RETURNING id, label, c.joined, c.balance

UPDATE counters SET label = p.title FROM products p JOIN facts f ON f.i4 = p.product_id + 6 WHERE p.product_id = hits RETURNING id, label

UPDATE counters SET label = v.title FROM (SELECT p.title, p.product_id FROM products p, orders o WHERE o.product = p.product_id) v WHERE v.product_id = hits RETURNING id, label

UPDATE counters SET label = (SELECT max(o.note) FROM orders o WHERE o.order_id = counters.hits) RETURNING id, label

UPDATE counters SET label = 'e' WHERE EXISTS (SELECT FROM orders o WHERE o.order_id = counters.hits AND o.amount > 10) RETURNING id, label

UPDATE counters SET label = 'f' WHERE EXISTS (SELECT FROM orders o WHERE o.order_id = hits AND o.amount IN (SELECT max(amount) FROM orders)) RETURNING id, label

DELETE FROM counters USING orders o, products p WHERE o.order_id = counters.hits AND p.product_id = o.product AND p.title = 'plum' RETURNING counters.*

INSERT INTO counters SELECT customer_id + 20, customer_id, 'dup' FROM customers

DELETE FROM counters a USING counters b WHERE a.label = b.label AND a.id > b.id RETURNING a.id

DELETE FROM counters WHERE id NOT IN (SELECT min(id) FROM counters GROUP BY label) RETURNING id

DELETE FROM counters WHERE hits < (SELECT avg(hits) FROM counters) RETURNING id, hits

UPDATE counters SET hits = hits + 1 WHERE id IN (SELECT id FROM counters ORDER BY id DESC LIMIT 2) RETURNING id, hits

SELECT * FROM counters ORDER BY id

UPDATE products SET price = (SELECT max(amount) FROM orders WHERE product = product_id) RETURNING *

UPDATE products SET price = (SELECT sum(amount) FROM orders), sold = (SELECT max(joined) FROM customers) WHERE product_id = 1 RETURNING *

DELETE FROM products WHERE product_id IN (SELECT product FROM orders WHERE amount > 900) RETURNING *

UPDATE settings SET value = (SELECT string_agg(name, ',' ORDER BY customer_id) FROM customers) WHERE name = 'theme' RETURNING *

--: refused 0A000
UPDATE settings SET value = a.what FROM audit a WHERE a.id = 1 RETURNING settings.name, a.what

--: simple
DELETE FROM audit WHERE id IN (SELECT id FROM loose WHERE what = 'l1') RETURNING *

UPDATE customers SET age = 99 WHERE customer_id = (SELECT min(order_id) FROM orders WHERE note = 'big') RETURNING customer_id, age

UPDATE customers SET age = 98 WHERE customer_id IN (SELECT hits FROM counters) RETURNING customer_id, age

UPDATE customers SET age = 97 WHERE customer_id IN (SELECT hits::text::bigint FROM counters WHERE id < 0) RETURNING customer_id, age

UPDATE counters SET label = v.n FROM (SELECT order_id, note AS n, amount, amount::numeric(5, 1) AS less, note::char(3) AS c, note::varchar(2) AS v FROM orders) v WHERE v.order_id = hits RETURNING v.*

DELETE FROM documents WHERE tenant IN (SELECT name FROM customers) RETURNING *

DELETE FROM documents WHERE tenant IN (SELECT 'it''s' FROM orders UNION SELECT body FROM pages WHERE page = 2) RETURNING *

DELETE FROM devices WHERE device_id = (SELECT u FROM facts WHERE id = 1) RETURNING *

UPDATE facts SET a = (SELECT array_agg(order_id ORDER BY order_id, customer_id) FROM orders), by = (SELECT max(by::text)::bytea FROM facts), iv = (SELECT max(tm) - min(tm) FROM facts), j = (SELECT jsonb_agg(order_id ORDER BY order_id) FROM orders WHERE amount > 50) WHERE id = 3 RETURNING *

UPDATE facts SET f4 = (SELECT max(f4) FROM facts WHERE id < 3), f8 = (SELECT min(f8) FROM facts), tz = (SELECT max(tz) FROM facts WHERE id IN (1, 2)), ts = (SELECT min(ts) FROM facts), b = (SELECT bool_or(b) FROM facts) WHERE id = 3 RETURNING *

UPDATE counters SET hits = (SELECT nothing FROM orders)

UPDATE counters SET hits = (SELECT count(*) FROM nowhere)

UPDATE counters SET nothing = (SELECT count(*) FROM orders)

UPDATE counters SET hits = (SELECT max(note) FROM orders)

UPDATE counters SET hits = (SELECT max(order_id) - 100 FROM orders) WHERE id > 20

UPDATE counters SET hits = 1 / (SELECT count(*) FROM orders WHERE amount > 1e9) WHERE id > 2000

UPDATE counters SET hits = 1 / (SELECT count(*) FROM orders WHERE amount > 1e9) WHERE id > 20

--: with 5
UPDATE counters SET hits = $1 WHERE hits IN (SELECT order_id FROM orders WHERE customer_id = $1)

BEGIN

UPDATE counters SET label = 'in' WHERE hits IN (SELECT order_id FROM orders) RETURNING id

UPDATE counters SET hits = (SELECT count(*) FROM counters WHERE label = 'in') WHERE hits IN (SELECT max(order_id) FROM orders) RETURNING *

ROLLBACK

DELETE FROM counters WHERE hits IN (SELECT order_id FROM orders FOR UPDATE)

--: refused 0A000
UPDATE counters SET label = (SELECT o::text FROM orders o WHERE o.order_id = counters.hits LIMIT 1)

--: refused 0A000
UPDATE counters SET label = (SELECT o.ctid::text FROM orders o WHERE o.order_id = counters.hits LIMIT 1)

--: refused 22023
UPDATE customers SET age = 1 WHERE age = (SELECT max(age) FROM customers)

SELECT * FROM customers ORDER BY customer_id

SELECT * FROM products ORDER BY product_id

-- WITH before it

WITH w AS (SELECT order_id, max(note) AS note FROM orders GROUP BY order_id) UPDATE counters SET label = w.note FROM w WHERE w.order_id = hits RETURNING id, label

WITH w AS (SELECT customer_id FROM orders WHERE amount > 5), v AS (SELECT count(*) AS n FROM w) UPDATE counters SET hits = v.n FROM v WHERE id > 20 RETURNING id, hits

WITH w AS (SELECT 21 AS k UNION ALL SELECT 22) DELETE FROM counters USING w WHERE id = w.k RETURNING id

WITH w AS (SELECT max(id) AS k FROM counters) DELETE FROM counters WHERE id = (SELECT k FROM w) RETURNING id

WITH w AS (SELECT max(id) AS k FROM counters) UPDATE counters c SET label = 'last' WHERE EXISTS (SELECT FROM w WHERE w.k = c.id) RETURNING id, label

WITH w AS (SELECT avg(amount) AS a FROM orders) UPDATE products SET price = w.a FROM w RETURNING product_id, round(price, 2)

WITH w AS (SELECT customer_id + 20 AS k, name FROM customers -- the names
) UPDATE counters SET label = name FROM w WHERE id = k AND w.name IS NOT NULL RETURNING id, label

WITH unused AS (SELECT 1 / 0) UPDATE counters SET label = 'u' WHERE id = 23 RETURNING label

--: simple
--: refused 0A000
WITH w AS (SELECT nothing FROM orders) DELETE FROM counters USING w

WITH w AS (SELECT customer_id FROM customers FOR UPDATE) UPDATE counters SET label = 'x' FROM w WHERE id = w.customer_id

--: refused 0A000
WITH RECURSIVE w AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM w WHERE n < 3) DELETE FROM counters USING w WHERE hits = n

SELECT * FROM counters ORDER BY id

-- a table that has changed since

CREATE TABLE later (id bigint PRIMARY KEY, short varchar(3))

INSERT INTO later VALUES (1, 'abc'), (2, 'de'), (3, NULL), (4, 'x')

UPDATE counters SET label = l.short FROM later l WHERE l.id + 21 = counters.id RETURNING counters.id, label

BEGIN

ALTER TABLE later ALTER short TYPE varchar(20)

INSERT INTO later VALUES (6, 'a longer one')

UPDATE counters SET label = l.short FROM later l WHERE l.id + 21 = counters.id RETURNING counters.id, label

ROLLBACK

--: simple
BEGIN; ALTER TABLE later ADD hits int DEFAULT 7; SELECT count(*) FROM later

--: simple
--: refused 0A000
UPDATE counters SET label = 'w' WHERE EXISTS (SELECT FROM later WHERE later.id = counters.id AND hits = 7)

--: simple
ROLLBACK

CREATE TYPE mood AS ENUM ('sad', 'happy')

CREATE DOMAIN word AS varchar(9)

ALTER TABLE later ADD said word DEFAULT 'so', ADD felt mood DEFAULT 'happy'

UPDATE counters SET label = l.said || l.felt FROM later l WHERE l.id + 21 = counters.id RETURNING counters.id, label, l.said, l.felt

UPDATE later SET felt = 'sad', said = 'no' WHERE id IN (SELECT order_id FROM orders) AND felt = 'happy' RETURNING id, said, felt

--: refused 0A000
UPDATE later SET felt = (SELECT max(felt) FROM later)

-- what a setting or a comment would say of the query by itself

SET array_nulls = off

--: refused 0A000
DELETE FROM documents WHERE NOT tenant IN (SELECT name FROM customers)

RESET array_nulls

DELETE FROM counters WHERE id IN (/* shardloom: shard=s1 */ SELECT customer_id FROM orders) RETURNING id

--: simple
--: refused 0A000
WITH a AS (SELECT hits FROM regions) DELETE FROM counters WHERE hits IN (SELECT hits FROM a)

-- Tables as queries, and into tables whose columns only the server knows
BEGIN

CREATE TEMP TABLE brief (id bigint, what text, n numeric)

INSERT INTO brief SELECT customer_id, name, age FROM customers

INSERT INTO brief SELECT customer_id, name FROM customers WHERE customer_id = 1

SELECT id, what, n FROM brief ORDER BY id, n

INSERT INTO brief TABLE products

INSERT INTO brief SELECT customer_id, name, age, region FROM customers

ROLLBACK

BEGIN

INSERT INTO loose TABLE loose

ROLLBACK
