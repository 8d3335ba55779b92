-- one shard

MERGE INTO customers c USING (SELECT 1 AS id) s ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET age = age + 1

MERGE INTO customers AS c USING (VALUES (1, 'one'), (1000, 'new')) AS s(id, n) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET name = s.n WHEN NOT MATCHED THEN INSERT (customer_id, name) VALUES (s.id, s.n)

MERGE INTO customers USING (VALUES (1, 'two', NULL), (2, NULL, 5), (3, 'x', 6), (1001, 'new', 7), (1002, NULL, NULL)) s(id, n, a) ON customer_id = id WHEN MATCHED AND s.n IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET name = s.n, age = s.a WHEN NOT MATCHED THEN INSERT (customer_id, name, age, balance) VALUES (id, n, a, a * 2.5)

SELECT * FROM customers ORDER BY customer_id

MERGE INTO customers c USING (VALUES (1), (4), (5), (99)) s(id) ON c.customer_id = s.id WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN DO NOTHING

MERGE INTO customers c USING (VALUES (4, 1), (4, 2), (5, 1)) s(id, n) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET age = s.n

MERGE INTO customers c USING (VALUES (4.0), (5.5), (7)) s(id) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET vip = true

MERGE INTO customers c USING (VALUES ('4'), ('5')) s(id) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET vip = true

MERGE INTO customers c USING (VALUES (7, now()), (8, current_timestamp)) s(id, t) ON c.customer_id = s.id AND s.t = now() WHEN MATCHED THEN UPDATE SET joined = '2024-01-01'

MERGE INTO customers c USING (VALUES (7, 1), (8, 1), (9, 1)) s(id, n) ON c.customer_id = s.id AND c.age > 40 WHEN MATCHED THEN DELETE

SELECT customer_id, age, vip, joined FROM customers ORDER BY customer_id

MERGE INTO customers c USING (VALUES (7, 1), (8, 1), (9, 1)) s(id, n) ON c.customer_id = s.id AND c.age > 40 WHEN NOT MATCHED AND s.id > 7 THEN INSERT VALUES (s.id, 'again', 1, 2, 3, '2020-01-01', false) WHEN NOT MATCHED THEN DO NOTHING

-- a row that is there but does not match
MERGE INTO customers c USING (VALUES (1, 1), (2000, 1)) s(id, n) ON c.customer_id = s.id AND c.age < 0 WHEN NOT MATCHED THEN INSERT (customer_id) VALUES (s.id)

SELECT count(*), sum(customer_id) FROM customers

-- sources that are sharded alike

MERGE INTO orders o USING (SELECT customer_id, age FROM customers WHERE customer_id IN (1, 5, 7, 11)) c ON c.customer_id = o.customer_id AND o.order_id = 1 WHEN MATCHED THEN UPDATE SET note = 'aged ' || coalesce(c.age::text, '?') WHEN NOT MATCHED THEN INSERT (customer_id, order_id, note) VALUES (c.customer_id, 1, 'none')

SELECT customer_id, order_id, note FROM orders ORDER BY 1, 2

MERGE INTO orders o USING (SELECT customer_id, count(*) AS n FROM orders WHERE customer_id = 1 GROUP BY customer_id) s ON o.customer_id = s.customer_id AND o.order_id = s.n WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (customer_id, order_id) VALUES (s.customer_id, 50)

MERGE INTO orders o USING customers c ON c.customer_id = o.customer_id AND o.customer_id = 5 WHEN MATCHED AND o.order_id = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET note = c.region::text

MERGE INTO orders o USING products p ON p.product_id = o.product AND o.customer_id IN (1, 2, 4) WHEN MATCHED THEN UPDATE SET (note, amount) = (p.title, p.price)

MERGE INTO orders o USING products p ON p.product_id = o.product AND o.customer_id = 1 WHEN MATCHED THEN UPDATE SET note = p.title WHEN NOT MATCHED THEN INSERT (customer_id, order_id, product) VALUES (1, p.product_id + 100, p.product_id)

SELECT customer_id, order_id, product, note FROM orders ORDER BY 1, 2

MERGE INTO counters c USING (SELECT id, hits FROM counters WHERE hits > 2) s ON c.id = s.id WHEN MATCHED AND s.hits > 4 THEN DELETE WHEN MATCHED THEN UPDATE SET hits = c.hits + s.hits

MERGE INTO counters c USING regions r ON c.hits = r.region_id WHEN MATCHED THEN UPDATE SET label = r.name

MERGE INTO counters c USING (SELECT id, max(hits) AS h FROM counters GROUP BY id) s ON c.id = s.id AND c.hits < 0 WHEN NOT MATCHED AND s.h > 5 THEN INSERT VALUES (s.id, 1, 'there already')

SELECT * FROM counters ORDER BY id

MERGE INTO pages p USING (SELECT tenant, doc, title FROM documents WHERE tenant IN ('acme', 'größe', 'x y')) d ON p.tenant = d.tenant AND p.doc = d.doc WHEN MATCHED THEN UPDATE SET body = d.title WHEN NOT MATCHED THEN INSERT VALUES (d.tenant, d.doc, 1, d.title)

SELECT * FROM pages ORDER BY 1, 2, 3

MERGE INTO documents d USING (VALUES ('acme', 1), ('it''s', 1), ('n\''ew', 2)) s(t, n) ON d.tenant = s.t AND d.doc = s.n WHEN MATCHED THEN UPDATE SET title = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (s.t, s.n, 'fresh')

SELECT * FROM documents ORDER BY tenant COLLATE "C", doc

MERGE INTO devices d USING (VALUES ('00000000-0000-0000-0000-000000000001'::uuid, 'a'), ('00000000-0000-0000-0000-00000000000f'::uuid, 'b')) s(u, l) ON d.device_id = s.u WHEN MATCHED THEN UPDATE SET label = s.l WHEN NOT MATCHED THEN INSERT (device_id, label) VALUES (s.u, s.l)

SELECT device_id, label FROM devices ORDER BY device_id

-- values in parameters

--: with 4 | 44
MERGE INTO customers c USING (SELECT $1::bigint AS id, $2::int AS n) s ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET age = s.n WHEN NOT MATCHED THEN INSERT (customer_id, age) VALUES (s.id, s.n)

--: with 5 | 55 | 3005 | 1
MERGE INTO customers c USING (VALUES ($1::bigint, $2::int), ($3::bigint, $4::int)) s(id, n) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET age = s.n WHEN NOT MATCHED THEN INSERT (customer_id, age) VALUES (s.id, s.n)

--: with 6 | 12
MERGE INTO customers c USING (VALUES ($1::bigint), ($2::bigint)) s(id) ON c.customer_id = s.id WHEN MATCHED THEN DELETE

SELECT customer_id, age FROM customers ORDER BY customer_id

-- other tables

MERGE INTO products p USING (VALUES (1, 'Apfel'), (9, 'neu')) s(id, t) ON p.product_id = s.id WHEN MATCHED THEN UPDATE SET title = s.t WHEN NOT MATCHED THEN INSERT (product_id, title) VALUES (s.id, s.t)

SELECT * FROM products ORDER BY product_id

MERGE INTO settings s USING (SELECT 'theme' AS n) x ON s.name = x.n WHEN MATCHED THEN UPDATE SET value = 'light'

MERGE INTO audit a USING regions r ON a.id = r.region_id WHEN MATCHED THEN UPDATE SET what = r.name WHEN NOT MATCHED THEN INSERT VALUES (r.region_id, 'new')

SELECT * FROM audit ORDER BY id

-- in a transaction

BEGIN

MERGE INTO customers c USING (VALUES (4), (5), (77)) s(id) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET age = 0 WHEN NOT MATCHED THEN INSERT (customer_id) VALUES (s.id)

SELECT customer_id, age FROM customers WHERE customer_id IN (4, 5, 77) ORDER BY 1

ROLLBACK

SELECT customer_id, age FROM customers WHERE customer_id IN (4, 5, 77) ORDER BY 1

-- refused, or with its source read first

--: refused 0A000
MERGE INTO customers c USING (VALUES (1), (2)) s(id) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET age = random()::int

MERGE INTO customers c USING products p ON c.customer_id = p.product_id WHEN NOT MATCHED THEN INSERT (customer_id) VALUES (p.product_id)

MERGE INTO orders o USING customers c ON c.customer_id = o.customer_id WHEN MATCHED AND o.order_id = 3 THEN DELETE

--: refused 22023
MERGE INTO customers c USING products p ON c.age = p.product_id WHEN MATCHED THEN DELETE

--: refused 0A000
MERGE INTO customers c USING (VALUES (1), (2)) s(id) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET customer_id = 5

MERGE INTO tickets t USING (SELECT 1 AS id) s ON t.customer_id = s.id AND t.ticket_id = 5 WHEN NOT MATCHED THEN INSERT (customer_id, ticket_id, title) VALUES (s.id, 5, 'x')

MERGE INTO tickets t USING (SELECT 1 AS id) s ON t.customer_id = s.id WHEN MATCHED THEN UPDATE SET title = DEFAULT

SELECT * FROM tickets

MERGE INTO customers c USING (SELECT * FROM orders ORDER BY amount, customer_id, order_id LIMIT 1) o ON c.customer_id = o.customer_id WHEN MATCHED THEN DELETE

MERGE INTO customers c USING loose l ON c.customer_id = l.id AND c.customer_id IN (1, 2) WHEN MATCHED THEN DELETE

EXPLAIN (COSTS OFF) MERGE INTO customers c USING (SELECT 1 AS id) s ON c.customer_id = s.id WHEN MATCHED THEN DELETE

-- the source is read first

MERGE INTO counters k USING (SELECT customer_id + 40 AS id, name, age FROM customers WHERE customer_id IN (1, 2, 4)) s ON k.id = s.id WHEN MATCHED THEN UPDATE SET label = s.name WHEN NOT MATCHED THEN INSERT (id, label, hits) VALUES (s.id, 'new', s.age)

MERGE INTO counters k USING (SELECT customer_id + 40 AS id, name, age FROM customers WHERE customer_id IN (1, 2, 3)) s ON k.id = s.id WHEN MATCHED THEN UPDATE SET label = s.name WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.id, 'new')

MERGE INTO counters USING products p (id, name, cost) ON counters.id = p.id WHEN MATCHED THEN UPDATE SET label = p.name WHEN NOT MATCHED THEN INSERT (id, label) VALUES (p.id, p.name)

MERGE INTO counters k USING regions ON k.id = region_id + 0 WHEN MATCHED AND hits > 1 THEN DELETE WHEN MATCHED THEN UPDATE SET hits = hits + 5

--: refused 0A000
MERGE INTO counters k USING audit a ON k.id = a.id WHEN MATCHED THEN UPDATE SET label = a.what WHEN NOT MATCHED THEN INSERT (id, label) VALUES (a.id, a.what)

MERGE INTO counters k USING (SELECT customer_id AS id, max(amount) AS most FROM orders GROUP BY customer_id) s ON s.id = k.id WHEN MATCHED AND s.most > 50 THEN UPDATE SET label = 'rich' WHEN NOT MATCHED AND s.most IS NULL THEN INSERT VALUES (s.id, 0, 'none') WHEN NOT MATCHED THEN DO NOTHING

MERGE INTO counters k USING (SELECT customer_id AS id FROM orders WHERE amount > 1e9) s ON s.id = k.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)

MERGE INTO counters k USING orders o ON o.customer_id = k.id WHEN NOT MATCHED THEN INSERT (id) VALUES (o.customer_id)

MERGE INTO products p USING customers c ON p.product_id = c.customer_id WHEN MATCHED THEN UPDATE SET title = c.name || '!' WHEN NOT MATCHED AND c.age > 40 THEN INSERT (product_id, title) VALUES (c.customer_id, coalesce(c.name, '?'))

MERGE INTO settings s USING customers c ON s.name = c.name WHEN NOT MATCHED AND c.age > 60 THEN INSERT VALUES (c.name, 'old')

--: refused 0A000
MERGE INTO counters k USING (SELECT NULL::int AS id) s ON s.id = k.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)

--: refused 0A000
MERGE INTO counters k USING orders o ON o.customer_id = k.id AND o.ctid IS NOT NULL WHEN MATCHED THEN DELETE

SELECT * FROM counters ORDER BY id

SELECT * FROM products ORDER BY product_id

SELECT * FROM settings ORDER BY name

-- all types of values, and where they go

MERGE INTO facts f USING (SELECT id + 100 AS id, i2, i4, i8, n, f4, f8, b, t, v, d, ts, tz, tm, iv, u, by, j, a FROM facts WHERE id BETWEEN 1 AND 9 ORDER BY id LIMIT 9) s ON f.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.i2, s.i4, s.i8, s.n, s.f4, s.f8, s.b, s.t, s.v, s.d, s.ts, s.tz, s.tm, s.iv, s.u, s.by, s.j, s.a) WHEN MATCHED THEN DELETE

SELECT id, i2, i4, i8, n, f4, f8, b, t, v, d, ts, tz, tm, iv, u, j, a FROM facts WHERE id > 100 ORDER BY id

MERGE INTO facts USING (SELECT max(id) AS id, v FROM facts GROUP BY v) AS s ON facts.id = s.id AND facts.v = s.v WHEN MATCHED AND length(s.v) < 2 THEN DELETE WHEN MATCHED THEN UPDATE SET t = facts.t || s.v, i4 = coalesce(facts.i4, 0) / 2

MERGE INTO public.facts AS "F" USING (SELECT o.customer_id + 100 AS "Id", sum(o.amount) AS n FROM orders o JOIN products p ON p.product_id = o.product GROUP BY 1) AS "S" ON "F".id = "S"."Id" WHEN MATCHED THEN UPDATE SET n = "S".n WHEN NOT MATCHED THEN INSERT (id, n, t) VALUES ("S"."Id", "S".n, 'it''s')

SELECT id, i4, n, t, v FROM facts WHERE id > 100 ORDER BY id

-- two rows of the source for one of the target

MERGE INTO counters k USING (SELECT customer_id AS id FROM orders) s ON s.id = k.id WHEN MATCHED THEN UPDATE SET label = 'twice'

MERGE INTO counters k USING (SELECT customer_id + 60 AS id FROM orders) s ON s.id = k.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)

SELECT * FROM counters ORDER BY id

-- values of the client in the source and beside it

--: with 2 | mine
MERGE INTO counters k USING (SELECT customer_id + $1 AS id FROM customers WHERE age > 40) s ON s.id = k.id WHEN MATCHED THEN UPDATE SET label = $2 WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.id, $2)

SELECT * FROM counters ORDER BY id

-- WITH

WITH s AS (SELECT customer_id AS id, age FROM customers WHERE age < 30) MERGE INTO counters k USING s ON s.id = k.id WHEN MATCHED THEN UPDATE SET hits = s.age WHEN NOT MATCHED THEN INSERT (id, hits) VALUES (s.id, s.age)

WITH s (id, a) AS (SELECT customer_id, age FROM customers WHERE customer_id = 6) MERGE INTO customers c USING s ON s.id = c.customer_id WHEN MATCHED THEN UPDATE SET age = s.a + 1

SELECT * FROM counters ORDER BY id

-- subqueries behind WHEN

MERGE INTO counters k USING (SELECT customer_id AS id FROM customers WHERE age > 40) s ON s.id = k.id WHEN MATCHED AND EXISTS (SELECT FROM orders o WHERE o.customer_id = s.id) THEN UPDATE SET label = 'has orders' WHEN NOT MATCHED THEN DO NOTHING

MERGE INTO counters k USING (SELECT customer_id AS id FROM customers WHERE age > 40) s ON s.id = k.id WHEN MATCHED THEN UPDATE SET label = (SELECT name FROM products p JOIN regions ON region_id = product_id WHERE product_id = 1)

-- in a transaction

BEGIN

MERGE INTO customers c USING (SELECT id, hits FROM counters WHERE id < 7) s ON s.id = c.customer_id WHEN MATCHED THEN UPDATE SET balance = s.hits WHEN NOT MATCHED THEN INSERT (customer_id, balance) VALUES (s.id, s.hits)

SELECT customer_id, balance FROM customers ORDER BY customer_id

MERGE INTO customers c USING (SELECT id, 1 / (id - 3) AS n FROM counters WHERE id < 7) s ON s.id = c.customer_id WHEN MATCHED THEN UPDATE SET balance = s.n

ROLLBACK

SELECT customer_id, balance FROM customers ORDER BY customer_id

-- names of WITH queries that are columns, too

BEGIN

WITH age AS (SELECT 99 AS k) MERGE INTO counters USING (SELECT customer_id AS id, age AS x FROM customers) s ON counters.id = s.id WHEN MATCHED THEN UPDATE SET hits = coalesce(s.x, 0) WHEN NOT MATCHED AND s.x > (SELECT k FROM age) THEN INSERT (id) VALUES (s.id)

WITH age AS (SELECT 5 AS k), s AS (SELECT customer_id AS id, name, age AS a FROM customers) MERGE INTO counters c USING s ON c.id = s.id AND c.id <> (SELECT k FROM age) WHEN MATCHED THEN UPDATE SET hits = coalesce(a, 0)

WITH label AS (SELECT 4 AS k) MERGE INTO counters c USING label ON c.id = label.k WHEN MATCHED AND (label IS NULL) THEN DELETE WHEN MATCHED THEN UPDATE SET hits = 77

WITH hits AS (SELECT 5 AS k) MERGE INTO counters c USING (SELECT id AS x FROM counters, hits h WHERE 3 IS DISTINCT FROM hits AND id < h.k) s ON c.id = s.x WHEN MATCHED THEN UPDATE SET label = 'x'

WITH age AS (SELECT 99 AS k) MERGE INTO counters k USING (SELECT customer_id AS id FROM customers, age q WHERE (age BETWEEN 30 AND q.k)) s ON s.id = k.id WHEN MATCHED THEN UPDATE SET label = 'y'

WITH label (k) AS (SELECT 4) MERGE INTO counters c USING label ON c.id = label.k WHEN MATCHED THEN UPDATE SET label = coalesce(c.label, 'none')

WITH hits AS (SELECT 1 AS k) DELETE FROM counters c USING (SELECT id, hits h FROM counters) s, hits WHERE c.id = s.id AND s.h > 3 AND c.id > hits.k

WITH age AS (SELECT 99 AS k) UPDATE customers c SET name = 'x' FROM age WHERE c.customer_id IN (1, 2) RETURNING c.name, c.age AS a, age.k

WITH a (k) AS (SELECT 1) UPDATE counters c SET hits = 9 FROM a WHERE c.id = 1 RETURNING c.id, a

SELECT * FROM counters ORDER BY id

ROLLBACK

-- WITH queries that nobody reads, or of one name

WITH a AS (SELECT 1 AS k), a AS (SELECT 2 AS k) MERGE INTO counters c USING a ON c.id = a.k WHEN MATCHED THEN DELETE

WITH a AS (SELECT 'x'::int AS q), b AS (SELECT 1 AS k) MERGE INTO counters c USING b ON c.id = b.k WHEN MATCHED THEN DELETE

WITH s AS MATERIALIZED (SELECT id, 10 / hits AS n FROM counters WHERE hits::text::int::text::int <> 0) MERGE INTO counters k USING s ON k.id = s.id AND s.n = 5 WHEN MATCHED THEN UPDATE SET label = 'five'

WITH s (id, l) AS (SELECT 50, 'n') MERGE INTO counters k USING s ON k.id = s.id WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.id, s.l)

WITH s AS (SELECT customer_id AS id, '2020-01-01'::timestamp with time zone AS t FROM customers) MERGE INTO counters k USING s ON k.id = s.id WHEN MATCHED AND s.t < now() THEN UPDATE SET label = 'then'

-- nothing can match

MERGE INTO documents d USING (VALUES (NULL::text)) s(t) ON d.tenant = s.t WHEN MATCHED THEN DELETE

MERGE INTO orders o USING (VALUES (1.5), (2.5)) s (t) ON o.customer_id = s.t WHEN MATCHED THEN UPDATE SET note = 'n'

--: extended
--: with NULL
MERGE INTO orders o USING (SELECT $1::bigint AS t) s ON o.customer_id = s.t WHEN MATCHED THEN UPDATE SET note = 'n'

MERGE INTO orders o USING (SELECT NULLIF(id, id)::bigint AS t FROM counters) s ON o.customer_id = s.t WHEN MATCHED THEN DELETE

MERGE INTO documents d USING (VALUES (NULL::text)) s(t) ON d.tenant = s.t WHEN MATCHED THEN UPDATE SET nosuch = 1

-- what constants have not

--: refused 0A000
MERGE INTO counters k USING public.customers ON k.id = public.customers.customer_id WHEN MATCHED THEN UPDATE SET label = public.customers.name

--: refused 0A000
MERGE INTO counters k USING customers s ON k.id = s.customer_id AND s."ctid" IS NOT NULL WHEN MATCHED THEN DELETE

SELECT * FROM counters ORDER BY id

-- Constants as drivers without parameters write them
MERGE INTO customers t USING (SELECT CAST(('970'::int8) AS bigint) AS id, CAST(('x'::text) AS text) AS name) s ON t.customer_id = s.id WHEN NOT MATCHED THEN INSERT (customer_id, name) VALUES (s.id, s.name) WHEN MATCHED THEN UPDATE SET name = s.name
