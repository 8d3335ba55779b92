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

--: refused 0A000
WITH d AS (DELETE FROM orders WHERE customer_id IN (1, 2, 4, 5, 7) RETURNING *) SELECT count(*) FROM d

--: refused 0A000
WITH d AS (DELETE FROM counters RETURNING *) SELECT count(*) FROM d

--: refused 0A000
WITH d AS (DELETE FROM orders WHERE customer_id = 1 RETURNING *) SELECT count(*) FROM d, customers

--: refused 0A000
WITH d AS (DELETE FROM customers WHERE customer_id = 1 RETURNING *) INSERT INTO customers (customer_id) SELECT age FROM d

--: refused 0A000
WITH d AS (DELETE FROM regions RETURNING *) SELECT * FROM d

--: refused 0A000
WITH d AS (UPDATE customers SET customer_id = 1000 WHERE customer_id = 1 RETURNING *) SELECT * FROM d

--: refused 22023
WITH v AS (SELECT 5 AS k) DELETE FROM orders USING v WHERE customer_id = v.k
