BEGIN

INSERT INTO customers (customer_id, name) VALUES (20, 'a'), (21, 'b'), (22, 'c')

SELECT customer_id FROM customers WHERE customer_id >= 20 ORDER BY customer_id

COMMIT

SELECT customer_id FROM customers WHERE customer_id >= 20 ORDER BY customer_id

BEGIN

DELETE FROM customers WHERE customer_id IN (20, 21, 22)

SELECT count(*) FROM customers

ROLLBACK

SELECT count(*) FROM customers

START TRANSACTION

UPDATE customers SET age = 1 WHERE customer_id = 1

UPDATE customers SET age = 2 WHERE customer_id = 2

UPDATE customers SET age = 4 WHERE customer_id = 4

END

SELECT age FROM customers WHERE customer_id IN (1, 2, 4) ORDER BY customer_id

BEGIN WORK

ROLLBACK WORK

BEGIN TRANSACTION

ABORT

-- Outside of a block
COMMIT

ROLLBACK

END

SAVEPOINT outside

ROLLBACK TO outside

RELEASE outside

SET LOCAL work_mem = '1MB'

-- BEGIN twice
BEGIN

BEGIN

SELECT 1

COMMIT

COMMIT

-- Failed states
BEGIN

SELECT 1/0

SELECT 1

INSERT INTO customers (customer_id) VALUES (50)

SAVEPOINT s

COMMIT

SELECT count(*) FROM customers WHERE customer_id = 50

BEGIN

INSERT INTO customers (customer_id) VALUES (50), (51), (52)

INSERT INTO customers (customer_id) VALUES (50)

SELECT count(*) FROM customers

ROLLBACK

SELECT count(*) FROM customers WHERE customer_id IN (50, 51, 52)

BEGIN

INSERT INTO customers (customer_id) VALUES (50)

SELEC

SELECT 1

END

SELECT count(*) FROM customers WHERE customer_id = 50

BEGIN

SELECT * FROM nowhere

ROLLBACK

-- Savepoints
BEGIN

INSERT INTO customers (customer_id) VALUES (60), (61)

SAVEPOINT one

INSERT INTO customers (customer_id) VALUES (62), (63), (64)

SELECT count(*) FROM customers WHERE customer_id >= 60

ROLLBACK TO one

SELECT count(*) FROM customers WHERE customer_id >= 60

INSERT INTO customers (customer_id) VALUES (62)

RELEASE one

COMMIT

SELECT customer_id FROM customers WHERE customer_id >= 60 ORDER BY customer_id

BEGIN

SAVEPOINT a

UPDATE customers SET age = 100 WHERE customer_id = 60

SAVEPOINT b

UPDATE customers SET age = 100 WHERE customer_id = 61

SELECT 1/0

SELECT 1

ROLLBACK TO SAVEPOINT b

UPDATE customers SET age = 101 WHERE customer_id = 62

RELEASE SAVEPOINT b

ROLLBACK TO a

UPDATE customers SET age = 102 WHERE customer_id IN (61, 62)

COMMIT

SELECT customer_id, age FROM customers WHERE customer_id >= 60 ORDER BY customer_id

BEGIN

SAVEPOINT same

INSERT INTO customers (customer_id) VALUES (70)

SAVEPOINT same

INSERT INTO customers (customer_id) VALUES (71)

ROLLBACK TO same

ROLLBACK TO same

RELEASE same

INSERT INTO customers (customer_id) VALUES (72)

ROLLBACK TO same

COMMIT

SELECT customer_id FROM customers WHERE customer_id >= 70 ORDER BY customer_id

BEGIN

ROLLBACK TO unknown

ROLLBACK

BEGIN

RELEASE unknown

ROLLBACK

BEGIN

SAVEPOINT one

SAVEPOINT two

RELEASE one

ROLLBACK TO two

COMMIT

BEGIN

SAVEPOINT "Quoted Name"

INSERT INTO customers (customer_id) VALUES (73), (74)

ROLLBACK TO "Quoted Name"

ROLLBACK TO quoted

ROLLBACK

-- A savepoint before a shard is touched
BEGIN

SAVEPOINT early

INSERT INTO orders (customer_id, order_id) VALUES (1, 50)

INSERT INTO orders (customer_id, order_id) VALUES (2, 50)

ROLLBACK TO early

INSERT INTO orders (customer_id, order_id) VALUES (4, 50)

COMMIT

SELECT customer_id FROM orders WHERE order_id = 50

-- Modes
BEGIN READ ONLY

SELECT count(*) FROM customers

INSERT INTO customers (customer_id) VALUES (80)

ROLLBACK

BEGIN ISOLATION LEVEL READ COMMITTED

SHOW transaction_isolation

SELECT count(*) FROM customers

COMMIT

--: simple
BEGIN ISOLATION LEVEL SERIALIZABLE

--: simple
SELECT name FROM customers WHERE customer_id = 1

--: simple
SHOW transaction_isolation

--: simple
COMMIT

--: simple
BEGIN

--: simple
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

--: simple
SELECT name FROM customers WHERE customer_id = 1

--: simple
COMMIT

COMMIT AND CHAIN

BEGIN

COMMIT AND CHAIN

SELECT 1

ROLLBACK AND CHAIN

SELECT 2

ROLLBACK

-- Locks
BEGIN

SELECT name FROM customers WHERE customer_id = 1 FOR UPDATE

SELECT customer_id FROM customers WHERE customer_id IN (1, 2, 4) ORDER BY customer_id FOR UPDATE

COMMIT

SELECT customer_id FROM customers WHERE customer_id IN (1, 2, 4) ORDER BY customer_id FOR NO KEY UPDATE NOWAIT

-- Reads of own writes, mixed tables
BEGIN

INSERT INTO orders (customer_id, order_id, amount) VALUES (6, 1, 1.00)

UPDATE settings SET value = 'USD' WHERE name = 'currency'

INSERT INTO audit VALUES (2, 'both')

INSERT INTO loose VALUES (3, 'third')

SELECT * FROM audit ORDER BY id

SELECT c.name, o.amount FROM customers c JOIN orders o USING (customer_id) WHERE customer_id = 6

SELECT sum(amount) FROM orders

COMMIT

SELECT value FROM settings WHERE name = 'currency'

SELECT * FROM audit ORDER BY id

SELECT * FROM loose ORDER BY id

-- All shards have one moment
BEGIN

UPDATE devices SET seen = now() WHERE device_id = '00000000-0000-0000-0000-000000000001'

SELECT seen = now() FROM devices WHERE device_id = '00000000-0000-0000-0000-000000000001'

UPDATE devices SET seen = now() WHERE device_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' RETURNING seen = now(), now() IS NULL

UPDATE devices SET seen = now() WHERE device_id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'

SELECT device_id, seen = now() FROM devices WHERE device_id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'

SELECT seen = now() FROM devices WHERE device_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

--: with a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
SELECT seen = now() FROM devices WHERE device_id = $1

SELECT count(DISTINCT seen) FROM devices WHERE seen >= now()

COPY (SELECT seen - now() FROM devices WHERE seen >= now()) TO STDOUT

INSERT INTO items (item_id, label) VALUES (501, 'a')

INSERT INTO items (item_id, label) VALUES (502, 'b') RETURNING made = now()

INSERT INTO items (item_id, label, made) VALUES (503, 'c', DEFAULT)

INSERT INTO items (item_id, label) VALUES (504, 'd'), (505, 'e') RETURNING made = now()

SELECT count(DISTINCT made) FROM items WHERE item_id BETWEEN 501 AND 505

SELECT made - now() FROM items WHERE item_id = 501

SELECT made - now() FROM items WHERE item_id = 502

SELECT made - now() FROM items WHERE item_id = 503

DELETE FROM items WHERE item_id = 502 AND made >= now() RETURNING 'gone'

DELETE FROM items WHERE item_id = 503 AND made >= now() RETURNING 'gone'

--: simple
DECLARE moments CURSOR FOR SELECT item_id, made - now() FROM items WHERE item_id > 500 ORDER BY 1

--: simple
FETCH 5 FROM moments

ROLLBACK

BEGIN

SELECT now() - made > '0' FROM items WHERE item_id = 1

INSERT INTO audit VALUES (77, now())

INSERT INTO settings VALUES ('moment', now())

SELECT what = now()::text FROM audit WHERE id = 77

SELECT value = (SELECT now()::text) AS value FROM settings WHERE name = 'moment'

ROLLBACK

-- So have both steps of an INSERT whose key is the present
INSERT INTO moments (at, note) VALUES (now(), now()::text) RETURNING at = now(), at::text = note, made = at

INSERT INTO moments (at, note, made) VALUES (now(), '', DEFAULT), (CURRENT_TIMESTAMP + interval '1 day', '', now()) RETURNING at - made, made = now()

--: with later
INSERT INTO moments (at, note) VALUES (now() + interval '1 h', $1) RETURNING made + interval '1 h' = at, note

DELETE FROM moments WHERE at > '2026-01-01' AND at < '2100-01-01' AND made <= at

SELECT count(*) FROM moments

-- now() stands still
BEGIN

CREATE TEMP TABLE moment AS SELECT now() AS at

SELECT count(DISTINCT at) FROM (SELECT at FROM moment UNION ALL SELECT now()) t

ROLLBACK

PREPARE p AS SELECT 1

DEALLOCATE p

BEGIN

DECLARE c CURSOR FOR SELECT order_id FROM orders WHERE customer_id = 1 ORDER BY order_id

FETCH 1 FROM c

FETCH ALL FROM c

CLOSE c

COMMIT

-- What may fail is told at once
BEGIN

SELECT count(*) FROM facts

SET TRANSACTION ISOLATION LEVEL SERIALIZABLE

SELECT 1

ROLLBACK

BEGIN

SAVEPOINT a

SET CONSTRAINTS nope DEFERRED

ROLLBACK TO a

SET CONSTRAINTS ALL IMMEDIATE

SELECT count(*) FROM facts

SET CONSTRAINTS ALL DEFERRED

COMMIT

SET CONSTRAINTS ALL DEFERRED

-- row locks under a LIMIT

BEGIN

SELECT customer_id FROM customers WHERE customer_id < 6 ORDER BY customer_id LIMIT 2 FOR UPDATE SKIP LOCKED

SAVEPOINT s

UPDATE customers SET vip = true WHERE customer_id = (SELECT customer_id FROM customers WHERE age > 30 ORDER BY customer_id LIMIT 1 FOR UPDATE) RETURNING customer_id

ROLLBACK TO s

WITH next AS (SELECT customer_id FROM customers WHERE customer_id < 6 ORDER BY customer_id DESC LIMIT 2 FOR UPDATE SKIP LOCKED) UPDATE customers c SET vip = false FROM next WHERE next.customer_id = c.customer_id RETURNING c.customer_id

WITH next AS (SELECT customer_id, order_id FROM orders WHERE customer_id IN (1, 2, 4) ORDER BY customer_id, order_id LIMIT 1 FOR UPDATE SKIP LOCKED) DELETE FROM orders o USING next WHERE (o.customer_id, o.order_id) = (next.customer_id, next.order_id) RETURNING o.order_id

COMMIT

SELECT customer_id, vip FROM customers WHERE customer_id < 6 ORDER BY 1

SELECT customer_id FROM customers WHERE joined < now() - interval '1 day' ORDER BY joined, customer_id LIMIT 2 FOR UPDATE

SELECT customer_id FROM customers WHERE joined < now() ORDER BY joined DESC, customer_id LIMIT 2 FOR UPDATE SKIP LOCKED

WITH next AS (SELECT customer_id FROM customers WHERE customer_id > 600 ORDER BY customer_id LIMIT 1 FOR UPDATE) DELETE FROM customers WHERE customer_id IN (SELECT customer_id FROM next)
