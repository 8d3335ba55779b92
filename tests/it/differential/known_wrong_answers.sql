-- LIMIT without ORDER BY returning shards × n rows
--: count
SELECT customer_id FROM customers LIMIT 2

--: count
SELECT customer_id FROM customers LIMIT 2 OFFSET 9

--: count
SELECT customer_id FROM customers OFFSET 11

-- HAVING on partial aggregates
SELECT region, count(*) FROM customers GROUP BY region HAVING count(*) > 2 ORDER BY region

SELECT region, count(*) FROM customers GROUP BY region HAVING count(*) = 1 ORDER BY region

SELECT region, sum(balance) FROM customers GROUP BY region HAVING sum(balance) > 10 ORDER BY region

SELECT count(*) FROM customers HAVING count(*) > 4

-- GROUP BY on an expression, alias or hidden column
SELECT age / 10, count(*) FROM customers GROUP BY age / 10 ORDER BY 1

SELECT age / 10 AS decade, count(*) FROM customers GROUP BY decade ORDER BY decade

SELECT count(*) FROM customers GROUP BY region ORDER BY count(*)

SELECT count(*) AS c FROM customers GROUP BY region ORDER BY c, region

SELECT sum(age) FROM customers GROUP BY region, vip ORDER BY 1

-- Top-N over GROUP BY with the LIMIT pushed down
SELECT region, count(*) FROM customers GROUP BY region ORDER BY count(*) DESC, region LIMIT 1

SELECT age, count(*) FROM customers GROUP BY age ORDER BY 2 DESC, 1 LIMIT 2

SELECT region, sum(balance) AS s FROM customers GROUP BY region ORDER BY s DESC NULLS LAST LIMIT 2 OFFSET 1

-- Expressions over aggregates: one row per shard
SELECT count(*) + 1 FROM customers

SELECT round(avg(balance), 2) FROM customers

SELECT coalesce(sum(age), 0) FROM customers

SELECT coalesce(sum(n), 0) FROM empty

SELECT max(age) - min(age) FROM customers

SELECT sum(age) / count(*) FROM customers

SELECT count(*) > 5 FROM customers

SELECT -count(*) FROM customers

SELECT count(*)::text FROM customers

SELECT CASE WHEN count(*) > 5 THEN 'many' ELSE 'few' END FROM customers

SELECT 'total: ' || count(*) FROM customers

-- sum() OVER collapsed, and windows per shard
SELECT customer_id, sum(age) OVER () FROM customers ORDER BY customer_id

SELECT customer_id, row_number() OVER (ORDER BY customer_id) FROM customers ORDER BY customer_id

SELECT customer_id, rank() OVER (PARTITION BY region ORDER BY age) FROM customers ORDER BY customer_id

-- ORDER BY a hidden column or expression left unsorted
SELECT name FROM customers WHERE customer_id < 9 ORDER BY customer_id DESC

SELECT name FROM customers ORDER BY age % 7, customer_id

SELECT name FROM customers ORDER BY lower(name) NULLS FIRST, customer_id

-- NULLS FIRST and collations ignored
SELECT customer_id, age FROM customers ORDER BY age NULLS FIRST, customer_id

SELECT customer_id, age FROM customers ORDER BY age DESC NULLS LAST, customer_id

SELECT customer_id, age FROM customers ORDER BY age DESC, customer_id

SELECT name FROM customers ORDER BY name COLLATE "C", customer_id

SELECT name FROM customers ORDER BY name COLLATE "und-x-icu", customer_id

SELECT name, count(*) FROM customers GROUP BY name ORDER BY name COLLATE "und-x-icu"

SELECT max(name COLLATE "und-x-icu") FROM customers

SELECT name FROM customers ORDER BY name, customer_id

-- DISTINCT ON one row
SELECT DISTINCT ON (region) region, customer_id FROM customers ORDER BY region, customer_id

-- UNION or CTE routed by the first key found
SELECT name FROM customers WHERE customer_id = 1 UNION ALL SELECT name FROM customers WHERE customer_id = 2 ORDER BY 1

SELECT name FROM customers WHERE customer_id = 1 UNION SELECT name FROM customers WHERE customer_id = 6

SELECT name FROM customers WHERE customer_id = 1 EXCEPT SELECT name FROM customers WHERE customer_id = 6

SELECT name FROM customers WHERE customer_id = 1 INTERSECT SELECT name FROM customers WHERE customer_id = 6

SELECT name FROM customers WHERE customer_id = 1 UNION ALL SELECT name FROM customers

WITH one AS (SELECT * FROM customers WHERE customer_id = 1) SELECT c.name, one.name FROM customers c, one WHERE c.customer_id = 2

WITH one AS (SELECT * FROM customers WHERE customer_id = 1) SELECT count(*) FROM customers

-- A key inside CASE, FILTER or SET routing the statement
SELECT count(*) FILTER (WHERE customer_id = 1) FROM customers

SELECT sum(age) FILTER (WHERE customer_id = 1), count(*) FROM customers

SELECT sum(CASE WHEN customer_id = 1 THEN 1 ELSE 0 END) FROM customers

SELECT customer_id = 1 AS first FROM customers ORDER BY customer_id

--: refused 22023
UPDATE customers SET customer_id = 1

--: refused 22023
UPDATE customers SET age = CASE WHEN customer_id = 1 THEN 1 ELSE age END

-- Joins that are not colocated returning part of the data
SELECT count(*) FROM customers a JOIN customers b ON a.age = b.age

SELECT count(*) FROM orders o JOIN customers c ON c.customer_id = o.order_id

SELECT count(*) FROM customers, orders

SELECT count(*) FROM customers c JOIN documents d ON d.doc = c.customer_id

SELECT c.customer_id FROM customers c LEFT JOIN orders o ON o.order_id = c.customer_id ORDER BY 1

SELECT customer_id FROM customers WHERE customer_id IN (SELECT order_id FROM orders) ORDER BY 1

SELECT customer_id FROM customers WHERE age > (SELECT avg(age) FROM customers) ORDER BY 1

SELECT customer_id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.order_id = c.customer_id) ORDER BY 1

SELECT p.title FROM products p LEFT JOIN orders o ON o.product = p.product_id ORDER BY 1

SELECT p.title FROM products p WHERE EXISTS (SELECT 1 FROM orders o WHERE o.product = p.product_id) ORDER BY 1

SELECT p.title FROM products p WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.product = p.product_id) ORDER BY 1

-- Multi-row INSERT duplicating all rows on all shards
INSERT INTO empty VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd')

SELECT * FROM empty ORDER BY id

SELECT count(*) FROM empty

-- INSERT with a missing or computed key to a random shard
--: own words
INSERT INTO empty (n, t) VALUES (9, 'x')

--: own words
INSERT INTO empty DEFAULT VALUES

INSERT INTO empty (id, n) VALUES (2 + 3, 5)

INSERT INTO empty (id, n) VALUES (length('123456'), 6)

INSERT INTO empty (id, n) VALUES ((random() * 0)::bigint + 700, 7)

SELECT * FROM empty WHERE id = 5

SELECT * FROM empty WHERE id = 6

SELECT * FROM empty ORDER BY id

-- NULL key broadcast
--: own words
INSERT INTO empty (id, n) VALUES (NULL, 9)

--: own words
INSERT INTO empty (id, n) VALUES (8, 8), (NULL, 9)

SELECT * FROM empty WHERE id IS NULL OR id = 8

-- COPY without a column list broadcast
--: copy
COPY empty FROM STDIN
20	20	twenty
21	21	twenty-one
22	\N	\N

SELECT count(*) FROM empty WHERE id >= 20

SELECT * FROM empty WHERE id >= 20 ORDER BY id

-- Unknown tables treated as replicated
SELECT * FROM unknown_table

INSERT INTO unknown_table VALUES (1)

CREATE TABLE newcomer (id int)

INSERT INTO newcomer VALUES (1)

SELECT * FROM newcomer

DROP TABLE newcomer

-- nextval and advisory locks on a random shard
CREATE SEQUENCE numbers

SELECT nextval('numbers')

SELECT nextval('numbers')

--: refused 0A000
SELECT currval('numbers') FROM customers WHERE customer_id = 1 AND false

SELECT setval('numbers', 10)

SELECT nextval('numbers')

DROP SEQUENCE numbers

SELECT pg_try_advisory_xact_lock(1)

-- OFFSET ignored
SELECT customer_id FROM customers ORDER BY customer_id OFFSET 10

SELECT customer_id FROM customers ORDER BY customer_id LIMIT 3 OFFSET 4

SELECT customer_id FROM customers ORDER BY customer_id OFFSET 3 ROWS FETCH NEXT 2 ROWS ONLY

SELECT region FROM customers GROUP BY region ORDER BY region OFFSET 2

-- Prepared multi-row inserts with shifted parameters
--: with 101 | 1 | a | 102 | 2 | b | 103 | 3 | c
INSERT INTO empty (id, n, t) VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9)

--: with 104 | 4 | 105 | same
INSERT INTO empty (t, n, id) VALUES ($4, $2, $1), ($4, $2, $3)

SELECT * FROM empty WHERE id > 100 ORDER BY id

-- A plan remembered for one search path and used under another
CREATE SCHEMA other

CREATE TABLE other.loose (id int, what text)

INSERT INTO other.loose VALUES (7, 'other')

SELECT * FROM loose ORDER BY id

--: refused 0A000
SET search_path = other, public

SELECT * FROM loose ORDER BY id

RESET search_path

SELECT * FROM loose ORDER BY id

DROP SCHEMA other CASCADE

-- Routed by the literals of another text with the same skeleton
SELECT name FROM customers WHERE customer_id = 1

SELECT name FROM customers WHERE customer_id = 12

SELECT name FROM customers WHERE customer_id =   7

SELECT count(*) FROM customers WHERE customer_id = 1

SELECT count(*) FROM customers WHERE customer_id = 12

UPDATE customers SET age = 1 WHERE customer_id = 1 RETURNING age

UPDATE customers SET age = 10000 WHERE customer_id = 12 RETURNING age

-- A SET undone by ROLLBACK TO
BEGIN

SAVEPOINT s

SET work_mem = '13MB'

ROLLBACK TO s

COMMIT

SHOW work_mem

-- words that mean something to other databases

SELECT name regexp FROM customers WHERE customer_id = 1

SELECT name xor FROM customers WHERE customer_id = 1

SELECT name rlike, age div FROM customers WHERE customer_id = 3

SELECT age top, name minus FROM customers WHERE customer_id = 1

SELECT top + 1, sort FROM (SELECT age AS top, name AS sort FROM customers WHERE customer_id = 4) x

SELECT count(*) FROM customers settings JOIN orders output ON output.customer_id = settings.customer_id WHERE settings.age > 30

SELECT format.name FROM customers format, orders open WHERE open.customer_id = format.customer_id AND format.customer_id = 5 ORDER BY 1

SELECT pivot.name FROM customers pivot WHERE pivot.customer_id = 2

UPDATE customers global SET age = global.age WHERE global.customer_id = 2

INSERT INTO loose SELECT 900 + customer_id, name regexp FROM customers WHERE customer_id = 1

SELECT * FROM loose WHERE id > 900

-- lists whose columns are not what a name means

SELECT customer_id, region FROM customers LEFT JOIN (VALUES (5)) d (region) USING (region) WHERE customer_id = region ORDER BY 1

SELECT count(*) FROM customers NATURAL FULL JOIN (SELECT 5 AS region) d WHERE customer_id = region

SELECT id FROM counters WHERE id IN (SELECT region_id FROM regions LEFT JOIN (VALUES (77)) d (region_id) USING (region_id)) ORDER BY 1

SELECT t.id FROM counters t WHERE id IN (SELECT g FROM (VALUES (1)) a (g) FULL JOIN (VALUES (2)) b (g) USING (g)) ORDER BY 1

SELECT t.id FROM counters t JOIN (SELECT * FROM (VALUES (1)) a (g) NATURAL FULL JOIN (VALUES (2)) b (g)) s ON s.g = t.id ORDER BY 1

SELECT id FROM counters WHERE id IN (SELECT x FROM (regions CROSS JOIN (VALUES (77)) d (x)) AS j (x, nm, y)) ORDER BY 1

SELECT d.id, x.id FROM (VALUES (1), (2), (3)) d (id), LATERAL (SELECT z.id FROM counters z, (regions a CROSS JOIN (VALUES (77)) d (id)) AS j WHERE z.id = d.id AND j.region_id = 1) x ORDER BY 1

WITH b (id) AS (VALUES (77)) SELECT count(*) FROM counters WHERE id IN (WITH RECURSIVE a AS (SELECT id FROM b), b (id) AS (VALUES (1), (2), (3)) SELECT id FROM a)

INSERT INTO documents VALUES ('11', 1, 'x'), ('12', 1, 'y'), ('100', 1, 'z'), ('a', 1, 'a')

SELECT tenant FROM documents WHERE tenant = ANY (array[011, 12, 1e2]::text[]) ORDER BY 1

SELECT tenant FROM documents WHERE tenant IN (SELECT unnest(array[011, 12, 013]::text[])) ORDER BY 1

SELECT tenant FROM documents, unnest(array['011', '12']::int[]) AS d (id) WHERE tenant = d.id::text ORDER BY 1

SELECT tenant FROM documents WHERE tenant = ANY (array[' 11 ', '12']::text[]) ORDER BY 1

SELECT tenant FROM documents WHERE tenant = N'a '

SELECT tenant FROM documents WHERE tenant IN (N'a ', '11') ORDER BY 1

SELECT tenant FROM documents, (VALUES (N'a ')) AS d (id) WHERE tenant = d.id

-- what is read first is read once

WITH r AS (SELECT g, random() AS u FROM generate_series(801, 803) g), i AS (INSERT INTO counters (id, hits, label) SELECT g, 1, u::text FROM r RETURNING id, label) SELECT count(*) FROM r JOIN i ON r.u::text = i.label

WITH r AS (SELECT g, random() AS carried FROM generate_series(804, 806) g), i AS (INSERT INTO counters (id, hits, label) SELECT g, 1, carried::text FROM r RETURNING id, label) SELECT count(*) FROM r JOIN i ON r.carried::text = i.label

WITH s AS (SELECT id FROM counters WHERE id > 800 ORDER BY id LIMIT 2), d AS (DELETE FROM counters WHERE id IN (SELECT id FROM s) RETURNING id) SELECT * FROM d ORDER BY id

WITH d AS (DELETE FROM counters WHERE id > 800 RETURNING id) UPDATE customers SET age = 40 WHERE customer_id IN (1, 2)

--: refused 22023
DELETE FROM empty WHERE id = (SELECT avg(age) FROM customers)

--: refused 22023
DELETE FROM empty WHERE id IN (SELECT x::numeric FROM generate_series(1, 3) x)

--: refused 22023
DELETE FROM empty WHERE id = (SELECT 2::numeric)

--: refused 22023
UPDATE empty SET n = 9 FROM unnest('{1.5,2}'::float8[]) d (k) WHERE id = d.k

--: refused 22023
DELETE FROM empty USING (SELECT sum(x) AS s FROM generate_series(1::bigint, 3) x) q WHERE id = q.s

--: refused 22023
UPDATE empty SET n = 9 FROM (VALUES (1), (2)) g (g), regions WHERE id = g

--: refused 22023
UPDATE empty SET n = 9 FROM jsonb_to_recordset('[{"id": 3, "n": 9}]') AS r (id numeric, n int) WHERE empty.id = r.id

-- what is compared under a collation of its own

--: refused 0A000
WITH d AS (UPDATE customers SET age = age WHERE customer_id IN (1, 2, 6) RETURNING name COLLATE "C" AS n) SELECT n FROM d ORDER BY n
