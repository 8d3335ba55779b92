SELECT 1; SELECT 2

SELECT 1;

;

;;SELECT 1;;

-- just a comment
SELECT 1 -- a comment; not a statement

/* one */ SELECT 1 /* two; */; /* three */

SELECT ';' AS a; SELECT $$;$$ AS b

INSERT INTO customers (customer_id) VALUES (20); INSERT INTO customers (customer_id) VALUES (21); INSERT INTO customers (customer_id) VALUES (22)

SELECT count(*) FROM customers

INSERT INTO customers (customer_id) VALUES (30); SELECT 1/0; INSERT INTO customers (customer_id) VALUES (31)

SELECT count(*) FROM customers WHERE customer_id IN (30, 31)

INSERT INTO customers (customer_id) VALUES (30), (32); INSERT INTO customers (customer_id) VALUES (31); INSERT INTO customers (customer_id) VALUES (30)

SELECT count(*) FROM customers WHERE customer_id IN (30, 31, 32)

-- PostgreSQL parses the whole string first; either way nothing is left of it
--: own words
INSERT INTO customers (customer_id) VALUES (30); SELEC 1

SELECT count(*) FROM customers WHERE customer_id IN (30, 31, 32)

SELECT 1; SELECT * FROM nowhere; SELECT 2

INSERT INTO customers (customer_id) VALUES (40); COMMIT; INSERT INTO customers (customer_id) VALUES (41); SELECT 1/0

SELECT customer_id FROM customers WHERE customer_id IN (40, 41)

INSERT INTO customers (customer_id) VALUES (42); ROLLBACK; INSERT INTO customers (customer_id) VALUES (43)

SELECT customer_id FROM customers WHERE customer_id IN (42, 43)

BEGIN; INSERT INTO customers (customer_id) VALUES (50); INSERT INTO customers (customer_id) VALUES (51); COMMIT

BEGIN; INSERT INTO customers (customer_id) VALUES (52); INSERT INTO customers (customer_id) VALUES (53); ROLLBACK

SELECT customer_id FROM customers WHERE customer_id BETWEEN 50 AND 53 ORDER BY customer_id

INSERT INTO customers (customer_id) VALUES (54); BEGIN; INSERT INTO customers (customer_id) VALUES (55)

SELECT 1

ROLLBACK

SELECT customer_id FROM customers WHERE customer_id BETWEEN 54 AND 55 ORDER BY customer_id

BEGIN; SELECT 1/0; SELECT 1

SELECT 1

COMMIT

BEGIN; SELECT 1; COMMIT; SELECT 2; BEGIN; SELECT 3; ROLLBACK; SELECT 4

SAVEPOINT s; SELECT 1

SELECT 1; SAVEPOINT s; SELECT 2

BEGIN; SAVEPOINT s; INSERT INTO customers (customer_id) VALUES (60), (61); ROLLBACK TO s; INSERT INTO customers (customer_id) VALUES (62); COMMIT

SELECT customer_id FROM customers WHERE customer_id BETWEEN 60 AND 62 ORDER BY customer_id

UPDATE customers SET age = 1 WHERE customer_id = 1; UPDATE customers SET age = 2 WHERE customer_id = 2; SELECT customer_id, age FROM customers WHERE customer_id IN (1, 2) ORDER BY 1

INSERT INTO regions VALUES (70, 'x'); SELECT count(*) FROM regions; SELECT c.customer_id, r.name FROM customers c, regions r WHERE r.region_id = 70 AND c.customer_id = 2

SET LOCAL work_mem = '1MB'; SHOW work_mem

SET statement_timeout = '1h'; SELECT 1; SHOW statement_timeout

RESET statement_timeout; SHOW statement_timeout

VACUUM customers; SELECT 1

SELECT 1; VACUUM customers

CREATE TABLE tmp1 (a int); INSERT INTO tmp1 VALUES (1); SELECT * FROM tmp1; DROP TABLE tmp1

--: refused 0A000
--: simple
CREATE TABLE later (id bigint PRIMARY KEY); INSERT INTO later VALUES (1), (2), (3); SELECT count(*) FROM later; DROP TABLE later

COMMIT; SELECT 1

BEGIN; BEGIN; COMMIT; COMMIT

BEGIN; COMMIT AND CHAIN; SELECT 1; ROLLBACK

DELETE FROM customers WHERE customer_id = 20; DELETE FROM customers WHERE customer_id = 21

DISCARD ALL

--: simple
DISCARD ALL; SELECT 1
