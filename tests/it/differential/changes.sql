UPDATE customers SET age = 37 WHERE customer_id = 1

UPDATE customers SET age = age + 1, name = upper(name) WHERE customer_id = 1 RETURNING *

UPDATE customers SET age = 1 WHERE customer_id = 99

UPDATE customers AS c SET age = c.age + 1 WHERE c.customer_id = 2 RETURNING c.age

UPDATE public.customers SET age = 5 WHERE customer_id = 3

UPDATE ONLY customers SET age = 6 WHERE customer_id = 3

UPDATE ONLY (customers) c SET age = 6 WHERE c.customer_id = 3 RETURNING *

UPDATE ONLY (public.customers) SET age = 6 WHERE customer_id = ANY (VALUES (3), (2))

UPDATE customers SET age = age + 1 WHERE customer_id IN (1, 2, 4, 5, 6) 

UPDATE customers SET age = age + 1 WHERE customer_id IN (1, 2, 4, 5, 6) RETURNING customer_id, age

UPDATE customers SET age = age + 1 WHERE customer_id = ANY ('{1,2}')

UPDATE customers SET age = 0 WHERE customer_id IN (98, 99)

UPDATE customers SET age = 0 WHERE customer_id = 1 AND customer_id = 2

UPDATE customers SET age = 0 WHERE customer_id = NULL

UPDATE customers SET (age, name) = (40, 'Bob') WHERE customer_id = 2

UPDATE customers SET (age, name) = (SELECT 41, 'Bob') WHERE customer_id = 2

UPDATE customers SET age = (SELECT count(*) FROM orders o WHERE o.customer_id = customers.customer_id) WHERE customer_id = 1

UPDATE customers SET age = (SELECT count(*) FROM products) WHERE customer_id = 1

UPDATE customers SET age = (SELECT count(*) FROM products) WHERE customer_id IN (1, 2)

UPDATE customers SET age = DEFAULT WHERE customer_id = 1

UPDATE customers c SET age = o.order_id FROM orders o WHERE o.customer_id = c.customer_id AND c.customer_id = 7

UPDATE customers c SET name = r.name FROM regions r WHERE r.region_id = c.region AND c.customer_id = 7

UPDATE customers c SET name = o.note FROM orders o WHERE o.order_id = c.customer_id AND c.customer_id = 7

UPDATE customers SET customer_id = 1 WHERE customer_id = 1

UPDATE customers SET customer_id = customer_id WHERE customer_id = 1

--: refused 0A000
UPDATE customers SET customer_id = 77 WHERE customer_id = 1

UPDATE customers SET age = 1/0 WHERE customer_id IN (1, 2, 4)

UPDATE customers SET nothing = 1 WHERE customer_id = 1

UPDATE customers SET age = 'x' WHERE customer_id = 1

--: refused 22023
UPDATE customers SET age = 1

--: refused 22023
UPDATE customers SET age = 1 WHERE age = 36

--: refused 22023
UPDATE customers SET age = 1 WHERE customer_id > 5

--: refused 22023
UPDATE customers SET age = 1 WHERE customer_id = 1 OR age = 36

UPDATE customers SET age = 1 WHERE customer_id = 1 OR customer_id = 2

DELETE FROM orders WHERE (customer_id = 5 AND order_id = 1) OR (customer_id = 4 AND order_id = 99) OR customer_id IN (777)

--: refused 22023
UPDATE customers SET age = 1 WHERE customer_id = 1 OR age = 2

UPDATE customers SET joined = current_date WHERE customer_id IN (1, 2) RETURNING joined = current_date

--: refused 0A000
UPDATE customers SET age = (SELECT random())::int WHERE customer_id IN (1, 2)

WITH w AS (SELECT 1 AS x) UPDATE customers SET age = w.x FROM w WHERE customer_id = 1

WITH w AS (UPDATE customers SET age = 2 WHERE customer_id = 1 RETURNING *) SELECT * FROM w

--: refused 22023
UPDATE strict SET n = 1

UPDATE strict SET n = 10 WHERE id = 1

--: refused 0A000
UPDATE strict SET n = 10 WHERE id IN (1, 2)

UPDATE counters SET hits = hits + 1

UPDATE counters SET hits = hits + 1 WHERE label IS NOT NULL RETURNING id, hits

UPDATE counters SET hits = hits - 1 WHERE hits > 3

UPDATE counters SET hits = hits - 5

--: refused 0A000
UPDATE counters SET id = id + 1

UPDATE counters SET label = 'x' WHERE EXISTS (SELECT 1 FROM products)

UPDATE counters SET label = 'x' WHERE id IN (SELECT product_id FROM products)

UPDATE counters SET label = 'y' WHERE id IN (SELECT max(id) FROM counters)

UPDATE counters SET hits = (SELECT sum(hits) FROM counters)

SELECT * FROM counters ORDER BY id

DELETE FROM orders WHERE customer_id = 1 AND order_id = 3

DELETE FROM orders WHERE customer_id = 1 AND order_id = 3

DELETE FROM orders WHERE customer_id IN (2, 4) RETURNING *

DELETE FROM orders o USING customers c WHERE c.customer_id = o.customer_id AND o.customer_id = 5 AND c.age > 1

DELETE FROM orders USING products WHERE product = product_id AND customer_id = 7

--: refused 22023
DELETE FROM orders

--: refused 22023
DELETE FROM orders WHERE amount > 100

DELETE FROM counters WHERE hits > 4

DELETE FROM counters WHERE false

DELETE FROM counters RETURNING id

DELETE FROM customers WHERE customer_id = 9 RETURNING name

DELETE FROM customers AS c WHERE c.customer_id = 10

DELETE FROM customers WHERE customer_id IN (SELECT customer_id FROM orders)

DELETE FROM nowhere

SELECT * FROM orders ORDER BY customer_id, order_id

SELECT * FROM customers ORDER BY customer_id

UPDATE documents SET title = title || '!' WHERE tenant = 'größe'

UPDATE documents SET title = title || '!' WHERE tenant IN ('acme', 'it''s') RETURNING *

DELETE FROM documents WHERE tenant = ''

SELECT * FROM documents ORDER BY tenant, doc

UPDATE devices SET label = 'changed' WHERE device_id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' RETURNING *

DELETE FROM devices WHERE device_id IN ('00000000-0000-0000-0000-000000000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff')

SELECT * FROM devices ORDER BY device_id

--: with 1 | 99
UPDATE customers SET age = $2 WHERE customer_id = $1 RETURNING age

--: with 98 | 2 | 4
UPDATE customers SET age = $1 WHERE customer_id IN ($2, $3) RETURNING customer_id, age

--: with {5,6} | q
UPDATE customers SET name = $2 WHERE customer_id = ANY ($1)

--: with 6
DELETE FROM customers WHERE customer_id = $1 RETURNING name

--: with {7,8}
DELETE FROM customers WHERE customer_id = ANY ($1) RETURNING customer_id

SELECT * FROM customers ORDER BY customer_id

MERGE INTO customers c USING (SELECT 1 AS id) s ON c.customer_id = s.id WHEN MATCHED THEN DELETE

MERGE INTO loose l USING (SELECT 1 AS id) s ON l.id = s.id WHEN MATCHED THEN DELETE

SELECT * FROM loose ORDER BY id

-- Parts of columns, and tables without their children.
UPDATE facts SET a[2] = 7, i4 = 1 WHERE id = 1 RETURNING a

UPDATE facts SET j['k'] = '5', a[1:2] = '{8,9}' WHERE id IN (6, 8) RETURNING j, a

--: with 3 | 4 | 1
UPDATE facts f SET a[$1] = $2 WHERE f.id = $3 RETURNING a

INSERT INTO facts (id, a) VALUES (1, '{5}') ON CONFLICT (id) DO UPDATE SET a[3] = 6 RETURNING a

UPDATE ONLY facts SET i4 = i4 + 1, a[1] = a[1] + 1 WHERE id = 2 RETURNING i4, a

DELETE FROM ONLY facts WHERE id = 3

DELETE FROM ONLY (facts) WHERE id = 3 RETURNING id

SELECT id, a, j FROM ONLY facts WHERE id IN (1, 2, 3, 4) ORDER BY id

SELECT count(*), max(i4) FROM ONLY facts

UPDATE customers SET name[1] = 'x' WHERE customer_id = 3

UPDATE customers SET customer_id[1] = 3 WHERE customer_id = 3

-- rows named by lists

UPDATE customers SET name = v.name FROM (VALUES (1, 'one'), (2, 'two'), (7, 'seven')) AS v (id, name) WHERE customers.customer_id = v.id

UPDATE customers c SET age = v.age FROM (VALUES (3::bigint, 33), (4, 44), (77, 0)) AS v (id, age) WHERE v.id = c.customer_id RETURNING c.customer_id, v.age

UPDATE customers SET age = n FROM (VALUES (1, 10), (2, 20)) v (k, n) WHERE customer_id = k

UPDATE customers c SET age = v.age FROM (VALUES (1.0, 11), (2.5, 22), (NULL, 0)) AS v (id, age) WHERE c.customer_id = v.id

UPDATE customers c SET name = v.x FROM (VALUES ('1', 'a'), ('2', 'b')) AS v (id, x) WHERE c.customer_id = v.id

UPDATE customers c SET name = v.x FROM (VALUES ('1', 'a'), ('2', 'b')) AS v (id, x) WHERE c.customer_id = v.id::bigint

UPDATE customers c SET name = v.x FROM (VALUES (1, 'a'), (3, 'b')) AS v (id, x) WHERE c.customer_id = v.id::bigint AND v.x <> 'a'

--: with {1,4,5} | {p,q,r}
UPDATE customers c SET name = v.x FROM unnest($1::bigint[], $2::text[]) AS v (id, x) WHERE c.customer_id = v.id

UPDATE customers c SET name = v.x FROM unnest(ARRAY[6, 7]::bigint[], ARRAY['s', 't']) WITH ORDINALITY AS v (id, x, n) WHERE c.customer_id = v.id

UPDATE customers SET vip = true FROM unnest(ARRAY[6, 7, 8]) AS k WHERE customer_id = k

UPDATE customers c SET name = v.x FROM (SELECT * FROM (VALUES (8, 'u'), (9, 'w')) AS inner_list (id, x)) AS v WHERE c.customer_id = v.id

WITH v (id, x) AS (VALUES (10, 'y'), (11, 'z')) UPDATE customers c SET name = v.x FROM v WHERE c.customer_id = v.id

WITH v AS (SELECT 12 AS id, 'end' AS x) UPDATE customers c SET name = v.x FROM v WHERE c.customer_id = v.id

UPDATE documents d SET title = v.t FROM (VALUES ('acme', 1, 'x'), ('größe', 1, 'y')) AS v (tenant, doc, t) WHERE d.tenant = v.tenant AND d.doc = v.doc

UPDATE documents d SET title = v.t FROM (VALUES ('acme'::text, 2, 'x2'), ('x y', 7, 'y2')) AS v (tenant, doc, t) WHERE (d.tenant, d.doc) = (v.tenant, v.doc)

DELETE FROM orders WHERE customer_id IN (SELECT unnest(ARRAY[1, 2, 99]::bigint[]))

--: with {4,5}
DELETE FROM orders WHERE customer_id IN (SELECT unnest($1::bigint[])) RETURNING order_id

DELETE FROM orders o USING (VALUES (7, 1), (8, 1)) AS v (c, o) WHERE (o.customer_id, o.order_id) = (v.c, v.o)

DELETE FROM orders WHERE customer_id IN (SELECT k FROM (VALUES (9), (12)) AS v (k) WHERE k > 10)

DELETE FROM devices d USING (VALUES ('00000000-0000-0000-0000-000000000001'::uuid), ('ffffffff-ffff-ffff-ffff-ffffffffffff')) AS v (id) WHERE d.device_id = v.id

SELECT customer_id, name, age, vip FROM customers ORDER BY 1

SELECT customer_id, order_id FROM orders ORDER BY 1, 2

SELECT v.n, c.name FROM (VALUES (1, 10), (20, 11), (3, 12)) AS v (k, n) LEFT JOIN customers c ON c.customer_id = v.k ORDER BY 1

SELECT c.customer_id, v.n FROM customers c LEFT JOIN (VALUES (1, 10), (3, 12)) AS v (k, n) ON c.customer_id = v.k ORDER BY 1

SELECT c.customer_id, v.n FROM customers c LEFT JOIN (VALUES (1, 10), (3, 12)) AS v (k, n) ON c.customer_id = v.k WHERE v.n = 12 OR c.customer_id < 3 ORDER BY 1

SELECT c.customer_id, v.n FROM customers c FULL JOIN (VALUES (1, 10), (33, 12)) AS v (k, n) ON c.customer_id = v.k ORDER BY 1, 2

SELECT c.customer_id FROM customers c WHERE c.customer_id NOT IN (SELECT k FROM (VALUES (1), (2)) AS v (k)) ORDER BY 1

SELECT c.customer_id FROM customers c WHERE EXISTS (SELECT FROM (VALUES (1), (2), (11)) AS v (k) WHERE v.k = c.customer_id) ORDER BY 1

SELECT customer_id, k FROM customers JOIN (VALUES (1), (5)) AS v (k) ON customer_id IN (k, k + 1) ORDER BY 1, 2

SELECT customer_id FROM customers, (VALUES (36), (51)) AS v (age) WHERE customers.age = v.age ORDER BY 1

SELECT count(*) FROM customers c, unnest(ARRAY[1, 2, 3], ARRAY[2, 3]) AS v (a, b) WHERE c.customer_id = v.a OR c.customer_id = v.b

SELECT c.customer_id FROM customers c JOIN (VALUES (1), (2)) AS v (customer_id) USING (customer_id) ORDER BY 1

SELECT c.customer_id FROM customers c CROSS JOIN LATERAL (VALUES (c.customer_id), (1)) AS v (k) WHERE c.customer_id = v.k ORDER BY 1

SELECT c.customer_id, o.order_id FROM customers c JOIN orders o ON o.order_id = k, (VALUES (1)) AS v (k) ORDER BY 1, 2

UPDATE customers SET age = x.n FROM jsonb_to_recordset('[{"id": 1, "n": 7}, {"id": 3, "n": 8}, {"id": 99}]') AS x (id bigint, n int) WHERE customers.customer_id = x.id RETURNING customers.customer_id

--: with [{"id": 1, "n": 70}, {"id": 4, "n": 80}]
UPDATE customers c SET age = x.n FROM json_to_recordset($1::json) AS x (id int, n int) WHERE x.id = c.customer_id AND x.n > 75

DELETE FROM orders USING generate_series(8, 9) g WHERE customer_id = g

UPDATE customers SET age = sub.n FROM (SELECT customer_id, count(*)::int AS n FROM orders GROUP BY customer_id) sub WHERE sub.customer_id = customers.customer_id RETURNING customers.customer_id, sub.n

UPDATE customers c SET name = s.x || s.n FROM (SELECT 1 + n AS k, 'y' AS x, n FROM generate_series(1, 3) n) s, regions r WHERE s.k = c.customer_id AND r.region_id = c.region

WITH data AS (SELECT * FROM json_to_recordset('[{"id": 2, "n": 7}, {"id": 3, "n": 8}]') AS x (id bigint, n int)) UPDATE customers SET age = data.n FROM data WHERE customers.customer_id = data.id RETURNING customers.customer_id

DELETE FROM counters USING (SELECT nothing FROM orders) x WHERE x.nothing = counters.id

SELECT customer_id, name, age FROM customers ORDER BY 1

-- deferred constraints, checked when the statement is done, and before home decides

INSERT INTO seats VALUES (1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (4, 8)

UPDATE seats SET place = 3 - place WHERE id IN (1, 2, 3) RETURNING id, place

--: simple
UPDATE seats SET place = 1 WHERE id IN (1, 2, 3)

UPDATE seats SET place = place + 1 WHERE id IN (1, 2, 3, 4)

UPDATE seats SET place = CASE WHEN id = 4 THEN 9 ELSE 1 END WHERE id IN (1, 2, 3, 4)

--: simple
INSERT INTO seats VALUES (1, 5), (2, 5), (2, 5), (4, 5)

DELETE FROM seats WHERE id IN (2, 4) RETURNING place

SELECT id, place FROM seats ORDER BY 1, 2
