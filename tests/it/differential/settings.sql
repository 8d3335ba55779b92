SHOW TimeZone

SHOW search_path

SHOW server_encoding

SHOW client_encoding

SHOW standard_conforming_strings

SHOW transaction_isolation

SHOW work_mem

SHOW integer_datetimes

SET TimeZone = 'Europe/Berlin'

SHOW TimeZone

SELECT '2024-06-01 12:00'::timestamptz

SELECT placed FROM orders WHERE customer_id = 1 ORDER BY order_id

SELECT placed FROM orders ORDER BY placed, customer_id

SELECT id, tz FROM facts ORDER BY tz, id

SELECT max(tz), min(tz) FROM facts WHERE id IN (1, 2, 6, 9)

INSERT INTO orders (customer_id, order_id, placed) VALUES (1, 60, '2024-06-01 12:00'), (2, 60, '2024-06-01 12:00'), (4, 60, '2024-06-01 12:00')

SET TIME ZONE 'UTC'

SELECT customer_id, placed FROM orders WHERE order_id = 60 ORDER BY customer_id

SET TIME ZONE 5

SHOW TimeZone

SELECT '2024-06-01 12:00+00'::timestamptz

SET TIME ZONE LOCAL

SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE

SHOW TimeZone

RESET TIME ZONE

SHOW TimeZone

RESET TimeZone

SET DateStyle = 'German, DMY'

SELECT d FROM facts WHERE id = 1

SELECT id, d FROM facts WHERE id IN (1, 2, 9) ORDER BY d

SELECT id, d, ts FROM facts ORDER BY id

SELECT d, count(*) FROM facts WHERE id IN (1, 2, 6, 9) GROUP BY d ORDER BY d

SELECT min(d), max(d) FROM facts WHERE id IN (1, 2, 9)

SHOW DateStyle

SET datestyle TO iso, dmy

SELECT '02.03.2024'::date

RESET DateStyle

SET IntervalStyle = 'iso_8601'

SELECT iv FROM facts WHERE id = 1

SELECT iv FROM facts ORDER BY id

RESET IntervalStyle

SET extra_float_digits = 0

SELECT f8, f4 FROM facts WHERE id = 4

SELECT f8 FROM facts ORDER BY id

SELECT sum(f8) FROM facts WHERE id IN (1, 6, 7)

RESET extra_float_digits

SET bytea_output = 'escape'

SELECT by FROM facts WHERE id = 2

--: simple
--: refused 0A000
SELECT by FROM facts ORDER BY by, id

--: simple
--: refused 0A000
SELECT DISTINCT by FROM facts ORDER BY by

RESET bytea_output

SET work_mem = '8MB'

SHOW work_mem

SET work_mem TO DEFAULT

SHOW work_mem

SET SESSION work_mem = '9MB'

SHOW work_mem

RESET ALL

SHOW work_mem

BEGIN

SET LOCAL work_mem = '10MB'

SHOW work_mem

SELECT current_setting('work_mem') FROM customers WHERE customer_id = 1

SELECT current_setting('work_mem') FROM customers WHERE customer_id = 2

COMMIT

SHOW work_mem

BEGIN

SET work_mem = '11MB'

ROLLBACK

SHOW work_mem

BEGIN

SET work_mem = '12MB'

COMMIT

SHOW work_mem

BEGIN

SAVEPOINT s

SET work_mem = '13MB'

SHOW work_mem

ROLLBACK TO s

SHOW work_mem

COMMIT

SHOW work_mem

BEGIN

SET LOCAL TimeZone = 'Asia/Tokyo'

SELECT placed FROM orders WHERE customer_id = 1 AND order_id = 1

SELECT placed FROM orders WHERE customer_id IN (1, 2, 4) ORDER BY placed, customer_id

COMMIT

SELECT placed FROM orders WHERE customer_id = 1 AND order_id = 1

--: refused 0A000
SET search_path = nowhere

SELECT * FROM customers WHERE customer_id = 1

SELECT * FROM public.customers WHERE customer_id = 1

SELECT count(*) FROM public.customers

SELECT count(*) FROM customers

RESET search_path

SELECT count(*) FROM customers

SET search_path TO public, pg_catalog

SELECT count(*) FROM customers

SHOW search_path

SET search_path TO DEFAULT

SET SCHEMA 'public'

SHOW search_path

SELECT current_schema()

SET NAMES 'UTF8'

SHOW client_encoding

SET client_min_messages = warning

SHOW client_min_messages

SET application_name = 'differential'

SHOW application_name

SET statement_timeout = 1000

SHOW statement_timeout

SET statement_timeout = 0

SET my.own = 'x'

SHOW my.own

SET ROLE app

SELECT current_user

RESET ROLE

SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED

SET default_transaction_read_only = on

INSERT INTO customers (customer_id) VALUES (70)

SET default_transaction_read_only = off

SET enable_seqscan = off

SELECT count(*) FROM customers

DISCARD ALL

SHOW work_mem

SHOW enable_seqscan
