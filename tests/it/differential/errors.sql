SELEC 1

SELECT FROM WHERE

SELECT * FROM customers WHERE

SELECT * FROM customers WHERE customer_id = 1 AND

SELECT 'unterminated

SELECT "unterminated

SELECT $$unterminated

SELECT /* unterminated

SELECT (1

SELECT 1)

INSERT INTO customers VALUES (1

INSERT customers VALUES (1)

INSERT INTO customers VALUES

UPDATE customers age = 1

UPDATE customers SET WHERE customer_id = 1

DELETE customers WHERE customer_id = 1

SELECT * FROM nowhere

SELECT * FROM nowhere WHERE customer_id = 1

SELECT * FROM customers, nowhere WHERE customer_id = 1

SELECT nothing FROM customers WHERE customer_id = 1

SELECT nothing FROM customers

SELECT x.name FROM customers WHERE customer_id = 1

SELECT * FROM customers WHERE nothing = 1

SELECT * FROM customers ORDER BY nothing

SELECT * FROM customers WHERE customer_id = 1 ORDER BY nothing

SELECT nothing, count(*) FROM customers GROUP BY nothing

SELECT name, count(*) FROM customers WHERE customer_id = 1

SELECT sum(name) FROM customers

SELECT sum(name) FROM customers WHERE customer_id = 1

SELECT unknown_function(1)

SELECT unknown_function(name) FROM customers WHERE customer_id = 1

--: simple
--: refused 0A000
SELECT unknown_function(name) FROM customers

--: extended
SELECT unknown_function(name) FROM customers

SELECT 1/0

SELECT 1/0 FROM customers

SELECT 1/(age - 36) FROM customers WHERE customer_id = 1

SELECT 1/(age - 36) FROM customers

SELECT age::date FROM customers WHERE customer_id = 1

SELECT 'x'::int

SELECT name::int FROM customers WHERE customer_id = 1

SELECT name + 1 FROM customers WHERE customer_id = 1

SELECT * FROM customers WHERE name = 1 AND customer_id = 1

SELECT * FROM customers WHERE customer_id = 'x'

SELECT * FROM customers WHERE customer_id = true

SELECT * FROM customers WHERE customer_id = '2020-01-01'::date

SELECT * FROM customers WHERE customer_id IN (1, 'x')

SELECT * FROM customers WHERE customer_id = ANY ('{1,x}')

SELECT * FROM customers WHERE customer_id = ANY ('1,2')

SELECT * FROM customers WHERE customer_id = ANY (1)

SELECT * FROM customers WHERE customer_id IN ()

SELECT * FROM customers c JOIN orders o USING (nothing) WHERE c.customer_id = 1

SELECT customer_id FROM customers c JOIN orders o ON c.customer_id = o.customer_id WHERE c.customer_id = 1

SELECT c.customer_id FROM customers c JOIN customers c ON true

SELECT max(count(*)) FROM customers

SELECT count(*) FROM customers WHERE count(*) > 1

SELECT (SELECT 1, 2)

SELECT (SELECT customer_id FROM orders WHERE customer_id = 1)

INSERT INTO customers (customer_id, age) VALUES (100, 'x')

INSERT INTO customers (customer_id, nothing) VALUES (100, 'x')

INSERT INTO nowhere VALUES (1)

INSERT INTO orders (customer_id, order_id) VALUES (1, NULL)

INSERT INTO orders (customer_id) VALUES (1)

INSERT INTO orders (customer_id, order_id, amount) VALUES (1, 90, 123456789.00)

INSERT INTO orders (customer_id, order_id, amount) VALUES (1, 90, 1), (2, 90, 123456789.00), (4, 90, 1)

INSERT INTO facts (id, v) VALUES (100, repeat('x', 21))

INSERT INTO facts (id, i2) VALUES (100, 32768)

INSERT INTO facts (id, d) VALUES (100, '2020-13-01')

INSERT INTO facts (id, j) VALUES (100, '{')

INSERT INTO facts (id, u) VALUES (100, 'x')

--: refused 0A000
INSERT INTO customers (customer_id) VALUES (1) ON CONFLICT (nothing) DO NOTHING

UPDATE customers SET nothing = 1 WHERE customer_id = 1

UPDATE customers SET age = 'x' WHERE customer_id IN (1, 2, 4)

UPDATE customers SET age = 1/0 WHERE customer_id IN (1, 2, 4)

UPDATE nowhere SET a = 1

DELETE FROM nowhere WHERE a = 1

--: simple
--: refused 22023
DELETE FROM customers WHERE nothing = 1

--: extended
DELETE FROM customers WHERE nothing = 1

DELETE FROM customers WHERE nothing = 1 AND customer_id = 1

UPDATE counters SET hits = -1 WHERE id IN (1, 2, 3, 4)

UPDATE counters SET hits = -1 WHERE id = 1

SELECT hits FROM counters WHERE id = 1

--: simple
--: own words
SELECT count(*) FROM customers LIMIT 'x'

--: extended
SELECT count(*) FROM customers LIMIT 'x'

--: own words
SELECT * FROM customers LIMIT -1

--: own words
SELECT * FROM customers OFFSET -1

TABLE nowhere

SHOW nothing_at_all

SET nothing_at_all = 1

SET work_mem = 'x'

RESET nothing_at_all

EXECUTE nothing

DEALLOCATE nothing

FETCH 1 FROM nothing

CLOSE nothing

CREATE TABLE later (id nothing)

CREATE TABLE later (id bigint, id bigint)

CREATE TABLE later

DROP TABLE nowhere

ALTER TABLE customers ADD COLUMN name text

ALTER TABLE customers DROP COLUMN nothing

CREATE INDEX broken ON customers (nothing)

CREATE INDEX broken ON nowhere (a)

TRUNCATE nowhere

VACUUM nowhere

COPY nowhere TO STDOUT

GRANT nothing TO nobody

SELECT * FROM other_schema.customers

SELECT * FROM other_database.public.customers WHERE customer_id = 1

SELECT pg_sleep('x')

SELECT 1; SELECT 'x'::int

--: with x
SELECT $1::int

--: own words
--: with 1 | 2
SELECT $1::int

--: with 1
SELECT $2::int

--: with 1
SELECT $1

--: with x
SELECT * FROM customers WHERE customer_id = $1

--: with x
SELECT * FROM customers WHERE age = $1

--: with x
INSERT INTO customers (customer_id) VALUES ($1)

--: with 1 | x
INSERT INTO customers (customer_id, age) VALUES ($1, $2)

--: own words
--: with 1
INSERT INTO customers (customer_id, age) VALUES ($1, $2)

--: with 0
SELECT 1 / $1::int FROM customers WHERE customer_id = 1

--: with 0
SELECT 1 / $1::int FROM customers

--: with 1
SELECT $1 + nothing FROM customers

--: own words
SELECT customer_id FROM customers ORDER BY 1 OFFSET 99999999999999999999

SELECT customer_id FROM customers ORDER BY 1 LIMIT 1.5 OFFSET '2'

--: own words
INSERT INTO customers (nosuch) VALUES (1)

SELECT count(*) FROM customers WHERE to_tsvector('english', name) @@ plainto_tsquery('english', 'ada')

SELECT max(cbrt(age * 0 + 8)), count(*) FROM customers WHERE atan(age) > 1.5

UPDATE customers SET balance = round(cbrt(8)::numeric, 2) WHERE customer_id IN (1, 2, 3)
