-- Conditions that go to the shards, and those that must not
SELECT c.name, o.amount FROM customers c JOIN orders o ON o.product = c.region WHERE c.age > 30 AND o.amount BETWEEN 1 AND 100 ORDER BY c.customer_id, o.customer_id, o.order_id

SELECT c.customer_id, o.order_id FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.amount > 5 WHERE c.vip IS NOT TRUE ORDER BY 1, o.customer_id, 2

SELECT c.customer_id FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.amount > 5 WHERE o.order_id IS NULL ORDER BY 1

SELECT c.customer_id FROM customers c LEFT JOIN orders o ON o.product = c.region WHERE o.amount > 5 OR o.amount IS NULL ORDER BY 1, o.customer_id, o.order_id

SELECT c.customer_id, o.order_id FROM customers c RIGHT JOIN orders o ON o.product = c.region AND c.age > 30 WHERE o.amount < 10 ORDER BY o.customer_id, 2, 1

SELECT c.customer_id, o.order_id FROM customers c FULL JOIN orders o ON o.product = c.region AND c.age > 30 AND o.amount < 10 ORDER BY 1, o.customer_id, 2

SELECT c.customer_id, o.order_id FROM customers c FULL JOIN orders o ON o.product = c.region WHERE c.age > 30 OR o.amount < 2 ORDER BY 1, o.customer_id, 2

SELECT a.customer_id, b.customer_id FROM customers a LEFT JOIN (customers b JOIN regions r ON r.region_id = b.region AND r.name = 'south') ON b.age = a.age ORDER BY 1, 2

SELECT a.customer_id, b.customer_id FROM customers a JOIN customers b ON a.age = b.age AND a.customer_id < b.customer_id AND b.vip ORDER BY 1, 2

SELECT count(*) FROM customers a, customers b WHERE a.age = 36 AND b.age = 25

SELECT count(*) FROM customers a, customers b WHERE (a.age = 36 AND b.age = 25) OR (a.age = 19 AND b.region = 1)

SELECT count(*) FROM customers a, orders o WHERE (a.age = 36 AND o.product = 1) OR a.age = 19

SELECT count(*) FROM customers a, orders o WHERE NOT (a.age = 36 OR o.product = 1)

SELECT name FROM customers WHERE name LIKE 'A%' UNION SELECT title FROM products WHERE price < 2 ORDER BY 1

SELECT name FROM customers WHERE name LIKE '\_%' OR name ILIKE 'a%' GROUP BY name HAVING count(*) > 1

SELECT customer_id FROM customers WHERE substring(name from 1 for 1) IN ('A', 'I', 'i') EXCEPT SELECT order_id FROM orders ORDER BY 1

SELECT customer_id FROM customers WHERE joined >= date '2020-01-01' AND joined < date '2020-01-01' + interval '1' year EXCEPT SELECT 1 ORDER BY 1

SELECT id FROM facts WHERE i4 IN (100000, -5, NULL) UNION ALL SELECT id FROM empty ORDER BY 1

SELECT id FROM facts WHERE t = ANY (ARRAY['apple', 'zebra']) UNION SELECT id FROM facts WHERE b IS NULL ORDER BY 1

SELECT id FROM facts WHERE n IS NOT DISTINCT FROM 1.10 UNION SELECT id FROM facts WHERE (n > 0) IS UNKNOWN ORDER BY 1

SELECT f.id, g.id FROM facts f JOIN facts g ON f.t = g.t AND f.id <> g.id WHERE f.d > '2000-01-01' ORDER BY 1, 2

SELECT f.id, g.id FROM facts f JOIN facts g ON f.i8 = g.id ORDER BY 1, 2

SELECT f.id, g.id FROM facts f JOIN facts g ON f.f8 = g.n ORDER BY 1, 2

SELECT f.id FROM facts f JOIN facts g ON f.n = g.f8 JOIN facts h ON h.id = g.i8 WHERE f.id > 0 ORDER BY 1

-- Errors that a plain server would not raise either, and those that it does
SELECT count(*) + 0 FROM facts WHERE i4 <> 0 AND 100 / i4 > 1

SELECT count(*) + 0 FROM facts WHERE CASE WHEN i4 <> 0 THEN 100 / i4 > 1 ELSE false END

--: own words
SELECT count(*) + 0 FROM facts WHERE i4 = 'no number'

SELECT count(*) + 0 FROM facts WHERE d = '2020-13-01'

SELECT count(*) + 0 FROM facts WHERE nobody = 1

SELECT customer_id, count(*) + 0 FROM customers WHERE age > 3

-- Self joins and anti joins
SELECT a.customer_id FROM customers a WHERE NOT EXISTS (SELECT FROM customers b WHERE b.age = a.age AND b.customer_id <> a.customer_id) ORDER BY 1

SELECT a.customer_id FROM customers a WHERE EXISTS (SELECT FROM customers b WHERE b.age = a.age AND b.customer_id <> a.customer_id AND b.vip) ORDER BY 1

SELECT a.customer_id FROM customers a LEFT JOIN customers b ON b.age = a.age AND b.customer_id > a.customer_id WHERE b.customer_id IS NULL ORDER BY 1

SELECT customer_id FROM customers WHERE age NOT IN (SELECT product FROM orders) ORDER BY 1

SELECT customer_id FROM customers WHERE age NOT IN (SELECT product FROM orders WHERE product IS NOT NULL) ORDER BY 1

SELECT customer_id FROM customers WHERE region NOT IN (SELECT product FROM orders WHERE amount > 50 AND product IS NOT NULL) ORDER BY 1

SELECT customer_id FROM customers WHERE region NOT IN (SELECT order_id FROM orders WHERE amount > 50000) ORDER BY 1

SELECT customer_id FROM customers WHERE region IN (SELECT product FROM orders WHERE amount > 5) ORDER BY 1

SELECT customer_id, region IN (SELECT product FROM orders WHERE amount > 50) AS found FROM customers ORDER BY 1

SELECT customer_id FROM customers WHERE (region, age) NOT IN (SELECT product, order_id FROM orders) ORDER BY 1

SELECT customer_id FROM customers WHERE age > ALL (SELECT product FROM orders WHERE product IS NOT NULL) ORDER BY 1

SELECT customer_id FROM customers WHERE age > ALL (SELECT product FROM orders) ORDER BY 1

SELECT customer_id FROM customers WHERE age < SOME (SELECT age FROM customers WHERE vip) ORDER BY 1

SELECT a.age, count(*) FROM customers a JOIN customers b USING (age) GROUP BY a.age ORDER BY 1

SELECT age, count(*) FROM customers a JOIN customers b USING (age) WHERE age > 30 GROUP BY age ORDER BY 1

SELECT age, a.customer_id, b.customer_id FROM customers a LEFT JOIN (SELECT age, customer_id FROM customers WHERE vip) b USING (age) WHERE age > 30 ORDER BY 1, 2, 3

SELECT age, a.customer_id FROM customers a FULL JOIN (SELECT product AS age FROM orders) b USING (age) WHERE age > 2 ORDER BY 1, 2

-- Correlated subqueries
SELECT customer_id, (SELECT max(amount) FROM orders o WHERE o.product = c.region) FROM customers c ORDER BY 1

SELECT customer_id, (SELECT count(*) FROM orders o WHERE o.product = c.region AND o.amount > 5 AND c.age > 30) FROM customers c ORDER BY 1

SELECT customer_id FROM customers c WHERE balance >= (SELECT avg(amount) FROM orders WHERE product = c.region) ORDER BY 1

SELECT customer_id FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.product = c.region AND EXISTS (SELECT FROM products p WHERE p.product_id = o.product AND p.price >= 2)) ORDER BY 1

SELECT customer_id FROM customers c WHERE (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id AND o.product = 1) = (SELECT count(*) FROM orders o WHERE o.customer_id <> c.customer_id AND o.product = c.region) ORDER BY 1

SELECT customer_id, EXISTS (SELECT FROM orders o WHERE o.amount > c.balance AND o.product = 3) FROM customers c ORDER BY 1

SELECT customer_id, ARRAY(SELECT o.order_id FROM orders o WHERE o.product = c.region ORDER BY 1) FROM customers c ORDER BY 1

SELECT name FROM customers c WHERE age = (SELECT max(age) FROM customers d WHERE d.region = c.region) ORDER BY customer_id

SELECT name FROM customers c WHERE 2 > (SELECT count(DISTINCT d.age) FROM customers d WHERE d.region IS NOT DISTINCT FROM c.region AND d.age > c.age) ORDER BY customer_id

SELECT region, (SELECT r.name FROM regions r WHERE r.region_id = c.region) AS what, count(*) FROM customers c GROUP BY region HAVING count(*) > (SELECT count(*) FROM regions) - 1 ORDER BY 1

SELECT p.product_id, (SELECT string_agg(o.note, '+' ORDER BY o.customer_id, o.order_id) FROM orders o WHERE o.product = p.product_id) FROM products p ORDER BY 1

-- LATERAL
SELECT r.region_id, t.customer_id FROM regions r, LATERAL (SELECT c.customer_id FROM customers c WHERE c.region = r.region_id ORDER BY c.balance DESC NULLS LAST, 1 LIMIT 2) t ORDER BY 1, 2

SELECT r.region_id, t.n FROM regions r LEFT JOIN LATERAL (SELECT count(*) AS n FROM customers c WHERE c.region = r.region_id AND c.vip) t ON true ORDER BY 1

SELECT c.customer_id, x FROM customers c CROSS JOIN LATERAL generate_series(1, c.region) x WHERE c.age > 30 ORDER BY 1, 2

SELECT c.customer_id, x.i FROM customers c, LATERAL unnest(ARRAY[c.age, c.region]) WITH ORDINALITY AS x (v, i) WHERE x.v > 30 ORDER BY 1, 2

SELECT o.order_id, z.double FROM orders o, LATERAL (SELECT o.amount * 2 AS double) z, LATERAL (SELECT z.double + 1 AS more) y WHERE y.more > 20 ORDER BY o.customer_id, 1

SELECT g, (SELECT count(*) FROM customers WHERE age >= g) FROM generate_series(20, 70, 10) g ORDER BY 1

SELECT g, count(c.customer_id) FROM generate_series(1, 5) g LEFT JOIN customers c ON c.region = g GROUP BY g ORDER BY g

SELECT d::date, count(o.order_id) FROM generate_series(timestamp '2024-01-01', timestamp '2024-01-06', interval '1 day') d LEFT JOIN orders o ON o.placed >= d AT TIME ZONE 'UTC' AND o.placed < (d + interval '1 day') AT TIME ZONE 'UTC' GROUP BY d ORDER BY d

-- CASE in all places
SELECT CASE WHEN age > 40 THEN 'old' WHEN age IS NULL THEN 'none' ELSE 'young' END AS what, count(*) + 0 FROM customers GROUP BY 1 ORDER BY 1

SELECT CASE region WHEN 1 THEN 'one' WHEN 2 THEN 'two' END AS r, sum(CASE WHEN vip THEN balance ELSE 0 END) - 0 FROM customers GROUP BY CASE region WHEN 1 THEN 'one' WHEN 2 THEN 'two' END ORDER BY r NULLS FIRST

SELECT customer_id FROM customers a WHERE CASE WHEN age > 30 THEN region = 1 ELSE vip END UNION SELECT 0 ORDER BY CASE WHEN true THEN 1 END

SELECT a.customer_id, b.customer_id FROM customers a JOIN customers b ON CASE WHEN a.region = 1 THEN b.region = 2 ELSE b.region = a.region END ORDER BY 1, 2

SELECT count(CASE WHEN age > 30 THEN 1 END) * 100.0 / count(*) FROM customers

SELECT coalesce(region, -1), nullif(count(*), 3), greatest(max(age), 40), least(min(age), 20) FROM customers GROUP BY coalesce(region, -1) ORDER BY 1

SELECT region FROM customers GROUP BY region HAVING CASE WHEN count(*) > 3 THEN true ELSE bool_and(vip) END ORDER BY 1

-- Set operations, nested
(SELECT customer_id FROM customers WHERE age > 30 UNION SELECT order_id FROM orders) INTERSECT SELECT product FROM orders ORDER BY 1

SELECT customer_id FROM customers EXCEPT (SELECT customer_id FROM orders UNION ALL SELECT order_id FROM orders) ORDER BY 1

SELECT region FROM customers UNION ALL SELECT product FROM orders ORDER BY 1 NULLS FIRST LIMIT 7 OFFSET 3

SELECT region FROM customers INTERSECT ALL SELECT product FROM orders ORDER BY 1

SELECT product FROM orders EXCEPT ALL SELECT region FROM customers ORDER BY 1

SELECT x, count(*) FROM (SELECT region AS x FROM customers UNION ALL SELECT product FROM orders UNION ALL SELECT region_id FROM regions) u GROUP BY x ORDER BY x

SELECT * FROM (SELECT customer_id AS id, 'c' AS kind FROM customers UNION ALL SELECT order_id, 'o' FROM orders) u WHERE id = 3 ORDER BY kind

(SELECT name FROM customers ORDER BY balance DESC NULLS LAST LIMIT 2) UNION ALL (SELECT title FROM products ORDER BY price LIMIT 1) ORDER BY 1

SELECT 1 WHERE EXISTS (SELECT customer_id FROM customers INTERSECT SELECT product FROM orders)

VALUES (1, (SELECT count(*) FROM customers)), (2, (SELECT count(*) FROM orders)) ORDER BY 1

SELECT v.a, count(c.customer_id) FROM (VALUES (1), (2), (9)) v (a) LEFT JOIN customers c ON c.region = v.a GROUP BY v.a ORDER BY v.a

SELECT c.customer_id FROM customers c JOIN (VALUES (36, 1), (25, 2)) v (age, region) USING (age, region) ORDER BY 1

-- WITH, recursive too
WITH old AS (SELECT * FROM customers WHERE age > 40), rich AS (SELECT * FROM customers WHERE balance > 10) SELECT o.name, r.name FROM old o JOIN rich r ON r.region = o.region ORDER BY o.customer_id, r.customer_id

WITH totals AS (SELECT region, sum(balance) AS total FROM customers GROUP BY region) SELECT region FROM totals WHERE total = (SELECT max(total) FROM totals)

WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 12) SELECT n, (SELECT name FROM customers WHERE customer_id = n) FROM up ORDER BY n

WITH RECURSIVE reach AS (SELECT customer_id, age FROM customers WHERE customer_id = 1 UNION SELECT c.customer_id, c.age FROM customers c JOIN reach r ON c.age BETWEEN r.age - 12 AND r.age + 12) SELECT customer_id FROM reach ORDER BY 1

WITH customers AS (SELECT 1 AS customer_id) SELECT customers.customer_id, o.order_id FROM customers JOIN orders o ON o.order_id = customers.customer_id ORDER BY 1, 2, o.customer_id

WITH c AS (SELECT customer_id, age FROM customers WHERE vip) SELECT a.customer_id, b.customer_id FROM c a JOIN c b ON a.age < b.age ORDER BY 1, 2

WITH c AS MATERIALIZED (SELECT region, age FROM customers) SELECT region, max(age) - min(age) FROM c WHERE region = 1 GROUP BY region

WITH a AS (SELECT region FROM customers WHERE age = 36), b AS (SELECT product FROM orders WHERE product IN (SELECT region FROM a)) SELECT count(*) FROM b

-- Windows and frames
SELECT customer_id, sum(balance) OVER (PARTITION BY region ORDER BY customer_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM customers WHERE age > 20 ORDER BY 1

SELECT customer_id, avg(age) OVER (ORDER BY customer_id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM customers ORDER BY 1

SELECT customer_id, count(*) OVER (ORDER BY age RANGE BETWEEN 5 PRECEDING AND 5 FOLLOWING) FROM customers WHERE age IS NOT NULL ORDER BY 1

SELECT customer_id, count(*) OVER (ORDER BY age GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM customers WHERE age IS NOT NULL ORDER BY 1

--: refused 0A000
SELECT customer_id, count(*) OVER (ORDER BY age GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM customers WHERE age IS NOT NULL ORDER BY 1

SELECT customer_id, ntile(3) OVER w, percent_rank() OVER w, cume_dist() OVER w FROM customers WINDOW w AS (ORDER BY customer_id) ORDER BY 1

SELECT customer_id, lead(name, 2, 'none') OVER (ORDER BY customer_id), nth_value(age, 3) OVER (ORDER BY customer_id) FROM customers ORDER BY 1

SELECT region, sum(count(*)) OVER (ORDER BY region NULLS LAST) FROM customers GROUP BY region ORDER BY 1

SELECT region, rank() OVER (ORDER BY sum(balance) DESC NULLS LAST) FROM customers GROUP BY region ORDER BY 2, 1

SELECT * FROM (SELECT customer_id, order_id, row_number() OVER (PARTITION BY product ORDER BY amount DESC NULLS LAST, customer_id) AS place FROM orders) o WHERE place = 1 ORDER BY 1, 2

SELECT customer_id, sum(age) FILTER (WHERE vip) OVER (ORDER BY customer_id) FROM customers ORDER BY 1

-- Aggregates of all sorts
SELECT count(*) FILTER (WHERE vip), count(DISTINCT region) FILTER (WHERE age > 30), sum(age) FILTER (WHERE false) FROM customers

SELECT region, count(DISTINCT age), sum(DISTINCT age), avg(DISTINCT age) FROM customers GROUP BY region ORDER BY region

SELECT region, array_agg(customer_id ORDER BY customer_id DESC), string_agg(DISTINCT name, ',' ORDER BY name) FROM customers GROUP BY region ORDER BY region

SELECT jsonb_agg(customer_id ORDER BY customer_id), jsonb_object_agg(customer_id, name ORDER BY customer_id) FROM customers

SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY balance), percentile_cont(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY age) FROM customers

SELECT rank(30) WITHIN GROUP (ORDER BY age), dense_rank(30) WITHIN GROUP (ORDER BY age) FROM customers

SELECT mode() WITHIN GROUP (ORDER BY age) FROM customers WHERE age IN (36, 25, 36, 19)

SELECT bit_and(i4), bit_or(i4), bool_and(b), every(b), bool_or(b) FROM facts

SELECT corr(age, customer_id)::numeric(8, 5), regr_slope(age, customer_id)::numeric(8, 5), covar_pop(age, customer_id)::numeric(12, 5) FROM customers WHERE age IS NOT NULL

SELECT variance(age), stddev(age), var_samp(balance) FROM customers

SELECT count(*), count(age), sum(age), max(age) FROM customers WHERE false HAVING count(*) = 0

SELECT sum(balance) / nullif(count(*), 0), max(age) * 2, min(age) || '!' FROM customers

SELECT round(avg(balance), 2), ceil(avg(age)), sum(age)::numeric / count(age) FROM customers

SELECT 100 * sum(balance) FILTER (WHERE vip) / sum(balance) FROM customers

SELECT region, 100.0 * count(*) / (SELECT count(*) FROM customers) AS share FROM customers GROUP BY region HAVING count(*) > 1 ORDER BY share DESC, region

SELECT age / 10 * 10 AS decade, count(*) - 1, sum(balance) + 0 FROM customers GROUP BY age / 10 HAVING sum(balance) > 0 ORDER BY 1

SELECT product, sum(amount) AS total FROM orders GROUP BY product HAVING sum(amount) > 10 AND count(*) > 1 ORDER BY total DESC

SELECT product, avg(amount) AS mean FROM orders GROUP BY product ORDER BY mean DESC NULLS LAST

SELECT product, count(*) FROM orders GROUP BY product ORDER BY count(*) DESC, avg(amount), product

SELECT max(amount) - min(amount), max(placed) - min(placed) FROM orders

SELECT extract(year FROM placed AT TIME ZONE 'UTC') AS year, count(*) + 0, sum(amount) FROM orders GROUP BY 1 ORDER BY 1

SELECT date_trunc('month', placed AT TIME ZONE 'UTC') AS month, sum(amount) + 0 FROM orders WHERE placed >= '2024-01-01+00' GROUP BY 1 ORDER BY 1

SELECT region, vip, count(*), grouping(region, vip) FROM customers GROUP BY CUBE (region, vip) ORDER BY 4, 1, 2

SELECT region, vip, sum(balance) FROM customers GROUP BY ROLLUP (region, vip) ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3

SELECT region, vip, age, count(*) FROM customers GROUP BY GROUPING SETS ((region, vip), (age), ()) HAVING count(*) > 1 ORDER BY 1, 2, 3, 4

SELECT region, count(*) FROM customers GROUP BY GROUPING SETS (region, ()), vip ORDER BY 1, 2, vip

-- DISTINCT and DISTINCT ON
SELECT DISTINCT ON (region) region, customer_id, balance FROM customers ORDER BY region, balance DESC NULLS LAST, customer_id

SELECT DISTINCT ON (product) * FROM orders WHERE amount > 1 ORDER BY product, amount, customer_id

SELECT DISTINCT region, count(*) OVER (PARTITION BY region) FROM customers ORDER BY 1

SELECT count(*) FROM (SELECT DISTINCT region, vip FROM customers) d

SELECT DISTINCT count(*) FROM orders GROUP BY product ORDER BY 1

SELECT DISTINCT age % 2 FROM customers WHERE age > 20 ORDER BY 1

-- json, arrays, text
SELECT id, j ->> 'a' FROM facts WHERE jsonb_typeof(j) = 'object' UNION SELECT id, 'none' FROM facts WHERE j IS NULL ORDER BY 1

SELECT k, count(*) FROM facts, LATERAL jsonb_object_keys(CASE WHEN jsonb_typeof(j) = 'object' THEN j ELSE '{}' END) k GROUP BY k ORDER BY k

SELECT x, count(*) FROM facts, unnest(a) AS x GROUP BY x ORDER BY x

SELECT id, cardinality(a), a[1], a || 9 FROM facts WHERE a IS NOT NULL AND 2 = ANY (a) UNION ALL SELECT 0, 0, 0, '{}' ORDER BY 1

SELECT array_agg(DISTINCT region ORDER BY region), array_length(array_agg(customer_id), 1) FROM customers

SELECT to_jsonb(c) -> 'name' FROM (SELECT name, age FROM customers WHERE age > 40) c ORDER BY 1

SELECT row_to_json(t)::text FROM (SELECT region, count(*) AS n FROM customers GROUP BY region) t ORDER BY 1

SELECT upper(left(name, 1)) AS l, count(*) + 0 FROM customers WHERE name <> '' GROUP BY 1 ORDER BY 1

SELECT string_agg(x, '') FROM (SELECT left(name, 1) AS x FROM customers WHERE name > 'B' ORDER BY customer_id) t

-- What EXISTS selects does not matter, unless it is compared before
SELECT customer_id FROM customers c WHERE EXISTS (SELECT * FROM orders o WHERE o.product = c.region AND o.amount > 50) ORDER BY 1

SELECT customer_id FROM customers c WHERE EXISTS (SELECT * FROM regions INTERSECT SELECT c.region, 'south') ORDER BY 1

SELECT customer_id FROM customers c WHERE NOT EXISTS (SELECT * FROM (SELECT customer_id, product FROM orders) o EXCEPT SELECT c.customer_id, p.product_id FROM products p) ORDER BY 1

TABLE counters ORDER BY id

TABLE products

TABLE customers ORDER BY age DESC NULLS LAST, customer_id LIMIT 3

(TABLE counters UNION ALL TABLE counters) ORDER BY id

WITH w AS (TABLE orders) SELECT count(*) FROM w

SELECT * FROM customers WHERE customer_id IN (SELECT id FROM (TABLE counters) x) ORDER BY 1

TABLE settings

TABLE nowhere

TABLE orders FOR UPDATE

BEGIN

TABLE counters ORDER BY id FOR UPDATE

ROLLBACK

-- Functions of the session beside rows of several shards
SELECT current_user, count(*) FROM customers

SELECT customer_id, session_user = current_user, current_role FROM customers ORDER BY customer_id LIMIT 3

SELECT pg_typeof(customer_id), pg_typeof(name), customer_id FROM customers ORDER BY customer_id LIMIT 2

SELECT version() LIKE 'PostgreSQL%', customer_id FROM customers ORDER BY customer_id LIMIT 2

SELECT current_database() IS NOT NULL, count(*) FROM customers
