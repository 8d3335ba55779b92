CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text, age int, balance numeric(12, 2), region int, joined date, vip boolean)

CREATE TABLE orders (customer_id bigint NOT NULL, order_id int NOT NULL, product int, amount numeric(10, 2), placed timestamptz, note text, PRIMARY KEY (customer_id, order_id))

CREATE TABLE facts (id bigint PRIMARY KEY, i2 smallint, i4 int, i8 bigint, n numeric, f4 real, f8 double precision, b boolean, t text, v varchar(20), d date, ts timestamp, tz timestamptz, tm time, iv interval, u uuid, by bytea, j jsonb, a int[])

CREATE TABLE empty (id bigint PRIMARY KEY, n int, t text)

CREATE TABLE tickets (ticket_id bigint NOT NULL, customer_id bigint NOT NULL, title text DEFAULT 'none', PRIMARY KEY (customer_id, ticket_id))

CREATE TABLE items (item_id bigint PRIMARY KEY, label text NOT NULL, made timestamptz DEFAULT now())

CREATE TABLE documents (tenant text NOT NULL, doc int NOT NULL, title text, PRIMARY KEY (tenant, doc))

CREATE TABLE pages (tenant text NOT NULL, doc int NOT NULL, page int NOT NULL, body text, PRIMARY KEY (tenant, doc, page))

CREATE TABLE devices (device_id uuid PRIMARY KEY, label text, seen timestamptz)

CREATE TABLE moments (at timestamptz PRIMARY KEY, note text, made timestamptz DEFAULT CURRENT_TIMESTAMP)

CREATE TABLE counters (id int PRIMARY KEY, hits bigint NOT NULL DEFAULT 0 CHECK (hits >= 0), label text)

CREATE TABLE seats (id int, place int CHECK (place < 9), UNIQUE (id, place) DEFERRABLE INITIALLY DEFERRED)

CREATE TABLE strict (id bigint PRIMARY KEY, n int)

CREATE TABLE products (product_id int PRIMARY KEY, title text NOT NULL, price numeric(10, 2), sold date)

CREATE TABLE regions (region_id int PRIMARY KEY, name text)

CREATE TABLE settings (name text PRIMARY KEY, value text)

CREATE TABLE audit (id int PRIMARY KEY, what text)

CREATE TABLE loose (id int PRIMARY KEY, what text)

INSERT INTO customers VALUES
 (1, 'Ada', 36, 10.50, 1, '2020-01-01', true), (2, 'bob', 25, 0.00, 2, '2020-02-01', false), (3, 'Cleo', NULL, -3.25, 1, NULL, NULL)

INSERT INTO customers VALUES (4, 'Dan', 51, 100.00, NULL, '2019-05-05', true), (5, NULL, 36, NULL, 3, '2021-12-31', false), (6, 'Ada', 19, 7.77, 2, '2020-01-01', true), (7, 'eve', 36, 0.01, 1, '2022-06-15', NULL), (8, 'Zoe', 70, 12345678.90, 3, '1999-12-31', false), (9, 'ähre', 44, 5, 2, '2020-02-29', true), (10, '', 25, 10.50, 1, '2020-01-01', false), (11, 'Ida', 33, 1.10, 1, '2023-03-03', true), (12, 'ida', 33, 1.1, NULL, '2023-03-03', true)

INSERT INTO orders VALUES (1, 1, 1, 9.99, '2024-01-01 10:00+00', 'first'), (1, 2, 2, 20.00, '2024-01-02 10:00+00', NULL), (1, 3, 1, 5.01, '2024-02-01 00:00+00', 'third'), (2, 1, 3, 100.00, '2024-01-01 10:00+00', 'big'), (2, 2, NULL, NULL, NULL, ''), (4, 1, 2, 1.50, '2023-12-31 23:59:59.999999+00', 'x'), (5, 1, 1, 2.50, '2024-01-05 12:30+00', 'y'), (5, 2, 3, 7.25, '2024-01-06 12:30+00', 'z'), (7, 1, 2, 0.01, '2024-03-01 00:00+00', 'tiny'), (8, 1, 3, 999.99, '2024-03-02 00:00+00', 'huge'), (9, 1, 1, 3.33, '2024-03-03 00:00+00', 'three'), (12, 1, 4, 4.44, '2024-03-04 00:00+00', NULL)

INSERT INTO facts VALUES (1, 1, 100000, 10000000000, 1.10, 1.5, 2.25, true, 'apple', 'Apple', '2020-01-01', '2020-01-01 01:02:03', '2020-01-01 01:02:03+02', '10:00', '1 day', '00000000-0000-0000-0000-000000000001', '\x01', '{"a": 1}', '{1,2}'), (2, -1, -5, -7, -0.001, -1.5, 'NaN', false, 'Banana', 'b', '1999-12-31', '1999-12-31 23:59:59.5', '1999-12-31 23:59:59.5+00', '23:59:59.999', '-1 mon', '00000000-0000-0000-0000-0000000000ff', '\xff00', '[1]', '{}'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 32767, 2147483647, 9223372036854775807, 99999999999999999999.5, 3.4e38, 1.7e308, true, 'cherry', '', 'infinity', 'infinity', 'infinity', '00:00', '100 years', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '', '"s"', '{3}')

INSERT INTO facts VALUES (5, -32768, -2147483648, -9223372036854775808, 'NaN', 1e-30, 1e-300, false, 'äpfel', 'Z', '-infinity', '-infinity', '-infinity', '12:00', '00:00:01', '7fffffff-0000-4000-8000-000000000000', '\x00', 'null', '{-1,5}'), (6, 0, 0, 0, 0, 0, 0, true, '', 'a', '2020-01-01', '2020-01-01', '2020-01-01', '00:00:00.000001', '0', '00000000-0000-0000-0000-000000000000', '\x0101', '{}', '{0}'), (7, 1, 7, 7, 1.10, 1.5, -2.25, NULL, 'apple', 'apple', '0001-01-01 BC', '2020-01-01 01:02:03', '2020-01-01 01:02:03+02', '10:00', '24 hours', '00000000-0000-0000-0000-000000000001', '\x01', '{"a": 1.0}', '{1,2}'), (8, 2, 8, 8, 1.10, 5, 5, true, 'Apple', 'APPLE', '2024-02-29', '2024-02-29', '2024-02-29', '01:00', '1 mon', '00000000-0000-0000-0000-000000000010', '\x7f', '{"b": []}', '{NULL}'), (9, 3, 9, 9, 'Infinity', 'Infinity', '-Infinity', false, 'zebra', 'zz', '2024-03-01', '2024-03-01', '2024-03-01', '24:00', '30 days', '10000000-0000-0000-0000-000000000000', '\x80', '[]', NULL)

INSERT INTO documents VALUES ('acme', 1, 'one'), ('acme', 2, 'two'), ('Acme', 1, 'ONE'), ('größe', 1, 'eins'), ('', 1, 'blank'), ('it''s', 1, NULL), ('x y', 7, 'seven')

INSERT INTO pages VALUES ('acme', 1, 1, 'p1'), ('acme', 1, 2, 'p2'), ('acme', 2, 1, 'p1'), ('größe', 1, 1, 'Seite'), ('it''s', 1, 1, 'quote')

INSERT INTO devices VALUES ('00000000-0000-0000-0000-000000000001', 'one', '2024-01-01 00:00+00'), ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'two', NULL), ('{b0eebc999c0b4ef8bb6d6bb9bd380a11}', 'three', '2024-01-03 00:00+00'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'four', '2024-01-02 00:00+00')

INSERT INTO counters VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, NULL), (5, 5, 'e'), (6, 0, 'f')

INSERT INTO strict VALUES (1, 1)

INSERT INTO strict VALUES (2, 2)

INSERT INTO products VALUES (1, 'apple', 1.00, '2024-01-01'), (2, 'pear', 2.00, NULL), (3, 'plum', NULL, '2024-03-01')

INSERT INTO regions VALUES (1, 'north'), (2, 'south'), (3, NULL)

INSERT INTO settings VALUES ('currency', 'EUR'), ('theme', 'dark')

INSERT INTO audit VALUES (1, 'start')

INSERT INTO loose VALUES (1, 'l1'), (2, 'l2')
