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
