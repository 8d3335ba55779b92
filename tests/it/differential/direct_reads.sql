SELECT * FROM customers WHERE customer_id = 1

SELECT name, age FROM customers WHERE customer_id = '2'

SELECT * FROM customers WHERE 3 = customer_id

SELECT * FROM customers c WHERE c.customer_id = 4::bigint

SELECT * FROM public.customers WHERE customer_id = 5

SELECT * FROM "customers" WHERE "customer_id" = 5

SELECT * FROM customers WHERE customer_id = 99

SELECT * FROM customers WHERE customer_id = NULL

SELECT * FROM customers WHERE customer_id IS NULL

SELECT * FROM customers WHERE customer_id = 1 AND customer_id = 2

SELECT * FROM customers WHERE customer_id = 1 AND age > 100

SELECT * FROM customers WHERE customer_id = 1 OR customer_id = 2 ORDER BY customer_id

SELECT * FROM customers WHERE (customer_id = 1 AND age = 36) OR customer_id = 7 ORDER BY 1

SELECT * FROM customers WHERE customer_id = 1 OR age = 36 ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id IN (1, 2, 3, 99) ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id IN (7)

SELECT customer_id FROM customers WHERE customer_id IN (1, NULL)

SELECT customer_id FROM customers WHERE customer_id NOT IN (1, 2) ORDER BY customer_id

SELECT customer_id FROM customers WHERE NOT customer_id = 1 ORDER BY customer_id

SELECT customer_id FROM customers WHERE NOT (customer_id = 1 OR customer_id = 2) ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id = ANY ('{1,2,4}') ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id = ANY (ARRAY[1, 2, 4]) ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id = ANY ('{}')

SELECT customer_id FROM customers WHERE customer_id = ALL ('{1}')

SELECT customer_id FROM customers WHERE customer_id BETWEEN 2 AND 5 ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id BETWEEN 4 AND 4

SELECT customer_id FROM customers WHERE customer_id >= 4 AND customer_id <= 4

SELECT customer_id FROM customers WHERE (customer_id, age) = (1, 36)

SELECT customer_id FROM customers WHERE (customer_id, age) IN ((1, 36), (2, 25)) ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id = 1.0

SELECT customer_id FROM customers WHERE customer_id = 1.5

SELECT customer_id FROM customers WHERE customer_id = 1 + 1

SELECT customer_id FROM customers WHERE customer_id + 0 = 2

SELECT customer_id FROM customers WHERE customer_id = -(-2)

SELECT customer_id FROM customers WHERE customer_id = abs(-2)

SELECT customer_id FROM customers WHERE customer_id IS NOT DISTINCT FROM 2

SELECT customer_id FROM customers WHERE customer_id IS DISTINCT FROM 2 ORDER BY 1

SELECT customer_id FROM customers WHERE (customer_id = 2) IS TRUE

SELECT customer_id FROM customers WHERE (customer_id = 2) IS NOT TRUE ORDER BY 1

SELECT customer_id FROM customers WHERE customer_id = 2 IS FALSE ORDER BY 1

SELECT customer_id FROM customers WHERE coalesce(customer_id = 2, true)

SELECT customer_id FROM customers WHERE CASE WHEN customer_id = 2 THEN true ELSE age = 36 END ORDER BY 1

SELECT customer_id FROM customers WHERE customer_id = CASE WHEN true THEN 2 ELSE 3 END

SELECT customer_id FROM customers WHERE customer_id::text = '2'

SELECT customer_id FROM customers WHERE customer_id = 2::smallint

SELECT customer_id FROM customers WHERE customer_id = CAST('2' AS bigint)

SELECT customer_id FROM customers WHERE customer_id = bigint '2'

SELECT customer_id FROM customers WHERE customer_id = ' 2 '

SELECT customer_id FROM customers WHERE customer_id = 9223372036854775807

SELECT customer_id FROM customers WHERE customer_id = 9223372036854775808

SELECT customer_id FROM customers WHERE customer_id = '9223372036854775808'

SELECT customer_id FROM customers WHERE customer_id = 'abc'

SELECT customer_id FROM customers WHERE customer_id = 2e0

SELECT customer_id AS name, name AS customer_id FROM customers WHERE customer_id = 2

SELECT c.* FROM customers c, orders o WHERE c.customer_id = 1 AND o.customer_id = c.customer_id AND o.order_id = 2

SELECT c.name, o.order_id FROM customers c JOIN orders o USING (customer_id) WHERE customer_id = 1 ORDER BY order_id

SELECT c.name, o.order_id FROM customers c JOIN orders o ON o.customer_id = c.customer_id WHERE c.customer_id = 5 ORDER BY order_id

SELECT c.name, o.order_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id WHERE c.customer_id = 3

SELECT c.name, o.order_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.customer_id = 1 WHERE c.customer_id = 1 ORDER BY 2

SELECT c.name, o.order_id FROM customers c NATURAL JOIN orders o WHERE c.customer_id = 2 ORDER BY 2

SELECT c.name FROM customers c FULL JOIN orders o USING (customer_id) WHERE customer_id = 2

SELECT c.name, p.title FROM customers c JOIN orders o USING (customer_id) JOIN products p ON p.product_id = o.product WHERE c.customer_id = 1 ORDER BY o.order_id

SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id) FROM customers c WHERE c.customer_id = 1

SELECT name, (SELECT title FROM products WHERE product_id = 2) FROM customers c WHERE c.customer_id = 1

SELECT name FROM customers c WHERE c.customer_id = 1 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id)

SELECT name FROM customers WHERE customer_id = (SELECT 2)

SELECT name FROM customers WHERE customer_id = 2 AND region IN (SELECT region_id FROM regions)

SELECT * FROM (SELECT * FROM customers WHERE customer_id = 2) s

SELECT s.c FROM (SELECT customer_id AS c, age FROM customers) s WHERE s.c = 2

WITH one AS (SELECT * FROM customers WHERE customer_id = 1) SELECT name FROM one

WITH one AS (SELECT * FROM customers) SELECT name FROM one WHERE customer_id = 1

WITH a AS (SELECT * FROM customers WHERE customer_id = 1), o AS (SELECT * FROM orders WHERE customer_id = 1) SELECT a.name, o.order_id FROM a, o ORDER BY 2

WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r ORDER BY n

WITH customers AS (SELECT 42 AS customer_id) SELECT * FROM customers

SELECT customer_id FROM customers WHERE customer_id = 1 UNION SELECT customer_id FROM customers WHERE customer_id = 1

SELECT count(*), sum(amount), avg(amount), min(note), max(placed) FROM orders WHERE customer_id = 1

SELECT product, count(*) FROM orders WHERE customer_id = 1 GROUP BY product HAVING count(*) > 1 ORDER BY product

SELECT order_id, sum(amount) OVER (ORDER BY order_id) FROM orders WHERE customer_id = 1 ORDER BY order_id

SELECT DISTINCT ON (product) product, order_id FROM orders WHERE customer_id = 1 ORDER BY product, order_id

SELECT string_agg(note, ',' ORDER BY order_id) FROM orders WHERE customer_id = 1

SELECT array_agg(order_id ORDER BY order_id DESC) FROM orders WHERE customer_id = 1

SELECT * FROM orders WHERE customer_id = 1 ORDER BY order_id LIMIT 1 OFFSET 1

SELECT * FROM orders WHERE customer_id = 1 ORDER BY order_id FETCH FIRST 2 ROWS ONLY

SELECT * FROM orders WHERE customer_id = 1 ORDER BY order_id FOR UPDATE

SELECT title FROM documents WHERE tenant = 'acme' ORDER BY doc

SELECT title FROM documents WHERE tenant = 'Acme'

SELECT title FROM documents WHERE tenant = 'größe'

SELECT title FROM documents WHERE tenant = ''

SELECT title FROM documents WHERE tenant = 'it''s'

SELECT title FROM documents WHERE tenant = E'it\'s'

SELECT title FROM documents WHERE tenant = $$it's$$

SELECT title FROM documents WHERE tenant = U&'gr\00f6\00dfe'

SELECT title FROM documents WHERE tenant = 'ac' 

SELECT title FROM documents WHERE tenant = 'ac' || 'me' ORDER BY doc

SELECT title FROM documents WHERE tenant LIKE 'acme' ORDER BY doc

SELECT title FROM documents WHERE tenant ILIKE 'acme' ORDER BY doc, title

SELECT title FROM documents WHERE lower(tenant) = 'acme' ORDER BY doc, title

SELECT title FROM documents WHERE tenant = 'acme'::varchar ORDER BY doc

SELECT title FROM documents WHERE tenant = 'acme '

SELECT title FROM documents WHERE tenant = 'acme '::char(5) ORDER BY doc

SELECT title FROM documents WHERE tenant = 'acme'::name ORDER BY doc

SELECT title FROM documents WHERE tenant IN ('acme', 'Acme') ORDER BY title

SELECT d.title, p.body FROM documents d JOIN pages p USING (tenant, doc) WHERE d.tenant = 'acme' ORDER BY doc, page

SELECT label FROM devices WHERE device_id = '00000000-0000-0000-0000-000000000001'

SELECT label FROM devices WHERE device_id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'

SELECT label FROM devices WHERE device_id = 'A0EEBC999C0B4EF8BB6D6BB9BD380A11'::uuid

SELECT label FROM devices WHERE device_id = '{b0eebc999c0b4ef8bb6d6bb9bd380a11}'

SELECT label FROM devices WHERE device_id = 'nonsense'

SELECT label FROM devices WHERE device_id IN ('ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000001') ORDER BY label

SELECT label FROM counters WHERE id = 3

SELECT label FROM counters WHERE id = 3::bigint

SELECT label FROM counters WHERE id = 3000000000

SELECT label FROM counters WHERE id = '3000000000'

SELECT n FROM strict WHERE id = 1

--: refused 22023
SELECT n FROM strict

--: refused 22023
SELECT n FROM strict WHERE n = 1

SELECT n FROM strict WHERE id IN (1, 2) ORDER BY 1

--: with 1
SELECT * FROM customers WHERE customer_id = $1

--: with \N
SELECT * FROM customers WHERE customer_id = $1

--: with 1 | 36
SELECT name FROM customers WHERE age = $2 AND customer_id = $1

--: with 1 | 2 | 7
SELECT name FROM customers WHERE customer_id IN ($1, $2, $3) ORDER BY customer_id

--: with {1,2,4}
SELECT name FROM customers WHERE customer_id = ANY ($1) ORDER BY customer_id

--: with {1,NULL}
SELECT name FROM customers WHERE customer_id = ANY ($1) ORDER BY customer_id

--: with {}
SELECT name FROM customers WHERE customer_id = ANY ($1)

--: with \N
SELECT name FROM customers WHERE customer_id = ANY ($1)

--: with {1,2,4}
SELECT name FROM customers WHERE customer_id = ANY ($1::bigint[]) ORDER BY customer_id

--: with {1,2,4}
SELECT name FROM customers WHERE customer_id = ANY ($1::int[]) ORDER BY customer_id

--: with 1
SELECT name FROM customers WHERE customer_id = $1::int

--: with 1
SELECT name FROM customers WHERE customer_id = $1::text::bigint

--: with 1
SELECT name FROM customers WHERE customer_id = $1 + 1

--: with 1.5
SELECT name FROM customers WHERE customer_id = $1::numeric

--: with abc
SELECT name FROM customers WHERE customer_id = $1

--: with 1 | 1
SELECT name FROM customers WHERE customer_id = $1 AND customer_id = $2

--: with 1 | 2
SELECT name FROM customers WHERE customer_id = $1 AND customer_id = $2

--: with 1
SELECT $1::int + 1, name FROM customers WHERE customer_id = 2

--: with acme
SELECT title FROM documents WHERE tenant = $1 ORDER BY doc

--: with acme
SELECT title FROM documents WHERE tenant = $1::varchar ORDER BY doc

--: with a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
SELECT label FROM devices WHERE device_id = $1

--: with 3
SELECT label FROM counters WHERE id = $1

SELECT 1

SELECT 1 AS a, 'x' AS b, NULL, 1.50, true, now() IS NOT NULL

SELECT

VALUES (1, 'a'), (2, 'b')

TABLE regions

SELECT current_database() = current_database(), version() = version()

SELECT current_user, session_user

SELECT pg_typeof(1), 1 + 1, 'a' || 'b'

SELECT * FROM generate_series(1, 3) g ORDER BY g
