-- Window functions
SELECT customer_id, row_number() OVER (ORDER BY age NULLS FIRST, customer_id), rank() OVER (PARTITION BY region ORDER BY balance, customer_id) FROM customers ORDER BY customer_id

SELECT customer_id, age, lag(age) OVER (ORDER BY customer_id), sum(age) OVER (ORDER BY customer_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM customers ORDER BY customer_id

SELECT DISTINCT first_value(name) OVER (PARTITION BY region ORDER BY customer_id) FROM customers ORDER BY 1

SELECT * FROM (SELECT customer_id, order_id, amount, dense_rank() OVER (PARTITION BY customer_id ORDER BY amount DESC NULLS LAST) AS place FROM orders) ranked WHERE place = 1 ORDER BY customer_id, order_id

-- ROWS ONLY is about rows, and not about inheritance
SELECT c.customer_id, l.what FROM customers c FULL JOIN loose l ON l.id = c.customer_id ORDER BY 1, 2 OFFSET 2 ROWS FETCH FIRST 3 ROWS ONLY

-- Grouping sets, HAVING, expressions over aggregates
SELECT region, vip, count(*), sum(balance) FROM customers GROUP BY GROUPING SETS ((region), (vip), ()) ORDER BY 1, 2, 3

SELECT region, grouping(region), count(*) FROM customers GROUP BY ROLLUP (region) ORDER BY 2, 1

SELECT region, round(avg(balance), 3), max(age) - min(age) FROM customers GROUP BY region HAVING count(*) > 1 ORDER BY region

SELECT count(DISTINCT region), count(DISTINCT age) FILTER (WHERE vip), sum(DISTINCT age) FROM customers

SELECT string_agg(name, ', ' ORDER BY customer_id DESC), array_agg(age ORDER BY customer_id) FROM customers

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age), mode() WITHIN GROUP (ORDER BY name) FROM customers

SELECT stddev_samp(age), var_pop(balance), regr_count(age, customer_id) FROM customers

SELECT json_agg(name ORDER BY customer_id) FROM customers WHERE region = 2

-- The primary key makes the other columns of its table known to GROUP BY
SELECT c.customer_id, c.name, c.age, count(o.order_id) FROM customers c LEFT JOIN orders o ON o.amount > c.age GROUP BY c.customer_id ORDER BY c.customer_id

-- Joins by other columns
SELECT a.name, b.name FROM customers a JOIN customers b ON a.age = b.age AND a.customer_id < b.customer_id ORDER BY a.customer_id, b.customer_id

SELECT c.customer_id, o.order_id FROM customers c FULL JOIN orders o ON o.order_id = c.customer_id AND o.product = 1 ORDER BY 1, 2

SELECT c.name, r.name FROM regions r LEFT JOIN customers c ON c.region = r.region_id ORDER BY c.customer_id, r.region_id

SELECT d.title, c.name FROM documents d JOIN customers c ON c.customer_id = d.doc ORDER BY d.tenant, d.doc

SELECT s.name, c.customer_id FROM settings s JOIN customers c ON length(s.name) = c.customer_id ORDER BY s.name

SELECT c.customer_id, l.amount FROM customers c CROSS JOIN LATERAL (SELECT o.amount FROM orders o WHERE o.product = c.region ORDER BY o.customer_id, o.order_id LIMIT 2) l ORDER BY 1, 2

-- Subqueries of any kind
SELECT name FROM customers c WHERE balance > (SELECT avg(balance) FROM customers i WHERE i.region = c.region) ORDER BY customer_id

SELECT customer_id, (SELECT count(*) FROM orders o WHERE o.product = c.region) FROM customers c ORDER BY 1

SELECT customer_id FROM customers WHERE age = ANY (SELECT order_id * 25 FROM orders) ORDER BY 1

SELECT customer_id FROM customers WHERE (age, region) IN (SELECT age, region FROM customers GROUP BY age, region HAVING count(*) > 1) ORDER BY 1

SELECT EXISTS (SELECT FROM orders WHERE amount > 500), NOT EXISTS (SELECT FROM orders WHERE amount > 5000)

-- Set operations
SELECT customer_id FROM customers EXCEPT SELECT customer_id FROM orders ORDER BY 1

SELECT customer_id FROM customers INTERSECT SELECT order_id FROM orders ORDER BY 1

SELECT name, 'customer' FROM customers WHERE customer_id < 3 UNION SELECT title, 'product' FROM products ORDER BY 1, 2

(SELECT customer_id FROM customers ORDER BY balance DESC NULLS LAST LIMIT 2) UNION ALL (SELECT customer_id FROM customers ORDER BY balance LIMIT 2) ORDER BY 1

-- WITH, also under the name of a table, and recursive
WITH customers AS (SELECT customer_id, age FROM customers WHERE age > 30) SELECT count(*), sum(age) FROM customers

WITH RECURSIVE chain(id, n) AS (SELECT 1::bigint, 0 UNION ALL SELECT c.customer_id, n + 1 FROM chain JOIN customers c ON c.customer_id = chain.id + 1 WHERE n < 5) SELECT * FROM chain ORDER BY n

WITH totals AS (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id), best AS (SELECT max(total) AS top FROM totals) SELECT t.customer_id, t.total FROM totals t, best b WHERE t.total = b.top

-- Columns by position, by name of the row, or all of them
SELECT * FROM customers ORDER BY 2, 1

SELECT c FROM customers c WHERE age > (SELECT avg(age) FROM customers) ORDER BY customer_id

SELECT row_to_json(o) FROM orders o WHERE amount = (SELECT max(amount) FROM orders)

SELECT count(o) FROM orders o JOIN customers c ON c.age = o.order_id * 12

SELECT x, y FROM orders AS o (x, y) WHERE y = (SELECT max(order_id) FROM orders) ORDER BY 1

SELECT * FROM customers NATURAL JOIN (SELECT customer_id, max(amount) AS most FROM orders GROUP BY customer_id) best ORDER BY customer_id

SELECT count(*) FROM (TABLE customers EXCEPT TABLE customers) none

SELECT * FROM (TABLE orders) o ORDER BY o.customer_id, o.order_id LIMIT 3

SELECT DISTINCT ON (region) * FROM customers ORDER BY region, customer_id DESC

SELECT age * 2 AS twice, (age) * (age) AS square FROM customers WHERE age * 1 > (SELECT avg(age) FROM customers) ORDER BY customer_id

-- Names with their schema
SELECT public.customers.name, o.amount FROM public.customers JOIN public.orders o ON public.customers.age = o.order_id * 12 ORDER BY 1, 2

SELECT "public"."customers".age FROM "public"."customers" ORDER BY 1 NULLS FIRST, (SELECT count(*) FROM public.orders)

SELECT 'public.customers', count(*) + 0 FROM customers

-- Values that text would not keep
SELECT id, f4, f8, n, b, t, d, ts, tz, tm, iv, u, by, j, a FROM facts WHERE id <= (SELECT max(id) FROM facts) ORDER BY id

SELECT max(tz) - min(tz) FILTER (WHERE tz > '1970-01-01' AND tz < '2100-01-01') IS NULL, sum(f8) + 0 FROM facts WHERE id < 3

-- Keys that are bound
SELECT count(*) + 1 FROM customers WHERE customer_id IN (1, 2, 3)

SELECT a.name, b.name FROM customers a, customers b WHERE a.customer_id = 1 AND b.customer_id = 2

SELECT count(*) * 2 FROM customers WHERE customer_id = NULL

-- Parameters
--: with 30 | 2
SELECT region, count(*) + $2::int FROM customers WHERE age > $1::int GROUP BY region HAVING count(*) >= $2::int - 1 ORDER BY region

--: with 5
SELECT customer_id, row_number() OVER (ORDER BY customer_id) FROM public.customers ORDER BY 1 LIMIT $1::int

-- Errors are PostgreSQL's own
SELECT sum(age) / (count(*) - 12) FROM customers

SELECT count(*) + nothing FROM customers

SELECT c.customer_id, count(*) + 1 FROM customers c

-- What copies cannot show
--: refused 0A000
SELECT count(*) + 1 FROM customers WHERE ctid IS NOT NULL

--: refused 0A000
SELECT count(*) + 1, min(tableoid) FROM customers

-- ONLY of tables without children, and samples
SELECT count(*) + 1 FROM ONLY customers

SELECT rank() OVER (ORDER BY a.age, a.customer_id), a.name FROM ONLY (customers) a JOIN ONLY public.orders o ON o.order_id = a.customer_id

SELECT count(*) + 1 FROM customers TABLESAMPLE system (100)

SELECT count(*) + (SELECT count(*) FROM orders TABLESAMPLE bernoulli (0)) FROM customers TABLESAMPLE BERNOULLI (100)

--: refused 0A000
SELECT count(*) + 1 FROM customers TABLESAMPLE system (100) REPEATABLE (1)

-- Comparisons with lists of VALUES
SELECT name FROM customers WHERE customer_id = ANY (VALUES (1), (2), (3)) ORDER BY name

SELECT name FROM customers WHERE customer_id = SOME (VALUES (2))

SELECT name FROM customers WHERE customer_id =ANY(VALUES (1), (NULL)) AND age < ALL (VALUES (100), (200))

SELECT count(*) FROM customers WHERE customer_id <> ALL (VALUES (1), (2))

SELECT count(*) FROM customers WHERE customer_id <> ALL (VALUES (1))

SELECT count(*) FROM customers WHERE customer_id = ALL (VALUES (1))

SELECT count(*) FROM customers WHERE customer_id = ALL (VALUES (1), (2))

SELECT count(*) FROM customers WHERE customer_id > ANY (VALUES (1), (2))

SELECT name FROM customers WHERE customer_id = (VALUES (2))

SELECT count(*) FROM customers WHERE customer_id <> (VALUES (2))

SELECT count(*) FROM customers WHERE NOT customer_id = ANY (VALUES (2), (3))

SELECT (VALUES (2)) + count(*) FROM customers WHERE customer_id < (VALUES (7))

SELECT count(*) FROM orders WHERE (customer_id, order_id) = ANY (VALUES (1, 1), (2, 2))

UPDATE customers SET age = age + 1 WHERE customer_id = ANY (VALUES (1), (2))

UPDATE customers SET age = age - 1 WHERE customer_id IN (VALUES (1), (2))

--: refused 0A000
SELECT a.name FROM customers a JOIN customers b ON a.age = b.age FOR UPDATE

--: refused 0A000
SELECT count(*) + pg_backend_pid() FROM customers

-- What depends on the search path and on settings of one's own
SELECT count(*) + 1, current_schema, current_schema() FROM customers

SELECT name, current_schema FROM customers ORDER BY name LIMIT 2

SET app.least = '30'

SELECT count(*) + current_setting('app.least')::int FROM customers WHERE age > current_setting('app.least')::int

SELECT name FROM customers WHERE age > current_setting('app.least')::int ORDER BY name

SELECT name FROM customers WHERE customer_id = nullif(current_setting('app.nobody', true), '')::bigint

RESET app.least

--: refused 0A000
SELECT name FROM customers WHERE name = current_setting('data_directory')

-- Either end may be the lower one
SELECT name FROM customers WHERE age BETWEEN SYMMETRIC 50 AND 20 ORDER BY name

SELECT name FROM customers WHERE age NOT BETWEEN SYMMETRIC 50 AND 20 ORDER BY name

SELECT name FROM customers WHERE customer_id BETWEEN SYMMETRIC 5 AND 2 ORDER BY name

SELECT count(*) + 1 FROM customers c JOIN orders o ON o.order_id BETWEEN SYMMETRIC c.age AND 1 WHERE c.age BETWEEN SYMMETRIC 40 AND 2 AND o.amount < ALL (VALUES (1000), (2000))

SELECT region FROM customers GROUP BY region HAVING count(*) BETWEEN SYMMETRIC 3 AND 2 ORDER BY 1
