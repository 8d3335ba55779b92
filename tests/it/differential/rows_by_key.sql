-- Windows, groups and DISTINCT ON by the sharding key: no shard needs another's rows
SELECT customer_id, order_id, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) FROM orders ORDER BY 1, 2

SELECT order_id, sum(amount) OVER w, lag(order_id) OVER w, count(*) OVER (PARTITION BY customer_id) FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY order_id) ORDER BY customer_id DESC, order_id LIMIT 7

SELECT order_id, first_value(amount) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders WINDOW v AS (PARTITION BY customer_id), w AS (v ORDER BY order_id) ORDER BY customer_id, order_id OFFSET 2

SELECT product, ntile(2) OVER (PARTITION BY product, customer_id ORDER BY order_id), customer_id FROM orders ORDER BY customer_id, order_id, product

SELECT customer_id, order_id FROM orders ORDER BY rank() OVER (PARTITION BY customer_id ORDER BY amount NULLS LAST), customer_id, order_id LIMIT 6

SELECT customer_id, sum(amount), rank() OVER (PARTITION BY customer_id ORDER BY sum(amount)), array_agg(order_id ORDER BY order_id) FROM orders GROUP BY customer_id ORDER BY 1

SELECT customer_id, product, sum(amount), sum(sum(amount)) OVER (PARTITION BY customer_id ORDER BY product NULLS FIRST) FROM orders GROUP BY customer_id, product ORDER BY 1, 2 NULLS FIRST

SELECT DISTINCT customer_id, max(amount) OVER (PARTITION BY customer_id) FROM orders ORDER BY 1

SELECT DISTINCT customer_id, count(*) FROM orders GROUP BY customer_id, product ORDER BY 1, 2

SELECT DISTINCT ON (customer_id) customer_id, order_id, amount FROM orders ORDER BY customer_id, amount DESC NULLS LAST, order_id

SELECT DISTINCT ON (1) customer_id, amount FROM orders ORDER BY 1 DESC, amount LIMIT 3

SELECT DISTINCT ON (o.customer_id) o.*, c.name FROM orders o JOIN customers c ON c.customer_id = o.customer_id ORDER BY o.customer_id, o.order_id DESC

SELECT customer_id, string_agg(note, '|' ORDER BY order_id), percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), json_agg(product ORDER BY order_id) FROM orders GROUP BY customer_id ORDER BY customer_id

-- Not by the key
SELECT customer_id, order_id, row_number() OVER (PARTITION BY product ORDER BY customer_id, order_id) FROM orders ORDER BY 1, 2

SELECT DISTINCT ON (product) product, customer_id, order_id FROM orders ORDER BY product, customer_id, order_id

SELECT c.customer_id, o.order_id, rank() OVER (PARTITION BY o.customer_id ORDER BY c.customer_id, o.order_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id ORDER BY 1, 2

SELECT o.customer_id, count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id GROUP BY o.customer_id ORDER BY 1

SELECT o.customer_id, count(*) FROM customers c JOIN orders o ON o.customer_id = c.customer_id GROUP BY o.customer_id HAVING count(*) > 1 ORDER BY 1

-- Subqueries whose rows stay on their shard
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC NULLS LAST, order_id) AS place FROM orders) ranked WHERE place <= 2 ORDER BY customer_id, place

SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) AS place FROM orders) x WHERE x.customer_id = 1 AND place = 2

SELECT * FROM (SELECT *, row_number() OVER (ORDER BY customer_id, order_id) AS place FROM orders) x WHERE x.customer_id = 5

SELECT avg(n), max(n), count(*) FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id) per_customer

SELECT n, count(*) FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id) per_customer GROUP BY n ORDER BY n

SELECT avg(n), max(n) FROM (SELECT count(*) AS n FROM orders GROUP BY product) per_product

SELECT customer_id, total FROM (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) x WHERE total > 5 ORDER BY total DESC, customer_id LIMIT 3

SELECT c.name, x.n FROM customers c JOIN (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) x USING (customer_id) ORDER BY c.customer_id

SELECT c.name, x.n FROM customers c LEFT JOIN (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) x ON x.customer_id = c.customer_id ORDER BY c.customer_id

SELECT r.name, count(x.customer_id) FROM (SELECT DISTINCT customer_id, region FROM customers) x JOIN regions r ON r.region_id = x.region GROUP BY r.name ORDER BY 1

SELECT r.name, x.customer_id FROM regions r LEFT JOIN (SELECT * FROM customers WHERE vip) x ON x.region = r.region_id ORDER BY r.region_id, x.customer_id

SELECT x.name, x.amount FROM (SELECT c.name, c.customer_id, o.order_id, o.amount FROM customers c JOIN orders o ON o.customer_id = c.customer_id) x ORDER BY x.customer_id, x.order_id

SELECT count(*), sum(t.amount) FROM (SELECT o.* FROM orders o WHERE EXISTS (SELECT FROM customers c WHERE c.customer_id = o.customer_id AND c.vip)) t

SELECT a.customer_id, a.s, b.n FROM (SELECT customer_id, sum(amount) AS s FROM orders GROUP BY customer_id) a JOIN (SELECT customer_id, count(*) AS n FROM customers GROUP BY customer_id) b ON a.customer_id = b.customer_id ORDER BY 1

SELECT a.customer_id, b.customer_id FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) a JOIN (SELECT customer_id, age AS n FROM customers) b ON a.n * 25 = b.n ORDER BY 1, 2

SELECT count(*) FROM (SELECT customer_id FROM orders LIMIT 5) x

SELECT * FROM (SELECT max(order_id) AS m, min(customer_id) FROM orders) x

SELECT customer_id FROM (SELECT customer_id FROM orders ORDER BY amount NULLS LAST, customer_id) x

SELECT customer_id, array_agg(order_id) FROM (SELECT customer_id, order_id FROM orders ORDER BY customer_id, order_id DESC) x GROUP BY customer_id ORDER BY customer_id

SELECT customer_id, (SELECT array_agg(o.order_id ORDER BY o.order_id) FROM orders o WHERE o.customer_id = c.customer_id), (SELECT string_agg(r.name, ',' ORDER BY r.region_id) FROM regions r) FROM customers c ORDER BY 1

SELECT c.customer_id, l.* FROM customers c CROSS JOIN LATERAL (SELECT o.order_id, rank() OVER (ORDER BY o.amount) FROM orders o WHERE o.customer_id = c.customer_id ORDER BY o.order_id LIMIT 2) l ORDER BY 1, 2

SELECT c.customer_id, l.* FROM customers c LEFT JOIN LATERAL (SELECT max(o.amount), array_agg(o.order_id ORDER BY o.order_id) FROM orders o WHERE o.customer_id = c.customer_id) l ON true ORDER BY 1

SELECT r.region_id, l.n FROM regions r CROSS JOIN LATERAL (SELECT count(*) AS n FROM customers c WHERE c.region = r.region_id) l ORDER BY 1

SELECT r.region_id, l.customer_id FROM regions r CROSS JOIN LATERAL (SELECT c.customer_id FROM customers c WHERE c.region = r.region_id) l ORDER BY 1, 2

-- The same behind WITH
WITH ranked AS (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY order_id DESC) AS place FROM orders) SELECT customer_id, order_id FROM ranked WHERE place = 1 ORDER BY customer_id

WITH x AS MATERIALIZED (SELECT * FROM customers), y AS (SELECT customer_id, age FROM x WHERE age > 30) SELECT count(*), avg(age) FROM y

WITH x AS (SELECT * FROM customers) SELECT name FROM x WHERE customer_id = 4

WITH x AS (SELECT * FROM customers) SELECT a.customer_id, b.customer_id FROM x a JOIN x b ON a.age = b.age AND a.customer_id < b.customer_id ORDER BY 1, 2

WITH x(k, n) AS (SELECT customer_id, count(*) FROM orders GROUP BY customer_id) SELECT k, n FROM x WHERE n > 1 ORDER BY k

WITH x AS (SELECT region, count(*) AS n FROM customers GROUP BY region) SELECT * FROM x ORDER BY region NULLS FIRST

WITH x AS (SELECT customer_id, region FROM customers), r AS (SELECT * FROM regions) SELECT r.name, count(*) FROM x JOIN r ON r.region_id = x.region GROUP BY r.name HAVING count(*) > 2 ORDER BY 1

WITH RECURSIVE x AS (SELECT customer_id AS k FROM orders UNION SELECT k + 100 FROM x WHERE k < 300) SELECT count(*), max(k) FROM x

WITH unread AS (SELECT 1 / 0 FROM orders), x AS (SELECT * FROM orders) SELECT count(*) FROM x

-- Conditions reach through *
SELECT name FROM (SELECT * FROM customers) x WHERE customer_id = 9

SELECT name FROM (SELECT c.*, 1 AS one FROM customers c) x WHERE customer_id IN (1, 9) ORDER BY name

SELECT x.name, o.order_id FROM (SELECT * FROM (SELECT * FROM customers) y) x JOIN orders o ON o.customer_id = x.customer_id WHERE x.customer_id = 1 ORDER BY o.order_id

SELECT name FROM (SELECT * FROM customers LIMIT 100) x WHERE customer_id = 9

SELECT x.name FROM (SELECT * FROM customers c JOIN orders o USING (customer_id)) x WHERE x.customer_id = 2 ORDER BY x.order_id

SELECT x.customer_id FROM (SELECT * FROM customers c JOIN orders o ON c.customer_id = o.customer_id) x WHERE x.customer_id = 2

SELECT x.customer_id FROM (SELECT *, lower(name) AS customer_id FROM customers) x WHERE x.customer_id = 2

SELECT x.region_id, x.name FROM (SELECT r.*, c.customer_id FROM regions r LEFT JOIN customers c ON c.region = r.region_id AND c.customer_id = 1) x WHERE x.customer_id IS NULL ORDER BY 1

-- DISTINCT ON names what is selected first
SELECT DISTINCT ON (customer_id) age AS customer_id, name FROM customers ORDER BY customer_id, name

SELECT count(*) FROM (SELECT DISTINCT ON (customer_id) region AS customer_id FROM customers) x

WITH x AS (SELECT customer_id AS k, order_id FROM orders) SELECT DISTINCT ON (k) order_id AS k FROM x ORDER BY k

SELECT DISTINCT ON (tenant) lower(tenant) AS tenant, doc FROM documents ORDER BY tenant, doc

SELECT DISTINCT ON (customer_id) customer_id::text || 'x' FROM orders ORDER BY customer_id

SELECT DISTINCT ON (lower) lower(tenant), doc FROM documents ORDER BY lower, doc

SELECT DISTINCT ON (tenant) tenant::varchar(1), doc FROM documents ORDER BY tenant, doc, title

SELECT x.id, x.k FROM (SELECT DISTINCT ON (id) id % 2 AS id, id AS k FROM counters ORDER BY id, k) x WHERE x.k = 3

SELECT c.id FROM counters c WHERE c.id IN (SELECT k FROM (SELECT DISTINCT ON (id) id % 2 AS id, id AS k FROM counters ORDER BY id, k) x) ORDER BY 1

BEGIN

DELETE FROM counters c USING (SELECT DISTINCT ON (id) id % 2 AS id, id AS k FROM counters ORDER BY id, k) x WHERE x.k = c.id

ROLLBACK

SELECT DISTINCT ON (orders.customer_id) order_id AS customer_id, product FROM orders ORDER BY orders.customer_id, order_id

SELECT DISTINCT ON ((customer_id)) order_id AS customer_id, customer_id AS k FROM orders ORDER BY 1, 2

SELECT count(*) FROM (SELECT DISTINCT ON ((customer_id)) order_id AS customer_id FROM orders) x

-- Aggregates that stand in ORDER BY or WINDOW alone make one row
SELECT 1 FROM customers ORDER BY count(*)

SELECT 'a' FROM customers WHERE age > 20 ORDER BY sum(age) LIMIT 5

SELECT count(*) FROM (SELECT 1 FROM customers ORDER BY count(*)) x

SELECT x FROM (SELECT 1 AS x FROM customers ORDER BY count(*)) y ORDER BY 1

SELECT 1 FROM customers WINDOW w AS (ORDER BY count(*))

SELECT x.one FROM ((SELECT 1 AS one FROM customers) ORDER BY count(*)) x

SELECT DISTINCT ON (count(*)) 5 FROM customers

-- Aggregates of the outer query that stand in a subquery
SELECT (SELECT max(c.age)) FROM customers c

SELECT coalesce((SELECT max(c.age)), 0), CASE WHEN true THEN (SELECT min(c.age)) END FROM customers c

SELECT ARRAY(SELECT max(c.age)) FROM customers c

SELECT 1 FROM customers c ORDER BY (SELECT max(c.age))

SELECT EXISTS (SELECT 1 FROM products HAVING max(c.age) > 5) FROM customers c

SELECT count(*) FROM (SELECT (SELECT max(c.age)) AS m FROM customers c) x

WITH x AS (SELECT (SELECT max(o.amount)) AS m FROM orders o) SELECT * FROM x

WITH x AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) SELECT (SELECT max(x.n)) FROM x

SELECT (SELECT max(age)) FROM customers

SELECT customer_id, (SELECT max(o.amount) FROM orders o WHERE o.customer_id = c.customer_id AND o.amount > c.age / 10) FROM customers c ORDER BY 1

BEGIN

DELETE FROM counters WHERE id IN (SELECT (SELECT max(d.id)) FROM counters d)

ROLLBACK

-- Keys that are equal only outside of the window
SELECT x.ak, rn FROM (SELECT a.customer_id AS ak, b.customer_id AS bk, row_number() OVER (PARTITION BY a.customer_id ORDER BY b.customer_id, b.order_id) AS rn FROM customers a, orders b) x WHERE x.ak = x.bk ORDER BY 1, 2

SELECT x.ak, rn FROM (SELECT a.customer_id AS ak, b.customer_id AS bk, row_number() OVER (PARTITION BY b.customer_id ORDER BY a.customer_id, b.order_id) AS rn FROM customers a JOIN orders b ON true) x WHERE x.ak = x.bk ORDER BY 1, 2

WITH x AS (SELECT a.*, b.customer_id AS b2, count(*) OVER (PARTITION BY a.customer_id ORDER BY b.customer_id) AS n FROM customers a, orders b) SELECT max(n), count(*) FROM x WHERE customer_id = b2

SELECT c.customer_id, x.n FROM customers c, LATERAL (SELECT o.customer_id, row_number() OVER (PARTITION BY c.customer_id ORDER BY customer_id, order_id) AS n FROM orders o) x WHERE x.customer_id = c.customer_id ORDER BY 1, 2

SELECT c.customer_id, x.order_id FROM customers c, LATERAL (SELECT DISTINCT ON (c.customer_id) o.customer_id, order_id FROM orders o ORDER BY c.customer_id, o.customer_id DESC, order_id) x WHERE x.customer_id = c.customer_id ORDER BY 1, 2

SELECT c.customer_id, x.n FROM customers c, LATERAL (SELECT o.order_id, row_number() OVER (PARTITION BY c.customer_id ORDER BY order_id) AS n FROM orders o WHERE o.customer_id = c.customer_id) x ORDER BY 1, 2

SELECT x.ak, n FROM (SELECT a.customer_id AS ak, b.customer_id AS bk, count(*) AS n FROM customers a, orders b GROUP BY a.customer_id, b.customer_id) x WHERE x.ak = x.bk ORDER BY 1

SELECT customer_id, count(*) FROM orders RIGHT JOIN customers USING (customer_id) GROUP BY customer_id ORDER BY 1

-- What is inserted where it is made
CREATE TABLE totals (customer_id bigint, place int, total numeric, notes text[], PRIMARY KEY (customer_id, place))

INSERT INTO totals (customer_id, place, total) SELECT customer_id, 0, sum(amount) FROM orders GROUP BY customer_id

SELECT * FROM totals ORDER BY 1, 2

INSERT INTO totals SELECT customer_id, place, amount, ARRAY[note] FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) AS place FROM orders) x WHERE place <= 2

SELECT * FROM totals ORDER BY 1, 2

INSERT INTO totals (customer_id, place, total) SELECT o.customer_id, 10, c.age FROM customers c JOIN orders o ON o.customer_id = c.customer_id WHERE o.order_id = 1 ON CONFLICT DO NOTHING

INSERT INTO totals (place, customer_id, total) SELECT 20, b.customer_id, count(*) FROM customers a JOIN customers b ON a.age = b.age GROUP BY b.customer_id

INSERT INTO totals (place, customer_id) SELECT 30, o.customer_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.order_id = 1 WHERE o.order_id IS NOT NULL

--: own words
INSERT INTO totals (place, customer_id) SELECT 40, o.customer_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.order_id = 1 WHERE c.customer_id = 3

INSERT INTO totals (customer_id, place, notes) SELECT DISTINCT ON (customer_id) customer_id, 50, ARRAY[note] FROM orders ORDER BY customer_id, order_id DESC

INSERT INTO totals (customer_id, place) WITH x AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) SELECT customer_id, 60 + n FROM x WHERE n > 1

INSERT INTO totals (customer_id, place, total) SELECT x.customer_id, 70, x.customer_id + r.region_id FROM (SELECT * FROM customers) x JOIN regions r ON r.region_id = x.region

INSERT INTO totals (customer_id, place) SELECT customer_id, 80 FROM orders ORDER BY amount NULLS LAST, customer_id LIMIT 2

INSERT INTO totals (customer_id, place, total) SELECT customer_id, 1, 0 FROM orders GROUP BY customer_id ON CONFLICT (customer_id, place) DO UPDATE SET total = totals.total + 1000 RETURNING customer_id, total

SELECT * FROM totals ORDER BY 1, 2

INSERT INTO totals (customer_id, place, total) SELECT customer_id, 90, count(*) FROM orders WHERE customer_id IN (1, 2, 5, 12) GROUP BY customer_id

INSERT INTO totals (customer_id, place, notes) SELECT x.customer_id, 91 + place, ARRAY[x.name] FROM (SELECT *, row_number() OVER (PARTITION BY customer_id) AS place FROM customers) x WHERE x.customer_id = ANY (ARRAY[3, 4, 11])

SELECT * FROM totals WHERE place >= 90 ORDER BY 1, 2

CREATE TABLE tallies (id int, n bigint, label text)

INSERT INTO tallies SELECT id, sum(hits), max(label) FROM counters GROUP BY id

INSERT INTO tallies (n, id) SELECT count(*), b.id FROM counters a JOIN counters b ON a.id = b.id GROUP BY b.id HAVING count(*) > 0

INSERT INTO tallies (n, id, label) SELECT place, id, 'numbered' FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY n) AS place FROM tallies) x WHERE place > 1

INSERT INTO tallies (id, label) SELECT DISTINCT c.id, r.name FROM counters c JOIN regions r ON r.region_id = c.id

INSERT INTO tallies (id, n) SELECT a.hits, b.id FROM counters a JOIN counters b ON a.hits = b.id

INSERT INTO tallies (id, n) SELECT id, n FROM tallies WHERE n > 1 RETURNING id

SELECT * FROM tallies ORDER BY 1, 2, 3

BEGIN

INSERT INTO counters (id, hits) SELECT id, rn FROM (SELECT d.id, e.id AS ei, row_number() OVER (PARTITION BY d.id ORDER BY e.id) AS rn FROM counters d, counters e) x WHERE x.id = x.ei ON CONFLICT (id) DO UPDATE SET hits = excluded.hits

SELECT id, hits FROM counters ORDER BY 1

ROLLBACK

-- One moment for the rows of all shards
TRUNCATE tallies

ALTER TABLE tallies ADD COLUMN made timestamptz DEFAULT now()

INSERT INTO tallies (id, n) SELECT id, count(*) FROM counters WHERE id IN (1, 2, 3, 4) GROUP BY id

SELECT count(DISTINCT made), count(*) > 3 FROM tallies

-- Tables of the session's own, beside rows of several shards
CREATE TEMP TABLE mine AS SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id

SELECT c.name, m.total FROM customers c JOIN mine m ON m.customer_id = c.customer_id ORDER BY c.customer_id

SELECT c.customer_id, (SELECT count(*) FROM mine) FROM customers c WHERE c.age > (SELECT avg(total) / 10 FROM mine) ORDER BY 1

SELECT region, count(*), sum(m.total) FROM customers c LEFT JOIN mine m USING (customer_id) GROUP BY region HAVING count(*) > 1 ORDER BY 1

CREATE TEMP TABLE loose AS SELECT 5 AS id, 'temporary' AS what, 1 AS more

SELECT l.*, c.name FROM loose l JOIN customers c ON c.customer_id = l.id

SELECT count(*) FROM orders o JOIN loose l ON l.more = o.customer_id WHERE l.what LIKE 't%'

INSERT INTO totals (customer_id, place, total) SELECT customer_id, 200, total FROM mine

SELECT count(*), sum(total) FROM totals WHERE place = 200

DROP TABLE loose

SELECT l.*, c.name FROM loose l JOIN customers c ON c.customer_id = l.id ORDER BY 1

DROP TABLE mine

SELECT count(*) + 1 FROM customers

-- Texts that differ in the position of a column alone
SELECT order_id FROM (SELECT DISTINCT ON (1) customer_id, order_id, amount FROM orders ORDER BY 1, 2) x WHERE customer_id = 1

SELECT order_id FROM (SELECT DISTINCT ON (2) customer_id, order_id, amount FROM orders ORDER BY 2, 1) x WHERE customer_id = 1

SELECT order_id FROM (SELECT DISTINCT ON (2) customer_id, order_id, amount FROM orders ORDER BY 2, 1 DESC) x WHERE customer_id = 2

SELECT order_id FROM (SELECT DISTINCT ON (1) customer_id, order_id, amount FROM orders ORDER BY 1, 2) x WHERE customer_id = 2

SELECT count(*) FROM customers c JOIN (SELECT customer_id, order_id, count(*) FROM orders GROUP BY 1, 2) x USING (customer_id) WHERE customer_id = 1

SELECT count(*) FROM customers c JOIN (SELECT customer_id, order_id, count(*) FROM orders GROUP BY 2, 1) x USING (customer_id) WHERE customer_id = 5

-- Aggregates whose columns only the tables tell
SELECT (SELECT max(age) FROM products) FROM customers

SELECT (SELECT max(price) FROM products) FROM customers

SELECT (SELECT max(price + age) FROM products) FROM customers c ORDER BY customer_id

SELECT count(*) FROM (SELECT (SELECT sum(balance) FROM regions) AS s FROM customers) x

SELECT customer_id, (SELECT count(name) FROM regions) FROM customers ORDER BY 1

SELECT 1 FROM customers ORDER BY (SELECT min(age) FROM regions WHERE region_id = 1)

SELECT (SELECT sum(age) FROM (VALUES (1)) v(z)) FROM customers

SELECT (SELECT sum(age) FROM generate_series(1, 1)) FROM customers

SELECT (SELECT count(c) FROM products WHERE product_id = 1) FROM customers c

SELECT (SELECT count(c.*) FROM products WHERE product_id = 1) FROM customers c

SELECT (SELECT count(o.*)) FROM orders o

SELECT (SELECT sum(price) + max(age) FROM products WHERE product_id = 1) FROM customers

SELECT customer_id, (SELECT max(n) FROM (SELECT o.amount AS n FROM orders o WHERE o.customer_id = c.customer_id) x) FROM customers c ORDER BY 1
