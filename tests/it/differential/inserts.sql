INSERT INTO customers (customer_id, name) VALUES (20, 'one')

INSERT INTO customers VALUES (21, 'all', 1, 2.5, 3, '2024-01-01', true)

INSERT INTO public.customers (name, customer_id) VALUES ('swapped', 22)

INSERT INTO customers AS c (customer_id, name) VALUES (23, 'aliased')

INSERT INTO customers (customer_id, name) VALUES ('24', 'text key'), (25::bigint, 'cast'), (CAST('26' AS bigint), 'cast')

INSERT INTO customers (customer_id, name) VALUES (30, 'a'), (31, 'b'), (32, 'c'), (33, 'd'), (34, 'e')

INSERT INTO customers (customer_id, name) VALUES (40, 'a'), (41, 'b'), (42, 'c') RETURNING customer_id, name

INSERT INTO customers (customer_id, name) VALUES (45, 'z'), (44, 'y'), (43, 'x') RETURNING *

INSERT INTO customers (customer_id, name) VALUES (46, 'r') RETURNING customer_id + 1 AS next, upper(name)

INSERT INTO customers (customer_id, age) VALUES (47, DEFAULT), (48, 1 + 1), (49, NULL) RETURNING customer_id, age, name

INSERT INTO customers (customer_id, name) VALUES (50, E'tab\there'), (51, $$dollar$$), (52, 'semi;colon'), (53, '--no comment'), (54, 'paren)') RETURNING name

INSERT INTO customers (customer_id, joined) VALUES (55, '2024-02-30')

INSERT INTO customers (customer_id, joined) VALUES (55, '2024-02-28'), (56, '2024-02-30'), (57, '2024-03-01')

SELECT customer_id FROM customers WHERE customer_id IN (55, 56, 57)

-- Duplicates
INSERT INTO customers (customer_id) VALUES (1)

INSERT INTO customers (customer_id) VALUES (60), (1), (61)

INSERT INTO customers (customer_id) VALUES (60), (60)

SELECT customer_id FROM customers WHERE customer_id IN (60, 61)

-- ON CONFLICT
INSERT INTO customers (customer_id, name) VALUES (1, 'again') ON CONFLICT DO NOTHING

INSERT INTO customers (customer_id, name) VALUES (1, 'again'), (62, 'new'), (2, 'again') ON CONFLICT DO NOTHING

INSERT INTO customers (customer_id, name) VALUES (1, 'again'), (63, 'new'), (2, 'again') ON CONFLICT (customer_id) DO NOTHING RETURNING customer_id

INSERT INTO customers (customer_id, name) VALUES (1, 'Ada 2') ON CONFLICT (customer_id) DO UPDATE SET name = excluded.name RETURNING name

INSERT INTO customers (customer_id, age) VALUES (1, 1), (2, 2), (64, 64) ON CONFLICT (customer_id) DO UPDATE SET age = customers.age + excluded.age

INSERT INTO customers AS c (customer_id, age) VALUES (1, 1), (2, 2) ON CONFLICT (customer_id) DO UPDATE SET age = c.age + excluded.age WHERE c.age > 30

INSERT INTO customers (customer_id, age) VALUES (65, 1), (65, 2) ON CONFLICT (customer_id) DO UPDATE SET age = excluded.age

INSERT INTO customers (customer_id, age) VALUES (1, 1) ON CONFLICT ON CONSTRAINT customers_pkey DO NOTHING

--: refused 0A000
INSERT INTO customers (customer_id, age) VALUES (1, 1) ON CONFLICT (name) DO NOTHING

INSERT INTO customers (customer_id, age) VALUES (1, 36), (2, 25) ON CONFLICT (customer_id) DO UPDATE SET customer_id = excluded.customer_id, age = excluded.age

--: refused 0A000
INSERT INTO customers (customer_id, age) VALUES (1, 1) ON CONFLICT (customer_id) DO UPDATE SET customer_id = 99

SELECT * FROM customers WHERE customer_id < 13 OR customer_id > 59 ORDER BY customer_id

-- Shapes
INSERT INTO customers VALUES (70)

INSERT INTO customers VALUES (71, 'short'), (72, 'rows')

INSERT INTO customers VALUES (71, 'x'), (72)

INSERT INTO customers (customer_id, name) VALUES (73)

INSERT INTO customers (customer_id) VALUES (73, 'too many')

INSERT INTO customers (customer_id, customer_id) VALUES (73, 74)

INSERT INTO customers (customer_id, nothing) VALUES (73, 74)

--: own words
INSERT INTO customers (name) VALUES (DEFAULT)

--: own words
INSERT INTO customers (customer_id, name) VALUES (DEFAULT, 'x')

INSERT INTO customers (customer_id, name) VALUES ('x', 'x')

INSERT INTO customers (customer_id, name) VALUES (1.5, 'rounded')

INSERT INTO customers (customer_id, name) VALUES (99999999999999999999, 'x')

INSERT INTO customers (customer_id, name) VALUES (1 + 74, 'sum')

INSERT INTO customers (customer_id, name) VALUES (-5, 'minus')

INSERT INTO customers (customer_id, name) VALUES (- 6, 'minus')

INSERT INTO customers (customer_id, name) VALUES (+6, 'plus'), ((76), 'parenthesis')

INSERT INTO customers (customer_id, name) VALUES (77, (SELECT title FROM products WHERE product_id = 1))

INSERT INTO customers (customer_id, name) VALUES (78, (SELECT max(name) FROM customers))

INSERT INTO customers (customer_id, name) VALUES ((SELECT 79), 'x')

INSERT INTO customers (customer_id, name, age) VALUES (80, lower('ABC'), abs(-3)), (81, upper('abc'), length('four'))

INSERT INTO customers (customer_id, name) VALUES (82, concat('a', 'b', 1))

INSERT INTO customers (customer_id, name) VALUES (83, 'x'), (84, repeat('y', 3)), (85, 'a' || 'b')

INSERT INTO customers (customer_id, joined) VALUES (86, current_date), (87, current_date) RETURNING joined = current_date

INSERT INTO customers (customer_id, joined) VALUES (88, now()), (89, now()) RETURNING joined = now()::date

INSERT INTO customers (customer_id, age) VALUES (90, 1/0)

INSERT INTO customers (customer_id, age) VALUES (90, 1), (91, 1/0), (92, 1)

SELECT count(*) FROM customers WHERE customer_id BETWEEN 90 AND 92

-- INSERT … SELECT
INSERT INTO orders (customer_id, order_id) SELECT customer_id, 100 FROM customers WHERE customer_id = 1

INSERT INTO orders (customer_id, order_id) SELECT customer_id, 101 FROM customers WHERE customer_id = 1 RETURNING *

INSERT INTO orders (customer_id, order_id) SELECT 1, 102

INSERT INTO orders (customer_id, order_id) SELECT 1, generate_series(110, 112)

INSERT INTO orders (customer_id, order_id) SELECT customer_id, 200 FROM customers

INSERT INTO orders (customer_id, order_id) SELECT customer_id, 201 FROM customers WHERE customer_id IN (1, 2, 4)

INSERT INTO orders (customer_id, order_id, amount) SELECT customer_id, order_id + 300, amount * 2 FROM orders WHERE customer_id = 5

INSERT INTO customers SELECT customer_id + 1000, name FROM customers

INSERT INTO customers (customer_id, name) SELECT * FROM (VALUES (1001, 'v1'), (1002, 'v2')) v

INSERT INTO empty SELECT id, i4, t FROM facts

INSERT INTO empty SELECT id, i4, t FROM facts WHERE id = 1

INSERT INTO loose SELECT customer_id, name FROM customers

INSERT INTO loose SELECT product_id + 100, title FROM products

INSERT INTO orders (customer_id, order_id) SELECT customer_id, 400 FROM customers ORDER BY customer_id LIMIT 1

SELECT * FROM orders ORDER BY customer_id, order_id

SELECT * FROM empty ORDER BY id

WITH n AS (SELECT 1 AS x) INSERT INTO customers (customer_id, age) SELECT 120, x FROM n

WITH n AS (SELECT 1 AS x) INSERT INTO customers (customer_id, age) VALUES (121, (SELECT x FROM n))

-- Generated ids: the rows are equal but for the ids
--: proxy
INSERT INTO tickets (customer_id, title) VALUES (1, 'first')

--: plain
INSERT INTO tickets VALUES (1, 1, 'first')

--: proxy
INSERT INTO tickets (customer_id, title) VALUES (1, 'a'), (2, 'b'), (4, 'c') RETURNING customer_id, title, ticket_id > 0

--: plain
INSERT INTO tickets VALUES (2, 1, 'a'), (2, 2, 'b'), (2, 4, 'c')

SELECT customer_id, title, count(*), count(DISTINCT ticket_id) FROM tickets WHERE customer_id = 1 GROUP BY 1, 2 ORDER BY 1, 2

INSERT INTO tickets (ticket_id, customer_id, title) VALUES (7, 1, 'mine')

INSERT INTO tickets (ticket_id, customer_id, title) VALUES (8, 1, DEFAULT) RETURNING *

SELECT ticket_id FROM tickets WHERE customer_id = 1 AND title IN ('mine', 'none') ORDER BY ticket_id

--: proxy
INSERT INTO items (label) VALUES ('one'), ('two'), ('three'), ('four'), ('five'), ('six')

--: plain
INSERT INTO items (item_id, label) VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five'), (6, 'six')

SELECT label FROM items ORDER BY label

SELECT count(*), count(DISTINCT label), bool_and(item_id > 0) FROM items

INSERT INTO items (item_id, label) VALUES (10, 'ten'), (11, 'eleven'), (12, 'twelve') RETURNING item_id, made = now()

INSERT INTO items (item_id, label) VALUES (10, 'ten')

INSERT INTO items (item_id, label) VALUES (13, NULL)

INSERT INTO items (item_id, label) VALUES (14, 'ok'), (15, NULL), (16, 'ok'), (17, 'ok')

SELECT item_id FROM items WHERE item_id BETWEEN 13 AND 17

-- Text and uuid keys
INSERT INTO documents VALUES ('new', 1, 'n'), ('näher', 1, 'ä'), ('it''s', 2, 'q'), ('back\slash', 1, 'b') RETURNING tenant, title

INSERT INTO documents VALUES (E'new\tline', 1, 'n'), ($$dollar$$, 1, 'd'), ('a' || 'b', 1, 'concatenated')

INSERT INTO documents VALUES ('new', 1, 'dup')

--: own words
INSERT INTO documents VALUES (NULL, 1, 'null')

INSERT INTO documents VALUES (5, 1, 'number'), (true, 1, 'bool')

INSERT INTO documents VALUES (5, 1, 'number')

SELECT * FROM documents ORDER BY tenant, doc

SELECT title FROM documents WHERE tenant = 'ab'

SELECT title FROM documents WHERE tenant = '5'

INSERT INTO devices (device_id, label) VALUES ('11111111-1111-1111-1111-111111111111', 'x'), ('{22222222222222222222222222222222}', 'y'), ('33333333-3333-3333-3333-333333333333'::uuid, 'z') RETURNING *

INSERT INTO devices (device_id, label) VALUES ('bad', 'x')

INSERT INTO devices (device_id, label) VALUES (md5('x')::uuid, 'x')

SELECT label FROM devices WHERE device_id = '22222222-2222-2222-2222-222222222222'

INSERT INTO counters (id) VALUES (100), (101), (102) RETURNING id, hits

INSERT INTO counters (id, hits) VALUES (103, -1)

INSERT INTO counters (id, hits) VALUES (104, 1), (105, -1), (106, 1)

INSERT INTO counters (id) VALUES (3000000000)

SELECT id FROM counters WHERE id > 99 ORDER BY id

-- Parameters
--: with 300 | Zed
INSERT INTO customers (customer_id, name) VALUES ($1, $2)

--: with 301 | Zed | 302
INSERT INTO customers (customer_id, name) VALUES ($1, $2), ($3, $2), (303, 'plain') RETURNING customer_id, name

--: with 304 | \N
INSERT INTO customers (customer_id, name) VALUES ($1, $2) RETURNING name

--: own words
--: with \N | x
INSERT INTO customers (customer_id, name) VALUES ($1, $2)

--: with 305
INSERT INTO customers (customer_id, age) VALUES ($1::bigint, $1::int + 1)

--: with abc
INSERT INTO customers (customer_id) VALUES ($1)

--: with 306 | new
INSERT INTO documents (doc, tenant) VALUES ($1, $2), (1, 'fixed')

--: with 44444444-4444-4444-4444-444444444444 | four
INSERT INTO devices (device_id, label) VALUES ($1, $2) RETURNING *

--: with 1 | upsert
INSERT INTO customers (customer_id, name) VALUES ($1, $2) ON CONFLICT (customer_id) DO UPDATE SET name = $2 RETURNING *

--: proxy
--: with 2 | titled
INSERT INTO tickets (customer_id, title) VALUES ($1, $2), (4, $2) RETURNING customer_id, title

--: extended
--: plain
INSERT INTO tickets VALUES (3, 2, 'titled'), (3, 4, 'titled')

SELECT customer_id, title FROM tickets ORDER BY customer_id, title

-- COPY
--: copy
COPY customers (customer_id, name) FROM STDIN
500	copied
501	\N
502	tab\\tescaped

--: copy
COPY customers (name, customer_id) FROM STDIN WITH (DELIMITER '|', NULL 'nil')
by pipe|503
nil|509

--: copy
COPY customers (customer_id, name) FROM STDIN
504	dup
504	dup

--: own words
--: copy
COPY customers (customer_id, name) FROM STDIN
x	bad

--: copy
COPY customers (customer_id, name) FROM STDIN
505

--: own words
--: copy
COPY customers (customer_id, name) FROM STDIN
\N	null key

--: copy
COPY customers (customer_id, age) FROM STDIN
506	1
507	x
508	2

--: copy
COPY nowhere FROM STDIN
1

--: copy
COPY customers (nothing) FROM STDIN
1

--: copy
COPY settings FROM STDIN
copied	yes

--: copy
COPY regions FROM STDIN
50	copied
51	too

--: copy
COPY documents FROM STDIN
größe	2	zwei
	2	blank key
copy	1	\N

SELECT * FROM settings ORDER BY name

SELECT * FROM regions ORDER BY region_id

SELECT * FROM documents ORDER BY tenant, doc

SELECT * FROM customers ORDER BY customer_id

SELECT customer_id FROM customers WHERE customer_id = 500

-- One row of which functions make several
INSERT INTO customers (customer_id, name) VALUES (generate_series(9001, 9004), 'set')

INSERT INTO customers (customer_id, name) VALUES (9010, unnest(ARRAY['only']))

INSERT INTO loose (id, what) VALUES (generate_series(901, 903), upper('x')) RETURNING id

SELECT customer_id, name FROM customers WHERE customer_id > 9000 ORDER BY customer_id

DELETE FROM customers WHERE customer_id IN (9001, 9002, 9003, 9004, 9010)

DELETE FROM loose WHERE id BETWEEN 901 AND 903

-- Numbers of sequences come from home

CREATE TABLE entries (id bigserial PRIMARY KEY, what text, at int DEFAULT 7)

CREATE TABLE lines (customer_id bigint NOT NULL, line int GENERATED BY DEFAULT AS IDENTITY, note text, PRIMARY KEY (customer_id, line))

INSERT INTO entries (what) VALUES ('a') RETURNING id

INSERT INTO entries (what) VALUES ('b'), ('c'), (NULL), ('d') RETURNING *

INSERT INTO entries VALUES (DEFAULT, 'e'), (DEFAULT, 'f', 8) RETURNING id

INSERT INTO entries VALUES (DEFAULT, 'e', DEFAULT), (DEFAULT, 'f', 8) RETURNING id, at

INSERT INTO entries VALUES (1000, 'given'), (DEFAULT, 'not') RETURNING id, what

INSERT INTO entries DEFAULT VALUES RETURNING id

--: with g | 9
INSERT INTO entries (what, at) VALUES ($1, $2) RETURNING id, what, at

INSERT INTO entries (what) VALUES ('x') ON CONFLICT (id) DO NOTHING

INSERT INTO entries (id, what) VALUES (nextval('entries_id_seq'), 'said') RETURNING id

INSERT INTO entries (id, what) VALUES (1000, 'twice')

INSERT INTO entries (what, what) VALUES ('x', 'y')

INSERT INTO entries (what) VALUES ('x', 'y')

INSERT INTO entries (nothing) VALUES ('x')

INSERT INTO lines (customer_id, note) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (1, 'd') RETURNING customer_id, line

INSERT INTO lines (customer_id, line, note) VALUES (4, DEFAULT, 'e'), (5, 100, 'f') RETURNING *

--: with 6 | g
INSERT INTO lines AS l (customer_id, note) VALUES ($1, $2) RETURNING l.line

INSERT INTO lines (customer_id) OVERRIDING SYSTEM VALUE VALUES (7) RETURNING line

ALTER TABLE lines ALTER line SET GENERATED ALWAYS

INSERT INTO lines (customer_id, note) VALUES (8, 'h'), (9, 'i') RETURNING line

INSERT INTO lines (customer_id, line) VALUES (8, 500)

BEGIN

INSERT INTO entries (what) VALUES ('in a transaction'), ('and another') RETURNING id

INSERT INTO lines (customer_id, note) VALUES (10, 'j') RETURNING line

ROLLBACK

INSERT INTO entries (what) VALUES ('behind it') RETURNING id

SELECT * FROM entries ORDER BY id

SELECT * FROM lines ORDER BY line

-- those of the rows of queries and of COPY, too

INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 6 ORDER BY customer_id RETURNING id, what

INSERT INTO entries (what, at) SELECT name, age FROM customers WHERE customer_id = 3

INSERT INTO entries (what) SELECT name FROM customers WHERE false

INSERT INTO entries (what) SELECT 'x' UNION ALL SELECT 'y' ORDER BY 1 RETURNING id, what

INSERT INTO entries (what, at) WITH w AS (SELECT 1 AS n) SELECT 'w', n FROM w RETURNING id, at

--: with z
INSERT INTO entries (what) SELECT $1 || name FROM customers WHERE customer_id = 1 RETURNING *

INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id IN (1, 2) ORDER BY customer_id ON CONFLICT (id) DO NOTHING

INSERT INTO entries (what) SELECT name, age FROM customers

INSERT INTO entries (what, at) SELECT name FROM customers

INSERT INTO lines (customer_id) SELECT customer_id FROM customers WHERE customer_id < 6 ORDER BY customer_id RETURNING *

INSERT INTO lines SELECT 20

INSERT INTO lines SELECT customer_id FROM orders WHERE customer_id < 3 ORDER BY 1

INSERT INTO lines SELECT 21, 900

INSERT INTO lines OVERRIDING SYSTEM VALUE SELECT 21, 900, 'said'

INSERT INTO lines (customer_id, note) OVERRIDING SYSTEM VALUE SELECT 22, 'not said' RETURNING *

INSERT INTO lines OVERRIDING SYSTEM VALUE SELECT customer_id + 100, line, note FROM lines

INSERT INTO lines OVERRIDING SYSTEM VALUE SELECT * FROM lines WHERE customer_id = 21

--: refused 0A000
INSERT INTO lines (customer_id, line) OVERRIDING USER VALUE VALUES (23, 5)

--: refused 0A000
INSERT INTO lines (customer_id, line) OVERRIDING USER VALUE SELECT 23, 5

--: refused 0A000
INSERT INTO entries SELECT * FROM (VALUES (1, 'x')) AS v (a, b), (VALUES (1)) AS w (c)

WITH i AS (INSERT INTO entries (what) VALUES ('x'), ('y') RETURNING id) INSERT INTO lines (customer_id, note) SELECT id, 'of ' || id FROM i RETURNING *

WITH i AS (INSERT INTO entries (what) SELECT 'z' RETURNING id) SELECT * FROM i

BEGIN

INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 3 ORDER BY customer_id RETURNING id

ROLLBACK

--: copy
COPY entries (what) FROM STDIN
copied
\N
a\tb

--: copy
COPY lines (note, customer_id) FROM STDIN WITH (FORMAT csv, DELIMITER ';')
"a
b";30
"c;""d";31

--: copy
COPY entries FROM STDIN
9000	given	1

INSERT INTO entries (what) VALUES ('behind COPY') RETURNING id

SELECT * FROM entries ORDER BY id

SELECT * FROM lines ORDER BY customer_id, line

-- an identity column takes no value, whatever is numbered beside it

INSERT INTO lines (customer_id, line) SELECT 40, 501

INSERT INTO lines SELECT 40, 502, 'given'

--: refused 0A000
INSERT INTO lines (customer_id, line) VALUES (40, DEFAULT), (41, 503)

INSERT INTO lines (customer_id, line) VALUES (40, DEFAULT), (41, DEFAULT)

-- lastval() is of the same session

BEGIN

INSERT INTO lines (customer_id, note) VALUES (42, 'one') RETURNING line

INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 4

SELECT lastval(), currval('entries_id_seq'), currval('lines_line_seq')

ROLLBACK

-- numbers that a query asks for itself

INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), name FROM customers WHERE customer_id < 6 ORDER BY customer_id RETURNING id, what

INSERT INTO entries (what, id) SELECT name, pg_catalog.nextval('entries_id_seq'::regclass) AS number FROM customers ORDER BY customer_id DESC LIMIT 3 RETURNING *

INSERT INTO entries SELECT nextval('entries_id_seq'), 'all', nextval('lines_line_seq') FROM customers WHERE customer_id = 1

INSERT INTO entries SELECT nextval('entries_id_seq'), 'two', 5 FROM customers WHERE customer_id < 3 RETURNING id

--: with 3
INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), name FROM customers WHERE customer_id < $1 AND name <> 'nextval'

INSERT INTO lines (customer_id, note) SELECT nextval('entries_id_seq'), 'keyed' RETURNING *

INSERT INTO lines (customer_id, line) SELECT customer_id, nextval('lines_line_seq') FROM customers WHERE customer_id < 3

INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), name FROM customers WHERE false

INSERT INTO entries (id, what) SELECT nextval('no_such_sequence'), name FROM customers

INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), name, 3 FROM customers

INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), name FROM customers WHERE customer_id = 1 ON CONFLICT (id) DO NOTHING

INSERT INTO entries (id, at) SELECT g, nextval('entries_id_seq') FROM generate_series(50000, 52000) g

INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), 'many' FROM generate_series(1, 2500)

SELECT count(*), count(DISTINCT id), max(id), min(at), max(at) FROM entries

WITH w AS (SELECT 'of a WITH' AS what) INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), what FROM w RETURNING *

--: refused 0A000
INSERT INTO entries (id, what) SELECT DISTINCT nextval('entries_id_seq'), name FROM customers

--: refused 0A000
INSERT INTO entries (id, what) SELECT 1 + nextval('entries_id_seq'), name FROM customers

BEGIN

INSERT INTO entries (id, what) SELECT nextval('entries_id_seq'), name FROM customers WHERE customer_id < 3

SELECT lastval()

ROLLBACK

-- defaults that are more than numbers

--: own words
--: copy
COPY entries (what, at) FROM STDIN
one column

DROP TABLE entries

CREATE TABLE entries (id bigserial PRIMARY KEY, what text, label varchar(9) DEFAULT 'E' || lpad(nextval('entries_id_seq')::text, 6, '0'))

INSERT INTO entries (what) VALUES ('labelled') RETURNING label

INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 4 ORDER BY customer_id RETURNING label

ALTER TABLE entries ALTER label SET DEFAULT 'too long: ' || nextval('entries_id_seq')

INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 4

ALTER TABLE entries ALTER label SET DEFAULT CASE WHEN nextval('entries_id_seq') < 0 THEN 'never' END

--: refused 0A000
INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 4

ALTER TABLE entries ALTER label SET DEFAULT current_setting('application_name') || nextval('entries_id_seq')

--: refused 0A000
INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 4

ALTER TABLE entries ALTER label TYPE real USING 1, ALTER label SET DEFAULT nextval('entries_id_seq') / 3.0

--: refused 0A000
INSERT INTO entries (what) SELECT name FROM customers WHERE customer_id < 4

DROP TABLE entries, lines

-- A query that finds no rows
INSERT INTO customers (customer_id, name) SELECT 900, 'nobody' WHERE false

-- From a table that lives elsewhere
--: simple
INSERT INTO loose SELECT id + 700, what FROM audit WHERE id = 1

--: extended
--: refused 0A000
INSERT INTO loose SELECT id + 700, what FROM audit WHERE id = 1

SELECT count(*) FROM loose WHERE id > 700
