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
