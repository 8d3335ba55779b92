SELECT i2 FROM facts ORDER BY i2, id

SELECT id FROM facts ORDER BY i2 DESC, id

SELECT id, i2 FROM facts ORDER BY i2 NULLS FIRST, id DESC LIMIT 4

SELECT i2 FROM facts ORDER BY i2 DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT i2 FROM facts ORDER BY i2

SELECT i2, count(*) FROM facts GROUP BY i2 ORDER BY i2

SELECT DISTINCT i2 FROM facts

SELECT i2, count(i2) FROM facts GROUP BY 1

SELECT count(DISTINCT i2) FROM facts

SELECT min(i2), max(i2), count(i2) FROM facts

SELECT b, min(i2), max(i2) FROM facts GROUP BY b ORDER BY b

SELECT min(i2), max(i2) FROM facts WHERE false

SELECT i4 FROM facts ORDER BY i4, id

SELECT id FROM facts ORDER BY i4 DESC, id

SELECT id, i4 FROM facts ORDER BY i4 NULLS FIRST, id DESC LIMIT 4

SELECT i4 FROM facts ORDER BY i4 DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT i4 FROM facts ORDER BY i4

SELECT i4, count(*) FROM facts GROUP BY i4 ORDER BY i4

SELECT DISTINCT i4 FROM facts

SELECT i4, count(i4) FROM facts GROUP BY 1

SELECT count(DISTINCT i4) FROM facts

SELECT min(i4), max(i4), count(i4) FROM facts

SELECT b, min(i4), max(i4) FROM facts GROUP BY b ORDER BY b

SELECT min(i4), max(i4) FROM facts WHERE false

SELECT i8 FROM facts ORDER BY i8, id

SELECT id FROM facts ORDER BY i8 DESC, id

SELECT id, i8 FROM facts ORDER BY i8 NULLS FIRST, id DESC LIMIT 4

SELECT i8 FROM facts ORDER BY i8 DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT i8 FROM facts ORDER BY i8

SELECT i8, count(*) FROM facts GROUP BY i8 ORDER BY i8

SELECT DISTINCT i8 FROM facts

SELECT i8, count(i8) FROM facts GROUP BY 1

SELECT count(DISTINCT i8) FROM facts

SELECT min(i8), max(i8), count(i8) FROM facts

SELECT b, min(i8), max(i8) FROM facts GROUP BY b ORDER BY b

SELECT min(i8), max(i8) FROM facts WHERE false

SELECT n FROM facts ORDER BY n, id

SELECT id FROM facts ORDER BY n DESC, id

SELECT id, n FROM facts ORDER BY n NULLS FIRST, id DESC LIMIT 4

SELECT n FROM facts ORDER BY n DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT n FROM facts ORDER BY n

SELECT n, count(*) FROM facts GROUP BY n ORDER BY n

SELECT DISTINCT n FROM facts

SELECT n, count(n) FROM facts GROUP BY 1

SELECT count(DISTINCT n) FROM facts

SELECT min(n), max(n), count(n) FROM facts

SELECT b, min(n), max(n) FROM facts GROUP BY b ORDER BY b

SELECT min(n), max(n) FROM facts WHERE false

SELECT f4 FROM facts ORDER BY f4, id

SELECT id FROM facts ORDER BY f4 DESC, id

SELECT id, f4 FROM facts ORDER BY f4 NULLS FIRST, id DESC LIMIT 4

SELECT f4 FROM facts ORDER BY f4 DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT f4 FROM facts ORDER BY f4

SELECT f4, count(*) FROM facts GROUP BY f4 ORDER BY f4

SELECT DISTINCT f4 FROM facts

SELECT f4, count(f4) FROM facts GROUP BY 1

SELECT count(DISTINCT f4) FROM facts

SELECT min(f4), max(f4), count(f4) FROM facts

SELECT b, min(f4), max(f4) FROM facts GROUP BY b ORDER BY b

SELECT min(f4), max(f4) FROM facts WHERE false

SELECT f8 FROM facts ORDER BY f8, id

SELECT id FROM facts ORDER BY f8 DESC, id

SELECT id, f8 FROM facts ORDER BY f8 NULLS FIRST, id DESC LIMIT 4

SELECT f8 FROM facts ORDER BY f8 DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT f8 FROM facts ORDER BY f8

SELECT f8, count(*) FROM facts GROUP BY f8 ORDER BY f8

SELECT DISTINCT f8 FROM facts

SELECT f8, count(f8) FROM facts GROUP BY 1

SELECT count(DISTINCT f8) FROM facts

SELECT min(f8), max(f8), count(f8) FROM facts

SELECT b, min(f8), max(f8) FROM facts GROUP BY b ORDER BY b

SELECT min(f8), max(f8) FROM facts WHERE false

SELECT b FROM facts ORDER BY b, id

SELECT id FROM facts ORDER BY b DESC, id

SELECT id, b FROM facts ORDER BY b NULLS FIRST, id DESC LIMIT 4

SELECT b FROM facts ORDER BY b DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT b FROM facts ORDER BY b

SELECT b, count(*) FROM facts GROUP BY b ORDER BY b

SELECT DISTINCT b FROM facts

SELECT b, count(b) FROM facts GROUP BY 1

SELECT count(DISTINCT b) FROM facts

SELECT t FROM facts ORDER BY t, id

SELECT id FROM facts ORDER BY t DESC, id

SELECT id, t FROM facts ORDER BY t NULLS FIRST, id DESC LIMIT 4

SELECT t FROM facts ORDER BY t DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT t FROM facts ORDER BY t

SELECT t, count(*) FROM facts GROUP BY t ORDER BY t

SELECT DISTINCT t FROM facts

SELECT t, count(t) FROM facts GROUP BY 1

SELECT count(DISTINCT t) FROM facts

SELECT min(t), max(t), count(t) FROM facts

SELECT b, min(t), max(t) FROM facts GROUP BY b ORDER BY b

SELECT min(t), max(t) FROM facts WHERE false

SELECT v FROM facts ORDER BY v, id

SELECT id FROM facts ORDER BY v DESC, id

SELECT id, v FROM facts ORDER BY v NULLS FIRST, id DESC LIMIT 4

SELECT v FROM facts ORDER BY v DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT v FROM facts ORDER BY v

SELECT v, count(*) FROM facts GROUP BY v ORDER BY v

SELECT DISTINCT v FROM facts

SELECT v, count(v) FROM facts GROUP BY 1

SELECT count(DISTINCT v) FROM facts

SELECT min(v), max(v), count(v) FROM facts

SELECT b, min(v), max(v) FROM facts GROUP BY b ORDER BY b

SELECT min(v), max(v) FROM facts WHERE false

SELECT d FROM facts ORDER BY d, id

SELECT id FROM facts ORDER BY d DESC, id

SELECT id, d FROM facts ORDER BY d NULLS FIRST, id DESC LIMIT 4

SELECT d FROM facts ORDER BY d DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT d FROM facts ORDER BY d

SELECT d, count(*) FROM facts GROUP BY d ORDER BY d

SELECT DISTINCT d FROM facts

SELECT d, count(d) FROM facts GROUP BY 1

SELECT count(DISTINCT d) FROM facts

SELECT min(d), max(d), count(d) FROM facts

SELECT b, min(d), max(d) FROM facts GROUP BY b ORDER BY b

SELECT min(d), max(d) FROM facts WHERE false

SELECT ts FROM facts ORDER BY ts, id

SELECT id FROM facts ORDER BY ts DESC, id

SELECT id, ts FROM facts ORDER BY ts NULLS FIRST, id DESC LIMIT 4

SELECT ts FROM facts ORDER BY ts DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT ts FROM facts ORDER BY ts

SELECT ts, count(*) FROM facts GROUP BY ts ORDER BY ts

SELECT DISTINCT ts FROM facts

SELECT ts, count(ts) FROM facts GROUP BY 1

SELECT count(DISTINCT ts) FROM facts

SELECT min(ts), max(ts), count(ts) FROM facts

SELECT b, min(ts), max(ts) FROM facts GROUP BY b ORDER BY b

SELECT min(ts), max(ts) FROM facts WHERE false

SELECT tz FROM facts ORDER BY tz, id

SELECT id FROM facts ORDER BY tz DESC, id

SELECT id, tz FROM facts ORDER BY tz NULLS FIRST, id DESC LIMIT 4

SELECT tz FROM facts ORDER BY tz DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT tz FROM facts ORDER BY tz

SELECT tz, count(*) FROM facts GROUP BY tz ORDER BY tz

SELECT DISTINCT tz FROM facts

SELECT tz, count(tz) FROM facts GROUP BY 1

SELECT count(DISTINCT tz) FROM facts

SELECT min(tz), max(tz), count(tz) FROM facts

SELECT b, min(tz), max(tz) FROM facts GROUP BY b ORDER BY b

SELECT min(tz), max(tz) FROM facts WHERE false

SELECT tm FROM facts ORDER BY tm, id

SELECT id FROM facts ORDER BY tm DESC, id

SELECT id, tm FROM facts ORDER BY tm NULLS FIRST, id DESC LIMIT 4

SELECT tm FROM facts ORDER BY tm DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT tm FROM facts ORDER BY tm

SELECT tm, count(*) FROM facts GROUP BY tm ORDER BY tm

SELECT DISTINCT tm FROM facts

SELECT tm, count(tm) FROM facts GROUP BY 1

SELECT count(DISTINCT tm) FROM facts

SELECT min(tm), max(tm), count(tm) FROM facts

SELECT b, min(tm), max(tm) FROM facts GROUP BY b ORDER BY b

SELECT min(tm), max(tm) FROM facts WHERE false

SELECT iv FROM facts ORDER BY iv, id

SELECT id FROM facts ORDER BY iv DESC, id

SELECT id, iv FROM facts ORDER BY iv NULLS FIRST, id DESC LIMIT 4

SELECT iv FROM facts WHERE iv NOT IN ('1 day', '1 mon') OR iv IS NULL ORDER BY iv DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT iv FROM facts WHERE iv NOT IN ('1 day', '1 mon') OR iv IS NULL ORDER BY iv

SELECT iv, count(*) FROM facts WHERE iv NOT IN ('1 day', '1 mon') OR iv IS NULL GROUP BY iv ORDER BY iv

SELECT DISTINCT iv FROM facts WHERE iv NOT IN ('1 day', '1 mon') OR iv IS NULL

SELECT iv, count(iv) FROM facts WHERE iv NOT IN ('1 day', '1 mon') OR iv IS NULL GROUP BY 1

SELECT count(DISTINCT iv) FROM facts

SELECT min(iv), max(iv), count(iv) FROM facts

SELECT b, min(iv), max(iv) FROM facts GROUP BY b ORDER BY b

SELECT min(iv), max(iv) FROM facts WHERE false

SELECT u FROM facts ORDER BY u, id

SELECT id FROM facts ORDER BY u DESC, id

SELECT id, u FROM facts ORDER BY u NULLS FIRST, id DESC LIMIT 4

SELECT u FROM facts ORDER BY u DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT u FROM facts ORDER BY u

SELECT u, count(*) FROM facts GROUP BY u ORDER BY u

SELECT DISTINCT u FROM facts

SELECT u, count(u) FROM facts GROUP BY 1

SELECT count(DISTINCT u) FROM facts

SELECT by FROM facts ORDER BY by, id

SELECT id FROM facts ORDER BY by DESC, id

SELECT id, by FROM facts ORDER BY by NULLS FIRST, id DESC LIMIT 4

SELECT by FROM facts ORDER BY by DESC NULLS LAST LIMIT 3 OFFSET 2

SELECT DISTINCT by FROM facts ORDER BY by

SELECT by, count(*) FROM facts GROUP BY by ORDER BY by

SELECT DISTINCT by FROM facts

SELECT by, count(by) FROM facts GROUP BY 1

SELECT count(DISTINCT by) FROM facts

SELECT sum(i2) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT avg(i2) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT sum(i2), avg(i2) FROM facts WHERE id IN (3)

SELECT sum(i2), avg(i2) FROM facts WHERE id > 1000

SELECT b, sum(i2), avg(i2) FROM facts WHERE id IN (1, 2, 3, 6, 7, 8) GROUP BY b ORDER BY b

SELECT sum(i2) FROM facts

SELECT avg(i2) FROM facts

SELECT sum(i4) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT avg(i4) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT sum(i4), avg(i4) FROM facts WHERE id IN (3)

SELECT sum(i4), avg(i4) FROM facts WHERE id > 1000

SELECT b, sum(i4), avg(i4) FROM facts WHERE id IN (1, 2, 3, 6, 7, 8) GROUP BY b ORDER BY b

SELECT sum(i4) FROM facts

SELECT avg(i4) FROM facts

SELECT sum(i8) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT avg(i8) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT sum(i8), avg(i8) FROM facts WHERE id IN (3)

SELECT sum(i8), avg(i8) FROM facts WHERE id > 1000

SELECT b, sum(i8), avg(i8) FROM facts WHERE id IN (1, 2, 3, 6, 7, 8) GROUP BY b ORDER BY b

SELECT sum(i8) FROM facts

SELECT avg(i8) FROM facts

SELECT sum(n) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT avg(n) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT sum(n), avg(n) FROM facts WHERE id IN (3)

SELECT sum(n), avg(n) FROM facts WHERE id > 1000

SELECT b, sum(n), avg(n) FROM facts WHERE id IN (1, 2, 3, 6, 7, 8) GROUP BY b ORDER BY b

SELECT sum(n) FROM facts

SELECT avg(n) FROM facts

SELECT sum(f4) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT avg(f4) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT sum(f4), avg(f4) FROM facts WHERE id IN (3)

SELECT sum(f4), avg(f4) FROM facts WHERE id > 1000

SELECT b, sum(f4), avg(f4) FROM facts WHERE id IN (1, 2, 3, 6, 7, 8) GROUP BY b ORDER BY b

SELECT sum(f4) FROM facts

SELECT avg(f4) FROM facts

SELECT sum(f8) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT avg(f8) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT sum(f8), avg(f8) FROM facts WHERE id IN (3)

SELECT sum(f8), avg(f8) FROM facts WHERE id > 1000

SELECT b, sum(f8), avg(f8) FROM facts WHERE id IN (1, 2, 3, 6, 7, 8) GROUP BY b ORDER BY b

SELECT sum(f8) FROM facts

SELECT avg(f8) FROM facts

SELECT sum(iv) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT avg(iv) FROM facts WHERE id IN (1, 3, 6, 7, 8)

SELECT sum(iv), avg(iv) FROM facts WHERE id IN (3)

SELECT sum(iv), avg(iv) FROM facts WHERE id > 1000

SELECT b, sum(iv), avg(iv) FROM facts WHERE id IN (1, 2, 3, 6, 7, 8) GROUP BY b ORDER BY b

SELECT sum(iv) FROM facts

SELECT avg(iv) FROM facts

SELECT bool_and(b), bool_or(b), every(b) FROM facts

SELECT bool_and(b), bool_or(b) FROM facts WHERE id = ANY ('{1,4,6}')

SELECT bool_and(b), bool_or(b) FROM facts WHERE false

SELECT count(*) FROM facts

SELECT count(1), count(id), count(n), count(ALL n) FROM facts

SELECT count(*) FROM empty

SELECT sum(n), avg(n), min(n), max(t), count(*), bool_or(n > 1) FROM empty

SELECT n, count(*) FROM empty GROUP BY n

SELECT * FROM empty ORDER BY id

SELECT * FROM empty

SELECT DISTINCT t FROM empty

SELECT * FROM empty ORDER BY id LIMIT 1

SELECT * FROM facts ORDER BY id

SELECT * FROM facts

SELECT *, id AS again FROM facts ORDER BY again DESC

SELECT facts.* FROM facts ORDER BY facts.id

SELECT f.*, 1 AS one FROM facts f ORDER BY n DESC NULLS LAST, id

SELECT * FROM facts ORDER BY f8, id

SELECT * FROM facts ORDER BY 1

SELECT id, n FROM facts ORDER BY 2, 1

--: simple
SELECT id, n FROM facts ORDER BY 3

--: extended
SELECT id, n FROM facts ORDER BY 3

--: simple
SELECT id, n FROM facts ORDER BY 0

--: extended
SELECT id, n FROM facts ORDER BY 0

SELECT id AS x, n AS y FROM facts ORDER BY y, x

SELECT id AS n, n AS id FROM facts ORDER BY n

SELECT -id AS id FROM facts ORDER BY id

SELECT -id AS id FROM facts ORDER BY facts.id

SELECT id FROM facts ORDER BY -id

SELECT id FROM facts ORDER BY id % 3, id DESC

SELECT id FROM facts ORDER BY length(t), id

SELECT id FROM facts ORDER BY upper(t) NULLS FIRST, id

SELECT id FROM facts ORDER BY b, t DESC, id

SELECT id FROM facts ORDER BY t IS NULL, t, id

SELECT id FROM facts ORDER BY coalesce(n, 0), id

SELECT id FROM facts ORDER BY id USING >

SELECT id FROM facts ORDER BY id ASC

SELECT id, j FROM facts ORDER BY j, id

SELECT id, a FROM facts ORDER BY a, id

SELECT DISTINCT j FROM facts WHERE id <> 7 OR j IS NULL

SELECT j, count(*) FROM facts WHERE id <> 7 GROUP BY j

SELECT a, count(*) FROM facts GROUP BY a

SELECT DISTINCT b, t FROM facts ORDER BY t, b

SELECT DISTINCT id FROM facts ORDER BY id LIMIT 3

--: simple
SELECT DISTINCT t FROM facts ORDER BY id

--: extended
SELECT DISTINCT t FROM facts ORDER BY id

SELECT DISTINCT b FROM facts LIMIT 5

SELECT ALL b FROM facts ORDER BY id

SELECT id FROM facts ORDER BY id LIMIT 0

SELECT id FROM facts ORDER BY id LIMIT ALL

SELECT id FROM facts ORDER BY id LIMIT NULL

SELECT id FROM facts ORDER BY id LIMIT NULL OFFSET NULL

SELECT id FROM facts ORDER BY id LIMIT 1 + 1

SELECT id FROM facts ORDER BY id LIMIT (SELECT 2)

SELECT id FROM facts ORDER BY id LIMIT '3'

SELECT id FROM facts ORDER BY id LIMIT 2.4

--: own words
SELECT id FROM facts ORDER BY id LIMIT -1

--: own words
SELECT id FROM facts ORDER BY id OFFSET -1

--: own words
SELECT id FROM facts ORDER BY id LIMIT 'x'

SELECT id FROM facts ORDER BY id OFFSET 100

SELECT id FROM facts ORDER BY id LIMIT 9223372036854775807 OFFSET 1

SELECT id FROM facts ORDER BY id OFFSET 2 LIMIT 2

SELECT id FROM facts ORDER BY id FETCH FIRST ROW ONLY

SELECT id FROM facts ORDER BY id FETCH FIRST 3 ROWS ONLY

SELECT id FROM facts ORDER BY id OFFSET ('2'::int4) ROWS FETCH FIRST ('3'::int4) ROWS ONLY

SELECT id FROM facts ORDER BY id LIMIT ('3'::int4) OFFSET ('2'::int8)

SELECT id FROM facts ORDER BY id FETCH NEXT (3) ROWS ONLY

SELECT b FROM facts ORDER BY b FETCH FIRST 1 ROWS WITH TIES

--: with 3
SELECT id FROM facts ORDER BY id LIMIT $1

--: with 3 | 2
SELECT id FROM facts ORDER BY id LIMIT $1 OFFSET $2

--: with 3 | 2
SELECT id FROM facts ORDER BY id OFFSET $1 LIMIT $2

--: with \N | 2
SELECT id FROM facts ORDER BY id LIMIT $1 OFFSET $2

--: with 1 | 3 | 2
SELECT id FROM facts WHERE id > $1 ORDER BY id LIMIT $2 OFFSET $3

--: with 3 | 2 | 1
SELECT id FROM facts WHERE id > $3 ORDER BY id LIMIT $1 OFFSET $2

--: own words
--: with -1
SELECT id FROM facts ORDER BY id LIMIT $1

--: with 3
SELECT id FROM facts ORDER BY id LIMIT $1::int

--: with 10
SELECT id, n + $1 FROM facts WHERE id IN (1, 2, 6) ORDER BY id

--: with 2
SELECT id FROM facts ORDER BY id % $1, id

--: with 2
SELECT id % $1, count(*) FROM facts GROUP BY 1 ORDER BY 1

--: with 2
SELECT id % $1, count(*) FROM facts GROUP BY id % $1 ORDER BY id % $1

--: with apple | 1
SELECT count(*) FROM facts WHERE t = $1 AND i2 = $2

--: with {1,2,3,4}
SELECT count(*), sum(i4) FROM facts WHERE id = ANY ($1)

--: with 1 | 5
SELECT id, t FROM facts WHERE id BETWEEN $1 AND $2 ORDER BY t, id

--: with 2020-01-01
SELECT id FROM facts WHERE d = $1 ORDER BY id

--: with 2020-01-01 00:00+00
SELECT id FROM facts WHERE tz > $1 ORDER BY id

--: with t
SELECT id FROM facts WHERE b = $1 ORDER BY id

--: with 1.1
SELECT id FROM facts WHERE n = $1 ORDER BY id

--: with x
SELECT $1::text, count(*) FROM facts GROUP BY 1

SELECT count(*) AS total, min(id) AS low FROM facts

SELECT count(*), count(*) FROM facts

SELECT sum(id) AS s FROM facts ORDER BY s

SELECT count(*) FROM facts ORDER BY 1

SELECT count(*) FROM facts LIMIT 1

SELECT count(*) FROM facts LIMIT 0

SELECT count(*) FROM facts OFFSET 1

SELECT b, count(*) FROM facts GROUP BY b ORDER BY count(*) DESC, b

SELECT b, count(*) FROM facts GROUP BY b ORDER BY count DESC, b

SELECT b, max(id) FROM facts GROUP BY b ORDER BY max

SELECT b, count(*) AS c FROM facts GROUP BY b ORDER BY c DESC, b NULLS FIRST

SELECT b, count(*) FROM facts GROUP BY b ORDER BY b LIMIT 1

SELECT b, count(*) FROM facts GROUP BY b ORDER BY b OFFSET 1

SELECT b, i2, count(*) FROM facts GROUP BY b, i2 ORDER BY i2, b

SELECT i2, b, count(*) FROM facts GROUP BY 2, 1 ORDER BY 1, 2

SELECT count(*), b FROM facts GROUP BY b ORDER BY b

--: simple
SELECT t AS b, count(*) FROM facts GROUP BY b

--: extended
SELECT t AS b, count(*) FROM facts GROUP BY b

SELECT t AS b, count(*) FROM facts GROUP BY t ORDER BY b

SELECT upper(t), count(*) FROM facts GROUP BY upper(t) ORDER BY upper(t)

--: simple
SELECT upper(t) AS u, count(*) FROM facts GROUP BY u ORDER BY u

--: extended
SELECT upper(t) AS u, count(*) FROM facts GROUP BY u ORDER BY u

SELECT upper(t) AS big, count(*) FROM facts GROUP BY big ORDER BY big

SELECT date_trunc('year', ts), count(*) FROM facts GROUP BY 1 ORDER BY 1

SELECT id, count(*) FROM facts GROUP BY id ORDER BY id

SELECT id, n, count(*) FROM facts GROUP BY id ORDER BY id

SELECT id, count(*) FROM facts GROUP BY id HAVING count(*) > 0 ORDER BY id

SELECT id, sum(i4) + 1 FROM facts GROUP BY id ORDER BY id

SELECT id, t, max(n) FROM facts GROUP BY id, t ORDER BY id LIMIT 4

SELECT b, count(*) FROM facts GROUP BY ROLLUP (b)

SELECT b, i2, count(*) FROM facts GROUP BY GROUPING SETS ((b), (i2))

SELECT b, count(*) FROM facts GROUP BY CUBE (b)

SELECT count(*) FROM facts GROUP BY ()

SELECT t FROM facts GROUP BY t ORDER BY t

--: simple
SELECT t FROM facts GROUP BY b

--: extended
SELECT t FROM facts GROUP BY b

--: simple
SELECT t, count(*) FROM facts

--: extended
SELECT t, count(*) FROM facts

SELECT b, count(*) FROM facts WHERE n > 0 GROUP BY b ORDER BY b

SELECT b FROM facts GROUP BY b HAVING min(id) > 1 ORDER BY b

SELECT b FROM facts GROUP BY b HAVING b ORDER BY b

--: count
SELECT array_agg(id) FROM facts

SELECT array_agg(id ORDER BY id) FROM facts

SELECT string_agg(t, ',' ORDER BY id) FROM facts

SELECT stddev(i2) FROM facts

--: count
SELECT json_agg(id) FROM facts

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY i2) FROM facts

SELECT mode() WITHIN GROUP (ORDER BY b) FROM facts

SELECT count(DISTINCT id) FROM facts

SELECT sum(DISTINCT i2) FROM facts

SELECT max(DISTINCT i2) FROM facts

SELECT count(id ORDER BY id) FROM facts

SELECT sum(i2 + i4) FROM facts WHERE id IN (1, 6, 7)

SELECT sum(1) FROM facts

SELECT sum(1.5), avg(2) FROM facts

SELECT min(upper(t)) FROM facts

SELECT max(id) FILTER (WHERE b) FROM facts

SELECT count(*) FILTER (WHERE b), count(*) FILTER (WHERE NOT b) FROM facts

SELECT min(j::text), max(a) FROM facts

SELECT max(t COLLATE "C") FROM facts

SELECT generate_series(1, 2), id FROM facts ORDER BY id, 1

SELECT id, unnest(a) FROM facts ORDER BY id, 2

SELECT id, random() < 2 FROM facts ORDER BY id

-- Names that PostgreSQL makes of expressions
SELECT id::text FROM facts ORDER BY id

SELECT f.id::text::varchar(9) FROM facts f ORDER BY id DESC LIMIT 3

SELECT b, sum(i4) FROM facts GROUP BY b ORDER BY sum, b

SELECT b, max(id) FROM facts GROUP BY b ORDER BY max DESC

SELECT lower(t) FROM facts ORDER BY lower, 1

SELECT DISTINCT lower(t) FROM facts ORDER BY lower

SELECT upper(t) FROM facts ORDER BY t, id

SELECT a[1] FROM facts ORDER BY a

SELECT CASE WHEN id > 3 THEN 'x' ELSE t END FROM facts ORDER BY t

SELECT CAST(id AS text) FROM facts ORDER BY id

SELECT *, length(t) FROM facts ORDER BY length, id

SELECT id, id::text FROM facts ORDER BY id

SELECT id, now() = now() FROM facts ORDER BY id

SELECT id, now() IS NULL FROM facts WHERE tz < now() ORDER BY id

SELECT count(*) FROM (SELECT DISTINCT now() FROM facts) x

SELECT count(*) FROM facts GROUP BY now()

SELECT id, now() - tz IS NULL FROM facts GROUP BY id, now() - tz HAVING now() - tz > '1 day' ORDER BY id

SELECT DISTINCT ON (now() - tz) id FROM facts WHERE tz IS NOT NULL ORDER BY now() - tz, id

SELECT DISTINCT now() - now(), current_date - now()::date FROM facts

SELECT now() = current_timestamp, count(*) FROM facts WHERE tz < now() GROUP BY 1 ORDER BY 1

SELECT id, (now() - now()), now() IS NULL AS now, now()::text IS NULL FROM facts WHERE id > 3 AND tz < localtimestamp ORDER BY now(), id

SELECT DISTINCT current_time = now()::timetz, localtime(0) = now()::time(0), CURRENT_TIMESTAMP(3) = now()::timestamptz(3) FROM facts

SELECT id AS current_date, 'x' localtime, (id) current_timestamp FROM facts WHERE now() > '2020-01-01' ORDER BY id LIMIT 3

SELECT count(DISTINCT current_time), count(DISTINCT localtime(2)), count(DISTINCT LOCALTIMESTAMP(6)) FROM facts GROUP BY current_time

BEGIN

SELECT DISTINCT now() - now() FROM facts

SELECT DISTINCT current_time = now()::timetz, localtime(0) = now()::time(0), CURRENT_TIMESTAMP(3) = now()::timestamptz(3) FROM facts

ROLLBACK

SELECT id FROM facts TABLESAMPLE SYSTEM (100) ORDER BY id

SELECT id FROM facts WHERE t LIKE 'a%' ORDER BY id

SELECT id FROM facts WHERE t ~ '^[A-Z]' ORDER BY id

SELECT id FROM facts WHERE j @> '{"a": 1}' ORDER BY id

SELECT id FROM facts WHERE a && '{1}' ORDER BY id

SELECT id, j ->> 'a' AS v FROM facts ORDER BY v, id

SELECT id FROM facts WHERE n IS NULL

SELECT id FROM facts WHERE b ORDER BY id

SELECT id FROM facts WHERE NOT b ORDER BY id

SELECT id FROM facts WHERE i2 IN (1, 2) ORDER BY id

SELECT id FROM facts WHERE id IN (1, 2, 3) AND b ORDER BY id

SELECT id, CASE WHEN b THEN 'yes' ELSE 'no' END AS said FROM facts ORDER BY said, id

SELECT id FROM facts ORDER BY CASE WHEN b THEN 0 ELSE 1 END, id

SELECT id, t || v AS tv FROM facts ORDER BY tv, id

SELECT (id, t) FROM facts ORDER BY id

SELECT facts FROM facts ORDER BY id

SELECT id, (SELECT max(title) FROM products) FROM facts ORDER BY id

SELECT c.customer_id, o.order_id FROM customers c JOIN orders o USING (customer_id) ORDER BY 1, 2

SELECT * FROM customers JOIN orders USING (customer_id) ORDER BY customer_id, order_id

SELECT * FROM customers c JOIN orders o ON c.customer_id = o.customer_id ORDER BY c.customer_id, order_id

SELECT * FROM customers NATURAL JOIN orders ORDER BY customer_id, order_id

SELECT c.name, count(o.order_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id GROUP BY c.customer_id, c.name ORDER BY c.customer_id

SELECT c.name, count(o.order_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id GROUP BY c.name ORDER BY c.name

SELECT c.name, o.note FROM orders o RIGHT JOIN customers c ON o.customer_id = c.customer_id ORDER BY c.customer_id, o.order_id

SELECT c.name, o.note FROM orders o FULL JOIN customers c ON o.customer_id = c.customer_id ORDER BY c.customer_id, o.order_id

SELECT c.name, p.title, o.amount FROM customers c JOIN orders o USING (customer_id) LEFT JOIN products p ON p.product_id = o.product ORDER BY o.amount, c.name

SELECT p.title, sum(o.amount) FROM orders o JOIN products p ON p.product_id = o.product GROUP BY p.title ORDER BY p.title

SELECT r.name, count(*) FROM customers c JOIN regions r ON r.region_id = c.region GROUP BY r.name ORDER BY 2, 1

SELECT r.name, count(c.customer_id) FROM regions r LEFT JOIN customers c ON r.region_id = c.region GROUP BY r.name ORDER BY 2, 1

SELECT c.customer_id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id AND o.amount > 5) ORDER BY 1

SELECT c.customer_id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id) ORDER BY 1

SELECT c.customer_id FROM customers c WHERE c.customer_id IN (SELECT o.customer_id FROM orders o WHERE o.amount > 5) ORDER BY 1

SELECT c.customer_id FROM customers c WHERE c.region IN (SELECT region_id FROM regions WHERE name IS NOT NULL) ORDER BY 1

SELECT c.customer_id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id) AS n FROM customers c ORDER BY n DESC, 1

SELECT c.customer_id, l.order_id FROM customers c CROSS JOIN LATERAL (SELECT order_id FROM orders o WHERE o.customer_id = c.customer_id ORDER BY amount DESC LIMIT 1) l ORDER BY 1

SELECT c.customer_id, s.total FROM customers c JOIN (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) s USING (customer_id) ORDER BY 1

SELECT s.n FROM (SELECT count(*) AS n FROM orders) s

SELECT max(s.n) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) s

SELECT s.customer_id FROM (SELECT customer_id FROM customers ORDER BY customer_id LIMIT 2) s

WITH big AS (SELECT * FROM orders WHERE amount > 5) SELECT customer_id, order_id FROM big ORDER BY 1, 2

WITH big AS (SELECT * FROM orders WHERE amount > 5) SELECT count(*) FROM big

SELECT d.title, p.body FROM documents d JOIN pages p ON p.tenant = d.tenant AND p.doc = d.doc ORDER BY d.tenant, d.doc, p.page

SELECT tenant, count(*) FROM pages GROUP BY tenant ORDER BY tenant

SELECT tenant FROM documents ORDER BY tenant, doc

SELECT tenant, doc FROM documents ORDER BY title NULLS FIRST, tenant

SELECT device_id FROM devices ORDER BY device_id

SELECT label FROM devices ORDER BY seen DESC NULLS LAST

SELECT sum(hits), avg(hits) FROM counters

SELECT id FROM counters ORDER BY label NULLS FIRST

VALUES (1) UNION ALL SELECT id FROM facts

SELECT id, i2 + 1 AS more, v INTO copied FROM facts WHERE id > 2

SELECT * FROM copied ORDER BY id

DROP TABLE copied

SELECT id FROM facts ORDER BY id FOR UPDATE

SELECT id FROM facts WHERE id IN (1, 2, 3) ORDER BY id FOR SHARE

--: refused 0A000
--: simple
SELECT count(*) FROM facts FOR UPDATE

--: extended
SELECT count(*) FROM facts FOR UPDATE

SELECT id FROM facts ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED

SELECT id, t FROM facts ORDER BY n DESC NULLS LAST, id LIMIT 3 OFFSET 1 FOR UPDATE

SELECT id FROM facts ORDER BY id LIMIT 0 FOR NO KEY UPDATE NOWAIT

SELECT id FROM facts WHERE id > 100 ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED

SELECT f.id FROM facts f ORDER BY f.id DESC FOR SHARE OF f SKIP LOCKED LIMIT 4

SELECT id FROM facts ORDER BY id OFFSET 7 FOR UPDATE

--: with 2 | 1
SELECT id, i8 FROM facts ORDER BY id LIMIT $1 OFFSET $2 FOR KEY SHARE

--: with 5
SELECT id FROM facts WHERE id < $1 ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED

SELECT f.id, e.id FROM facts f LEFT JOIN empty e ON e.id = f.id ORDER BY f.id LIMIT 2 FOR UPDATE OF f

SELECT id FROM facts WHERE 1 / (id - 3) = 0 ORDER BY id LIMIT 9 FOR UPDATE

SELECT id FROM facts WHERE 1 / (id - 3) = 0 ORDER BY id LIMIT 9 FOR UPDATE SKIP LOCKED

SELECT ctid IS NOT NULL, tableoid::regclass::text FROM facts ORDER BY id

SELECT count(*) FROM facts WHERE 1/0 = 1

SELECT 1/i2 FROM facts WHERE id IN (1, 6) ORDER BY id

SELECT "id" AS "Weird Name" FROM facts ORDER BY "Weird Name"

SELECT id "x" FROM facts ORDER BY x

SELECT id, id FROM facts ORDER BY id

SELECT i4 AS id, id AS i4 FROM facts ORDER BY id NULLS FIRST, i4

SELECT f.id FROM facts AS f (id) ORDER BY f.id

SELECT x FROM facts AS f (x) ORDER BY x

-- functions that return several rows

SELECT id, unnest(a) FROM facts ORDER BY id, 2

SELECT unnest(a) AS e, count(*) FROM facts GROUP BY e ORDER BY e

SELECT unnest(a) AS e, count(*) + 1, sum(i4::bigint) FROM facts GROUP BY 1 HAVING count(*) > 0 ORDER BY 2 DESC, 1

SELECT DISTINCT unnest(a) FROM facts ORDER BY 1

SELECT DISTINCT unnest(a) AS e FROM facts ORDER BY e DESC NULLS LAST LIMIT 2 OFFSET 1

SELECT unnest(a), unnest(ARRAY['x', 'y', 'z']) FROM facts WHERE id < 4 ORDER BY id, 2 LIMIT 7

SELECT count(*) FROM facts, unnest(a) AS e WHERE e > 1

SELECT f.id, e.n, e.at FROM facts f CROSS JOIN LATERAL unnest(f.a) WITH ORDINALITY AS e (n, at) ORDER BY 1, 3

SELECT f.id, count(e) FROM facts f LEFT JOIN LATERAL unnest(f.a) AS e ON true GROUP BY f.id ORDER BY 1

SELECT e, count(*) FROM facts f LEFT JOIN LATERAL unnest(f.a) AS e ON true GROUP BY e ORDER BY 1

SELECT id FROM facts WHERE EXISTS (SELECT 1 FROM unnest(a) AS e WHERE e = 2) ORDER BY id

SELECT id, (SELECT sum(e) FROM unnest(a) AS e) FROM facts ORDER BY id

SELECT unnest(array_agg(id ORDER BY id)) FROM facts

SELECT max(n) FROM (SELECT unnest(a) AS n FROM facts) x

SELECT n, row_number() OVER (ORDER BY n, id) FROM (SELECT id, unnest(a) AS n FROM facts) x ORDER BY 2

SELECT id, jsonb_object_keys(j) FROM facts WHERE jsonb_typeof(j) = 'object' ORDER BY 1, 2

SELECT f.id, k.key, k.value FROM facts f, jsonb_each(f.j) AS k WHERE jsonb_typeof(f.j) = 'object' ORDER BY 1, 2

SELECT f.id, e FROM facts f CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(f.j) = 'array' THEN f.j ELSE '[]' END) AS e ORDER BY 1

SELECT id, regexp_split_to_table(t, 'p') FROM facts WHERE t LIKE '%pp%' ORDER BY 1, 2

SELECT regexp_matches(t, '(.)p', 'g') AS m, count(*) FROM facts GROUP BY m ORDER BY m

SELECT c.customer_id, x.n FROM customers c JOIN json_to_recordset('[{"id": 1, "n": 7}, {"id": 3, "n": 8}]') AS x (id bigint, n int) ON x.id = c.customer_id ORDER BY 1

SELECT c.customer_id, x.b FROM customers c, jsonb_to_record('{"a": 1, "b": "z"}') AS x (a int, b text) WHERE c.customer_id < 4 ORDER BY 1

SELECT generate_subscripts(a, 1) AS s, count(*) FROM facts GROUP BY s ORDER BY s

SELECT string_to_table(v, 'p') AS part, count(*) FROM facts GROUP BY part ORDER BY part

-- in the order of a subquery, which is read twice

SELECT customer_id FROM customers ORDER BY (SELECT max(name) FROM regions WHERE region_id = region), 1 LIMIT 4

SELECT customer_id FROM customers c ORDER BY (SELECT min(price) FROM products p WHERE p.product_id = c.region) DESC NULLS LAST, customer_id OFFSET 2

SELECT customer_id FROM customers c ORDER BY EXISTS (SELECT FROM regions r JOIN products p ON p.product_id = r.region_id WHERE r.region_id = c.age - 30), customer_id LIMIT 5

SELECT customer_id FROM customers c ORDER BY (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id), customer_id LIMIT 7
