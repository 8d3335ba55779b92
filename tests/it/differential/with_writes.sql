-- on one shard

WITH d AS (DELETE FROM orders WHERE customer_id = 2 RETURNING *) SELECT order_id, note FROM d ORDER BY order_id

SELECT count(*) FROM orders

WITH d AS (DELETE FROM orders WHERE customer_id = 5 AND order_id = 2 RETURNING *) INSERT INTO orders SELECT customer_id, order_id + 100, product, amount, placed, note || '!' FROM d

WITH d AS (DELETE FROM orders WHERE customer_id = 5 RETURNING *) INSERT INTO orders SELECT * FROM d

--: refused 0A000
WITH d AS (DELETE FROM orders WHERE customer_id = 7 RETURNING *) INSERT INTO orders (order_id, customer_id) SELECT customer_id, order_id FROM d

WITH u AS (UPDATE customers SET age = 70 WHERE customer_id = 8 RETURNING customer_id, age), o AS (UPDATE orders SET note = 'seen' WHERE customer_id = 8 RETURNING order_id) SELECT u.*, o.order_id FROM u, o

WITH w AS (SELECT 3 AS x) UPDATE customers SET age = w.x FROM w WHERE customer_id = 1 RETURNING age

WITH w AS (SELECT product_id FROM products WHERE title = 'apple') DELETE FROM orders USING w WHERE customer_id = 1 AND product = w.product_id RETURNING order_id

WITH i AS (INSERT INTO customers (customer_id, name) VALUES (500, 'with') RETURNING customer_id) SELECT * FROM i

WITH i AS (INSERT INTO customers (customer_id, name) VALUES (500, 'again') ON CONFLICT (customer_id) DO UPDATE SET name = excluded.name RETURNING name) SELECT * FROM i

WITH i AS (INSERT INTO customers (customer_id) VALUES (501) RETURNING customer_id) INSERT INTO orders (customer_id, order_id) SELECT customer_id, 1 FROM i

WITH i AS (INSERT INTO customers (customer_id) VALUES (501) RETURNING customer_id) SELECT 1

WITH s AS (SELECT customer_id FROM customers WHERE customer_id = 501), d AS (DELETE FROM orders WHERE customer_id = 501 RETURNING customer_id, order_id) INSERT INTO orders (customer_id, order_id) SELECT s.customer_id, d.order_id + 1 FROM s JOIN d USING (customer_id)

--: with 501 | 9
WITH d AS (DELETE FROM orders WHERE customer_id = $1 RETURNING *) INSERT INTO orders (customer_id, order_id) SELECT customer_id, $2::int FROM d

--: with 502 | x
WITH i AS (INSERT INTO customers (customer_id, name) VALUES ($1, $2) RETURNING *) SELECT customer_id, name FROM i

SELECT customer_id, order_id, note FROM orders ORDER BY 1, 2

SELECT customer_id, name, age FROM customers ORDER BY 1

WITH d AS (DELETE FROM documents WHERE tenant = 'acme' AND doc = 2 RETURNING tenant, doc), p AS (DELETE FROM pages WHERE tenant = 'acme' AND doc = 2 RETURNING page) SELECT d.*, p.page FROM d, p

WITH d AS (DELETE FROM counters WHERE id = 1 RETURNING *) INSERT INTO counters SELECT id, hits + 1, label FROM d RETURNING *

WITH d AS (DELETE FROM customers WHERE customer_id = 9 RETURNING *) SELECT 1 / 0 FROM d

SELECT count(*) FROM customers WHERE customer_id = 9

BEGIN

WITH d AS (DELETE FROM customers WHERE customer_id = 9 RETURNING *) SELECT name FROM d

UPDATE customers SET age = 1 WHERE customer_id IN (1, 2)

ROLLBACK

SELECT count(*) FROM customers WHERE customer_id = 9

-- tables on one shard each

WITH d AS (DELETE FROM settings WHERE name = 'theme' RETURNING *) INSERT INTO settings SELECT name || '2', value FROM d

WITH d AS (DELETE FROM audit RETURNING *) INSERT INTO audit SELECT id + 1, what FROM d

WITH d AS (UPDATE loose SET what = 'w' RETURNING *) SELECT * FROM d ORDER BY id

-- over several shards

WITH d AS (DELETE FROM orders WHERE customer_id IN (1, 2, 4, 5, 7) RETURNING *) SELECT count(*) FROM d

WITH d AS (DELETE FROM counters RETURNING *) SELECT * FROM d ORDER BY id

SELECT count(*) FROM counters

WITH i AS (INSERT INTO counters VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, NULL), (5, 5, 'e') RETURNING id, label) SELECT count(*), max(label) FROM i

WITH d AS (DELETE FROM orders WHERE customer_id = 8 RETURNING *) SELECT d.order_id, count(*) FROM d, customers GROUP BY 1

WITH u AS (UPDATE counters SET hits = hits + 10 WHERE id IN (1, 2, 3) RETURNING id, hits) SELECT c.customer_id, c.name, u.hits FROM u JOIN customers c ON c.customer_id = u.id ORDER BY 1

WITH i AS (INSERT INTO customers (customer_id, name) VALUES (601, 'x'), (602, 'y'), (603, NULL) RETURNING customer_id, name), o AS (INSERT INTO orders (customer_id, order_id, note) SELECT customer_id, 1, name FROM i RETURNING customer_id, note) SELECT * FROM o ORDER BY 1

SELECT customer_id, order_id, note FROM orders WHERE customer_id > 600 ORDER BY 1

WITH d AS (DELETE FROM orders WHERE customer_id IN (601, 602, 603) RETURNING customer_id, note) UPDATE customers SET name = 'moved' WHERE customer_id IN (SELECT customer_id FROM d) RETURNING customer_id

WITH d AS (DELETE FROM customers WHERE customer_id IN (602, 603) RETURNING *) INSERT INTO orders (customer_id, order_id, note) SELECT customer_id, 7, name FROM d RETURNING customer_id, note

WITH d AS (DELETE FROM counters WHERE id IN (1, 2, 3)) SELECT count(*) FROM customers

WITH d AS (DELETE FROM counters WHERE id IN (98, 99) RETURNING *) INSERT INTO settings SELECT id::text, label FROM d

WITH d AS (DELETE FROM counters WHERE id IN (98, 99) RETURNING id) UPDATE customers SET age = 1 WHERE customer_id IN (SELECT id FROM d)

WITH m AS (SELECT max(customer_id) AS last FROM customers), i AS (INSERT INTO counters (id, hits) SELECT last + 1, 1 FROM m RETURNING id) SELECT m.last, i.id FROM m, i

WITH m AS MATERIALIZED (SELECT customer_id AS k FROM customers WHERE age > 40), u AS (UPDATE counters SET label = 'old' WHERE id IN (SELECT k FROM m) RETURNING id) SELECT m.k, u.id FROM m LEFT JOIN u ON u.id = m.k ORDER BY 1

WITH d (a, b) AS (DELETE FROM counters WHERE id IN (4, 5) RETURNING id, hits), e AS (INSERT INTO audit SELECT a + 100, 'gone' FROM d RETURNING id) SELECT (SELECT sum(b) FROM d), (SELECT count(*) FROM e)

SELECT * FROM audit ORDER BY id

WITH u AS (UPDATE regions SET name = 'r' || region_id WHERE region_id < 3 RETURNING region_id, name) SELECT count(*) FROM u

WITH u AS (UPDATE regions SET name = name || '!' RETURNING region_id, name) SELECT c.customer_id, u.name FROM customers c JOIN u ON u.region_id = c.region ORDER BY 1, 2

SELECT * FROM regions ORDER BY 1

--: with 604 | 605
WITH i AS (INSERT INTO customers (customer_id, name) VALUES ($1, 'p'), ($2, 'q') RETURNING customer_id, name) SELECT customer_id, name FROM i ORDER BY 1

--: with 604 | 605 | z
WITH d AS (DELETE FROM customers WHERE customer_id IN ($1, $2) RETURNING customer_id) INSERT INTO counters (id, label) SELECT customer_id, $3 FROM d

SELECT * FROM counters ORDER BY id

WITH d AS (DELETE FROM counters WHERE id IN (604, 605) RETURNING id) SELECT 1 / (id - id) FROM d

WITH d AS (DELETE FROM counters WHERE id IN (604, 605) RETURNING nothing) SELECT * FROM d

WITH d AS (DELETE FROM counters WHERE id IN (604, 605) RETURNING id) SELECT nothing FROM d

WITH i AS (INSERT INTO counters (id) VALUES (604), (700), (701) RETURNING id) SELECT * FROM i

WITH i AS (INSERT INTO counters (id) VALUES (604), (700), (701) ON CONFLICT (id) DO UPDATE SET hits = 5 RETURNING id, hits) SELECT * FROM i ORDER BY 1

SELECT count(*) FROM counters

BEGIN

WITH d AS (DELETE FROM counters WHERE id IN (604, 605) RETURNING id) INSERT INTO audit SELECT id, 'gone' FROM d

SELECT count(*) FROM counters

WITH d AS (DELETE FROM counters WHERE id IN (700, 701) RETURNING id) SELECT 1 / (id - 700) FROM d

SELECT 1

ROLLBACK

SELECT count(*) FROM counters

WITH d AS (DELETE FROM pages WHERE tenant IN ('acme', 'größe') RETURNING tenant, doc) SELECT tenant, count(*) FROM d GROUP BY tenant ORDER BY tenant

-- what another part could see

--: refused 0A000
WITH d AS (DELETE FROM counters WHERE id IN (604, 605) RETURNING *) SELECT (SELECT count(*) FROM d), (SELECT count(*) FROM counters)

--: refused 0A000
WITH d AS (DELETE FROM counters WHERE id IN (604, 605) RETURNING id), e AS (UPDATE counters SET hits = 1 WHERE id = 700 RETURNING id) SELECT * FROM d, e

--: refused 0A000
WITH d AS (DELETE FROM customers WHERE customer_id = 1 RETURNING *) INSERT INTO customers (customer_id) SELECT age FROM d

WITH d AS (DELETE FROM regions RETURNING *) SELECT * FROM d ORDER BY 1

--: refused 0A000
WITH d AS (UPDATE customers SET customer_id = 1000 WHERE customer_id = 1 RETURNING *) SELECT * FROM d

WITH v AS (SELECT 5 AS k) DELETE FROM orders USING v WHERE customer_id = v.k
