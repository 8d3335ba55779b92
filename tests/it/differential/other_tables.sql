-- Single and unlisted tables
SELECT * FROM settings ORDER BY name

INSERT INTO settings VALUES ('a', '1'), ('b', '2') RETURNING *

UPDATE settings SET value = value || '!' RETURNING *

DELETE FROM settings WHERE name = 'a'

SELECT * FROM audit

INSERT INTO audit VALUES (2, 'second'), (3, 'third')

UPDATE audit SET what = 'x'

DELETE FROM audit WHERE id = 3 RETURNING *

INSERT INTO audit VALUES (2, 'again') ON CONFLICT (id) DO UPDATE SET what = excluded.what RETURNING *

SELECT count(*), max(id) FROM audit

SELECT * FROM loose ORDER BY id

INSERT INTO loose VALUES (10, 'ten')

UPDATE loose SET what = 'changed' WHERE id = 10

DELETE FROM loose WHERE id = 10

SELECT s.name, l.what FROM settings s, loose l ORDER BY 1, 2

SELECT a.id, r.name FROM audit a JOIN regions r ON r.region_id = a.id ORDER BY 1

SELECT l.id, r.name FROM loose l JOIN regions r ON r.region_id = l.id ORDER BY 1

--: simple
SELECT a.id, l.id FROM audit a, loose l

--: simple
SELECT s.name FROM settings s, audit a

-- No shard knows all of these tables, so that home describes them over copies
SELECT a.what, s.*, public.customers.name FROM public.audit a JOIN settings s ON s.name > a.what JOIN public.customers ON a.id = age

SELECT a.id, a.what, l.what, count(*) OVER () FROM audit a FULL JOIN loose l ON l.id = a.id ORDER BY 1, 3

SELECT a.*, l.what FROM audit a, loose l GROUP BY a.id, l.what ORDER BY 1, 3

SELECT a.nothing FROM audit a, loose l

SELECT c.customer_id, a.* FROM customers c LEFT JOIN audit a ON a.id = c.customer_id ORDER BY 1

SELECT a.what, count(c.customer_id) FROM audit a JOIN customers c ON c.region = a.id WHERE a.id < 5 GROUP BY a.what ORDER BY 1

BEGIN

INSERT INTO audit VALUES (77, 'mine')

SELECT a.what, l.what FROM audit a LEFT JOIN loose l ON l.id = a.id ORDER BY 1

ROLLBACK

--: refused 0A000
SELECT s.name FROM settings s JOIN ONLY audit a ON a.what = s.name

SELECT c.customer_id, l.what FROM customers c JOIN loose l ON l.id = c.customer_id

SELECT c.customer_id, s.value FROM customers c, settings s

UPDATE loose SET what = (SELECT max(name) FROM customers)

UPDATE loose SET what = (SELECT max(name) FROM regions) WHERE id = 1

SELECT count(*) FROM pg_class WHERE relname = 'loose'

SELECT relname FROM pg_class WHERE relname = 'customers'

SELECT column_name FROM information_schema.columns WHERE table_name = 'customers' ORDER BY ordinal_position

SELECT 'customers'::regclass::text

-- Reference tables
SELECT * FROM products ORDER BY product_id

SELECT count(*), sum(price), avg(price) FROM products

SELECT r.name, p.title FROM regions r CROSS JOIN products p ORDER BY 1, 2

SELECT title FROM products WHERE price > (SELECT avg(price) FROM products)

SELECT DISTINCT ON (name) name FROM regions ORDER BY name

SELECT sum(price) OVER (ORDER BY product_id) FROM products ORDER BY 1

INSERT INTO products VALUES (10, 'kiwi', 0.50, '2024-05-05')

SELECT c.customer_id, p.title FROM customers c, products p WHERE p.product_id = 10 ORDER BY 1

INSERT INTO products VALUES (11, 'fig', 1, NULL), (12, 'lime', 2, NULL) RETURNING *

SELECT c.customer_id, count(*) FROM customers c, products p GROUP BY c.customer_id ORDER BY 1

UPDATE products SET price = price * 2 WHERE product_id IN (10, 11) RETURNING product_id, price

SELECT c.customer_id, p.price FROM customers c, products p WHERE p.product_id = 10 ORDER BY 1

UPDATE products SET price = coalesce(price, 0) + 1

SELECT c.customer_id, sum(p.price) FROM customers c, products p GROUP BY c.customer_id ORDER BY 1

DELETE FROM products WHERE product_id = 12 RETURNING title

SELECT c.customer_id, count(*) FROM customers c, products p WHERE c.customer_id = 2 GROUP BY 1

SELECT c.customer_id, count(*) FROM customers c, products p WHERE c.customer_id = 4 GROUP BY 1

SELECT c.customer_id, count(*) FROM customers c, products p WHERE c.customer_id = 7 GROUP BY 1

INSERT INTO products VALUES (1, 'dup', 1, NULL)

INSERT INTO products VALUES (1, 'upsert', 1, NULL) ON CONFLICT (product_id) DO UPDATE SET title = excluded.title RETURNING *

SELECT DISTINCT p.title FROM customers c, products p WHERE p.product_id = 1

INSERT INTO products VALUES (20, 'now', 1, now())

INSERT INTO products SELECT product_id + 100, title, price, sold FROM products

SELECT c.customer_id, count(*) FROM customers c, products p GROUP BY c.customer_id ORDER BY 1

INSERT INTO regions SELECT DISTINCT region + 50 FROM customers WHERE customer_id = 1

INSERT INTO regions SELECT region FROM customers

UPDATE products SET title = (SELECT max(name) FROM regions) WHERE product_id = 2

UPDATE products p SET title = r.name FROM regions r WHERE r.region_id = p.product_id AND p.product_id = 1

DELETE FROM products p USING regions r WHERE r.region_id = p.product_id AND p.product_id = 3

UPDATE products SET title = l.what FROM loose l WHERE l.id = product_id

UPDATE products SET product_id = product_id + 1000 WHERE product_id = 1

SELECT * FROM products ORDER BY product_id

SELECT DISTINCT p.* FROM customers c, products p ORDER BY p.product_id

-- In transactions
BEGIN

INSERT INTO regions VALUES (100, 'in a transaction')

SELECT name FROM regions WHERE region_id = 100

UPDATE customers SET region = 100 WHERE customer_id = 2

SELECT customer_id, region FROM customers WHERE customer_id = 2

COMMIT

SELECT c.customer_id, r.name FROM customers c JOIN regions r ON r.region_id = c.region WHERE c.customer_id = 2

SELECT c.customer_id, r.name FROM customers c JOIN regions r ON r.region_id = c.region ORDER BY 1

BEGIN

INSERT INTO regions VALUES (101, 'undone')

ROLLBACK

SELECT c.customer_id FROM customers c, regions r WHERE r.region_id = 101

BEGIN

INSERT INTO regions VALUES (102, 'kept')

SAVEPOINT s

INSERT INTO regions VALUES (103, 'undone')

ROLLBACK TO s

INSERT INTO regions VALUES (104, 'kept')

COMMIT

SELECT DISTINCT r.region_id, r.name FROM customers c, regions r WHERE r.region_id > 100 ORDER BY 1

BEGIN

DELETE FROM regions WHERE region_id > 100

SELECT count(*) FROM regions

COMMIT

SELECT DISTINCT r.region_id, r.name FROM customers c, regions r ORDER BY 1

TRUNCATE regions

SELECT DISTINCT r.region_id, r.name FROM customers c, regions r ORDER BY 1

INSERT INTO regions VALUES (1, 'after')

SELECT DISTINCT r.region_id, r.name FROM customers c, regions r ORDER BY 1

--: with 30 | param | 1.25
INSERT INTO products (product_id, title, price) VALUES ($1, $2, $3) RETURNING *

--: with 30
SELECT c.customer_id, p.title FROM customers c, products p WHERE p.product_id = $1 ORDER BY 1

--: with 30 | 7
SELECT c.customer_id, p.title FROM customers c, products p WHERE p.product_id = $1 AND c.customer_id = $2

SELECT p.title FROM products p FOR UPDATE

BEGIN

SELECT p.title FROM products p WHERE product_id = 30 FOR UPDATE

UPDATE products SET price = 9 WHERE product_id = 30

COMMIT

SELECT DISTINCT p.price FROM customers c, products p WHERE p.product_id = 30

-- DROP and TRUNCATE of tables that live on different shards
BEGIN

TRUNCATE TABLE counters, audit, settings RESTART IDENTITY CASCADE

SELECT count(*) FROM counters

SELECT count(*) FROM audit

SELECT count(*) FROM settings

DROP TABLE public.counters, audit

ROLLBACK

SELECT (SELECT count(*) FROM counters), (SELECT count(*) FROM audit), (SELECT count(*) FROM settings)

DROP TABLE nowhere, counters, audit

DROP TABLE IF EXISTS nowhere, counters, products, audit CASCADE

SELECT count(*) FROM audit

SELECT count(*) FROM counters

CREATE TABLE audit (id int PRIMARY KEY, what text)

CREATE TABLE counters (id int PRIMARY KEY, hits bigint NOT NULL DEFAULT 0 CHECK (hits >= 0), label text)

INSERT INTO counters SELECT g, g, 'x' FROM generate_series(1, 9) g

SELECT count(*) FROM counters
