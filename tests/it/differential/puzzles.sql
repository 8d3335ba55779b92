-- Names that could be taken for others: scopes, aliases, qualifiers
SELECT o.order_id FROM orders o WHERE EXISTS (SELECT FROM customers WHERE age > 40 AND region = product) ORDER BY o.customer_id, 1

SELECT c.customer_id FROM customers c WHERE EXISTS (SELECT FROM products WHERE price > 1 AND product_id = region) ORDER BY 1

SELECT c.customer_id FROM customers c WHERE (SELECT count(*) FROM orders WHERE product = region AND amount > balance) > 0 ORDER BY 1

SELECT customers.customer_id FROM customers, orders WHERE customers.age > 30 AND orders.product = customers.region AND orders.amount > 5 ORDER BY 1, orders.customer_id, orders.order_id

SELECT public.customers.customer_id FROM public.customers JOIN public.orders ON public.orders.product = public.customers.region WHERE public.orders.amount > 5 ORDER BY 1, public.orders.customer_id, public.orders.order_id

SELECT "c".customer_id FROM customers AS "c" JOIN orders AS "O" ON "O".product = "c".region WHERE "O".amount > 5 AND "c"."age" > 30 ORDER BY 1, "O".customer_id, "O".order_id

SELECT a.x FROM customers AS a (x, y, z) JOIN orders o ON o.product = a.z WHERE a.z > 30 OR o.amount > 5 ORDER BY 1

SELECT a.x FROM customers AS a (x, name2, age2) JOIN orders o ON o.product = a.age2 - 35 WHERE age2 > 30 ORDER BY 1, o.customer_id, o.order_id

SELECT orders.customer_id FROM customers AS orders JOIN orders AS customers ON customers.product = orders.region WHERE orders.age > 30 AND customers.amount > 5 ORDER BY 1, customers.customer_id, customers.order_id

SELECT t.customer_id FROM (customers c JOIN orders o ON o.product = c.region AND c.age > 30) AS t (customer_id) ORDER BY 1, amount

SELECT a.customer_id FROM customers a WHERE EXISTS (SELECT FROM orders a WHERE a.amount > 50 AND a.product = 3) AND a.vip ORDER BY 1

SELECT a.customer_id FROM customers a WHERE a.region IN (SELECT a.product FROM orders a WHERE a.amount > 50) ORDER BY 1

SELECT a.customer_id FROM customers a, LATERAL (SELECT FROM orders b WHERE b.product = a.region AND a.age > 30 AND b.amount > 1 LIMIT 1) l ORDER BY 1

SELECT c.customer_id FROM customers c WHERE c.age > 30 AND c.age < 30 UNION SELECT 5

SELECT age AS balance, balance AS age FROM customers WHERE age > 30 EXCEPT SELECT 0, 0 ORDER BY age, balance

SELECT c.customer_id, age, o.note FROM customers c, orders o WHERE age = 36 AND note = 'big' ORDER BY 1

-- Conditions of all sorts on a join that no key helps
SELECT count(*) FROM facts f, customers c WHERE f.i2 = c.region AND f.b AND c.vip

SELECT count(*) FROM facts f, customers c WHERE f.i2 = c.region AND NOT f.b AND NOT (c.vip AND c.age > 30)

SELECT count(*) FROM facts f, customers c WHERE f.i4 = c.region + 6 AND (f.t, f.v) = ('apple', 'apple')

SELECT count(*) FROM facts f JOIN customers c ON f.i2 = c.region WHERE f.ts BETWEEN '2019-01-01' AND '2021-01-01' AND c.joined IS NOT NULL

SELECT count(*) FROM facts f JOIN customers c ON f.i2 = c.region WHERE f.d = 'infinity' OR f.tz > '2020-01-01 00:00:00+02'

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.n = 'NaN' OR f.f8 = 'NaN'

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.u = '00000000-0000-0000-0000-000000000001' AND f.by = '\x01'

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.j = '{"a": 1}' AND f.a = '{1,2}'

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.iv = interval '1 day' AND f.tm < time '12:00'

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.i8 < f.i4 OR f.i8 = f.id

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.t < f.v

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.t > 'B' AND f.v <> ''

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.i4 IS DISTINCT FROM 0 AND f.f4 IS NOT NULL

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.id IN (1, 2, 3.0, '4') AND f.i4 NOT IN (0, 7)

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.i4 NOT IN (0, NULL)

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.id = ANY ('{1,2,7}') AND f.t <> ALL (ARRAY['zebra', 'x'])

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.t LIKE '%p%' AND f.t NOT LIKE 'A%' AND f.t LIKE E'%\\pple'

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.t SIMILAR TO '(apple|zebra)' AND f.t ~ 'p'

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.n > -1.5 + 0.5 * 2 AND f.i4 > - 10 AND f.i4 < + 200000

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.d > date '2020-01-01' - 1 AND f.d < CAST('2025-01-01' AS date)

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE 0 < f.i4 AND '2000-01-01' < f.d AND 'a' <= f.t

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE (f.i4 > 0) = (c.age > 30)

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE true AND f.i4 > 0 AND NOT false

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE NULL OR f.i4 > 0

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.i4 /* a comment ( */ > 0 -- and another )
 AND f.b

SELECT count(*) FROM facts f JOIN customers c ON f.i2 >= c.region WHERE f.t = 'it''s' OR f.t = $$apple$$ OR f.t = E'zebra' OR f.t = U&'\0041pple'

SELECT count(*) FROM customers c JOIN orders o ON o.product = c.region WHERE c.name = 'ähre' OR o.note = 'größe'

SELECT count(*) FROM customers c JOIN orders o ON o.product = c.region WHERE (c.age > 30 OR c.vip) AND (o.amount > 5 OR o.note IS NULL) AND (c.age < 60 OR o.amount < 1000)

SELECT count(*) FROM customers c JOIN orders o ON o.product = c.region WHERE (c.age > 30 AND o.amount > 5) OR (c.age <= 30 AND o.amount <= 5) OR (c.age IS NULL AND o.note = 'x')

SELECT count(*) FROM customers c JOIN orders o ON o.product = c.region WHERE NOT ((c.age > 30 AND o.amount > 5) OR (c.vip AND o.amount > 1))

SELECT count(*) FROM customers c JOIN orders o ON o.product = c.region WHERE CASE WHEN c.age > 30 THEN o.amount > 5 END

-- Outer joins of several tables
SELECT c.customer_id, o.order_id, p.title FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.amount > 5 LEFT JOIN products p ON p.product_id = o.product AND p.price > 1 ORDER BY 1, o.customer_id, 2

SELECT c.customer_id, o.order_id, f.id FROM customers c LEFT JOIN orders o ON o.product = c.region LEFT JOIN facts f ON f.i2 = o.product AND o.amount > 5 AND f.b ORDER BY 1, o.customer_id, 2, 3

SELECT c.customer_id, o.order_id, f.id FROM customers c LEFT JOIN (orders o JOIN facts f ON f.i2 = o.product AND f.b) ON o.product = c.region AND o.amount > 5 ORDER BY 1, o.customer_id, 2, 3

SELECT c.customer_id, o.order_id, f.id FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.amount > 5 JOIN facts f ON f.i2 = o.product WHERE f.b ORDER BY 1, o.customer_id, 2, 3

SELECT c.customer_id, o.order_id, f.id FROM facts f RIGHT JOIN (customers c RIGHT JOIN orders o ON o.product = c.region AND c.vip) ON f.i2 = o.product AND f.b ORDER BY o.customer_id, 2, 1, 3

SELECT c.customer_id, o.order_id FROM customers c FULL JOIN orders o ON o.product = c.region AND c.vip LEFT JOIN facts f ON f.id = c.customer_id AND f.b WHERE f.id IS NULL ORDER BY 1, o.customer_id, 2

SELECT c.customer_id FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.amount > 5 WHERE o.amount IS NULL OR o.amount > 50 ORDER BY 1, o.customer_id, o.order_id

SELECT c.customer_id, count(o.order_id) FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.amount > 5 AND c.age > 30 GROUP BY c.customer_id HAVING count(o.order_id) < 2 ORDER BY 1

SELECT c.customer_id, coalesce(sum(o.amount), 0) FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.note LIKE '%i%' WHERE c.region < 3 GROUP BY c.customer_id ORDER BY 1

SELECT a.customer_id, b.customer_id FROM customers a LEFT JOIN customers b ON b.age = a.age AND b.vip AND NOT a.vip ORDER BY 1, 2

SELECT a.customer_id FROM customers a LEFT JOIN customers b ON b.region = a.region AND b.age > 40 WHERE a.age < 40 AND b.customer_id IS NULL ORDER BY 1

-- Partners by the key beside other tables
SELECT c.name, o.amount, p.customer_id FROM customers c JOIN orders o ON o.customer_id = c.customer_id JOIN customers p ON p.region = o.product WHERE c.age > 30 AND o.amount > 2 AND p.vip ORDER BY c.customer_id, o.order_id, 3

SELECT c.name, count(*) FROM customers c JOIN orders o USING (customer_id) JOIN facts f ON f.i2 = o.product WHERE c.vip GROUP BY c.name ORDER BY 1

SELECT c.customer_id, (SELECT max(f.i4) FROM facts f WHERE f.i2 = c.region) FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.customer_id AND o.amount > 5) ORDER BY 1

SELECT c.customer_id, (SELECT max(f.i4) FROM facts f WHERE f.i2 = c.region) FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.customer_id AND o.amount > 5) ORDER BY 1

SELECT c.customer_id, f.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.amount > 5 JOIN facts f ON f.i2 = c.region WHERE c.age > 20 ORDER BY 1, 2, o.order_id

SELECT o.customer_id, o.order_id FROM orders o WHERE o.customer_id IN (SELECT c.customer_id FROM customers c WHERE c.age > 30) AND o.product IN (SELECT f.i2 FROM facts f WHERE f.b) ORDER BY 1, 2

SELECT o.customer_id, o.order_id FROM orders o WHERE o.customer_id NOT IN (SELECT c.customer_id FROM customers c WHERE c.age > 30) AND o.product IN (SELECT f.i2 FROM facts f WHERE f.b) ORDER BY 1, 2

SELECT a.customer_id, b.order_id FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.order_id < b.order_id JOIN facts f ON f.i2 = a.product WHERE a.amount > 5 AND f.id < 5 ORDER BY 1, 2, f.id

SELECT c.region, sum(o.amount) - 0 FROM customers c JOIN orders o ON o.customer_id = c.customer_id WHERE c.age > 20 AND o.placed > '2024-01-01+00' GROUP BY c.region ORDER BY 1

SELECT c.region, count(DISTINCT o.product), max(o.amount) / 2 FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.amount > 2 GROUP BY c.region HAVING max(o.amount) > 1 ORDER BY 1

SELECT d.tenant, count(*) + 0 FROM documents d JOIN pages p ON p.tenant = d.tenant AND p.doc = d.doc WHERE d.title <> 'one' AND p.page > 0 GROUP BY d.tenant ORDER BY 1

SELECT d.tenant, c.name FROM documents d JOIN pages p ON p.tenant = d.tenant AND p.doc = d.doc JOIN customers c ON c.region = p.page WHERE d.title LIKE 'o%' AND c.vip ORDER BY 1, c.customer_id

SELECT v.label, f.id FROM devices v JOIN facts f ON f.u = v.device_id WHERE f.id < 5 ORDER BY 2

SELECT v.label FROM devices v WHERE v.device_id IN (SELECT u FROM facts WHERE b) OR v.seen > '2024-01-02' ORDER BY 1

-- Derived tables between
SELECT d.region, c.name FROM (SELECT region, max(age) AS oldest FROM customers GROUP BY region) d JOIN customers c ON c.region = d.region AND c.age = d.oldest WHERE d.oldest > 30 ORDER BY 1, c.customer_id

SELECT d.region FROM (SELECT region, count(*) AS n FROM customers WHERE vip GROUP BY region) d JOIN orders o ON o.product = d.region WHERE d.n > 0 AND o.amount > 5 ORDER BY 1, o.customer_id, o.order_id

SELECT d.customer_id FROM (SELECT customer_id, region FROM customers ORDER BY balance DESC NULLS LAST LIMIT 5) d JOIN orders o ON o.product = d.region ORDER BY 1, o.customer_id, o.order_id

SELECT d.customer_id FROM (SELECT DISTINCT ON (region) customer_id, region FROM customers ORDER BY region, customer_id) d JOIN orders o ON o.product = d.region WHERE d.customer_id > 1 ORDER BY 1, o.customer_id, o.order_id

SELECT d.region, o.order_id FROM (SELECT region FROM customers UNION SELECT region_id FROM regions) d LEFT JOIN orders o ON o.product = d.region AND o.amount > 5 ORDER BY 1, o.customer_id, 2

SELECT o.order_id, d.place FROM (SELECT region, row_number() OVER (ORDER BY customer_id) AS place FROM customers) d JOIN orders o ON o.product = d.region WHERE d.region = 1 ORDER BY 2, o.customer_id, 1

WITH d AS (SELECT region, age FROM customers WHERE age > 30) SELECT o.order_id FROM orders o JOIN d ON d.region = o.product WHERE o.amount > (SELECT avg(age) FROM d) ORDER BY o.customer_id, 1, d.age

WITH t (a, b) AS (VALUES (1, 'x'), (2, 'y')), c AS (SELECT * FROM customers WHERE region IN (SELECT a FROM t)) SELECT c.customer_id, t.b FROM c JOIN t ON t.a = c.region WHERE t.b = 'x' ORDER BY 1

SELECT x.s FROM (SELECT sum(age) AS s FROM customers WHERE region = 1) x, (SELECT count(*) AS n FROM orders WHERE product = 1) y WHERE x.s > y.n

SELECT (SELECT sum(n) FROM (SELECT count(*) AS n FROM orders WHERE product = c.region GROUP BY customer_id) z) FROM customers c WHERE c.age > 30 ORDER BY c.customer_id

-- Values bound
--: with 30 | 5 | vip
SELECT c.customer_id, o.order_id FROM customers c JOIN orders o ON o.product = c.region WHERE c.age > $1 AND o.amount > $2::numeric AND $3 = 'vip' ORDER BY 1, o.customer_id, 2

--: with 1 | \N
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.product = c.region AND o.amount > $1 AND o.note = $2

--: with 2 | 2
SELECT count(*) FROM customers c JOIN orders o ON o.product = c.region AND o.product = $1 AND c.region = $1 AND o.order_id < $2 + 1

--: with {1,2} | 2020-01-01
SELECT c.customer_id FROM customers c JOIN orders o ON o.product = c.region WHERE c.region = ANY ($1::int[]) AND c.joined >= $2::date ORDER BY 1, o.customer_id, o.order_id

--: with 7 | 36
SELECT c.customer_id + $1::int FROM customers c JOIN orders o ON o.product = c.region WHERE c.age = $2 GROUP BY c.customer_id HAVING count(*) > 0 ORDER BY 1

-- What TABLE names is read, too: the parser crate does not say enough of it.
WITH c AS (SELECT customer_id, name FROM customers) SELECT * FROM c WHERE customer_id = 5 UNION ALL TABLE c

-- A derived table that is not LATERAL does not see what stands beside it, but what is further out.
SELECT t.customer_id, t.order_id FROM orders t WHERE EXISTS (SELECT 1 FROM customers t, (SELECT 1 FROM orders i WHERE i.customer_id = t.customer_id) d WHERE t.customer_id = 5) ORDER BY 1, 2

SELECT a.customer_id, a.order_id FROM orders a WHERE EXISTS (SELECT 1 FROM customers a, orders u JOIN customers v ON v.customer_id = a.customer_id AND u.customer_id = 5 WHERE a.customer_id = 5) ORDER BY 1, 2

-- constants of types whose names the parser crate does not read

SELECT count(*) FROM customers WHERE inet '10.0.0.1' <<= inet '10.0.0.0/8' AND int4range '[1,5)' @> age % 7

SELECT customer_id FROM customers WHERE customer_id = oid '5' OR region < money '3' / money '1' ORDER BY 1

UPDATE counters SET label = label WHERE id = oid '5' AND id IN (5, 6)
