//! Aggregates whose groups span shards, in expressions: the shards fold their rows and home finishes, to the last digit
//! as one PostgreSQL does. The bound on gathered rows is far below the rows there are, so that what succeeds has not
//! brought them.

use crate::support::{Differential, Pipeline, Proxy, ProxyOptions, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: sales
key: {type: int}
tables: {sales: {key: id}, lines: {key: sale}}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [regions]
"#;

const SCHEMA: [&str; 4] = [
    "CREATE TABLE sales (id int PRIMARY KEY, region int, note text, small smallint, big bigint, exact numeric,
        price numeric(12, 2), odd numeric, span interval, at timestamp, f real, d float8, ok bool)",
    "CREATE TABLE lines (sale int, amount int)",
    "CREATE TABLE regions (id int PRIMARY KEY, name text)",
    "INSERT INTO regions VALUES (0, 'north'), (1, 'south'), (2, 'east'), (3, 'west')",
];

/// Numbers of many scales and signs; the last column of numbers has NaN and infinities in some groups.
const FILL: &str = "INSERT INTO sales SELECT n, n % 5, CASE WHEN n % 7 > 0 THEN 'n' || n % 6 END, n % 100 - 50,
    n * 3000000000 - 4000000000, (n * 7919 % 1000)::numeric / (10 ^ (n % 5))::numeric, n * 1.37 - 200,
    CASE WHEN n = 11 THEN 'NaN' WHEN n IN (12, 17) THEN 'Infinity' WHEN n = 22 THEN '-Infinity' WHEN n % 3 > 0 THEN n / 7.0 END,
    n * interval '1 hour 1 second' - interval '1 month', timestamp '2026-01-01' + n * interval '5 hours', n / 3.0, n / 7.0,
    CASE WHEN n % 4 > 0 THEN n % 3 > 0 END FROM generate_series(1, 300) n";

/// How many rows may be gathered; the parts of a statement are fewer.
const ROWS_MAX: usize = 120;

/// Finished from parts.
const FINISHED: &[&str] = &[
    "SELECT count(*) + 1, count(*) * 1.5, -count(*), count(*)::text || '!' FROM sales",
    "SELECT round(avg(exact), 2), avg(exact), avg(price) / 3, avg(small) + 0, avg(big) * 1, avg(region) - avg(id) FROM sales",
    "SELECT sum(small) / count(*), sum(big) / 7, sum(exact) / sum(price), sum(exact) * 1.000, sum(id) % 7 FROM sales",
"SELECT region, count(*) + 1 FROM sales GROUP BY region ORDER BY region",
    "SELECT region, avg(odd) FROM sales GROUP BY region ORDER BY 2 DESC NULLS LAST, 1",
    "SELECT region, sum(odd) + 1, max(odd), min(odd) || '', avg(odd) * 2 FROM sales GROUP BY region ORDER BY 1",
    "SELECT region, sum(exact) FROM sales GROUP BY region HAVING sum(exact) > 900 AND count(*) > 10 ORDER BY sum(exact) DESC",
    "SELECT region FROM sales GROUP BY region HAVING avg(price) > 0 ORDER BY avg(price) / 3, region",
    "SELECT region, count(DISTINCT note) FROM sales GROUP BY region ORDER BY 2, 1",
    "SELECT count(DISTINCT note), count(DISTINCT region), count(*), sum(id) FROM sales",
    "SELECT count(DISTINCT small % 10) FILTER (WHERE id > 30) FROM sales",
    "SELECT sum(DISTINCT region) + 1, avg(DISTINCT small % 3), avg(DISTINCT region) FROM sales",
    "SELECT count(DISTINCT note) FROM sales WHERE id < 0",
    "SELECT count(*) + 1, sum(id) + 1, avg(id) + 1, max(note) || '?', bool_and(ok) OR true, coalesce(sum(id), 0) FROM sales WHERE id < 0",
    "SELECT region, count(*) + 1 FROM sales WHERE id < 0 GROUP BY region",
    "SELECT note, bool_and(ok), bool_or(ok) AND NOT every(ok), max(at) - min(at), sum(span) / 2 FROM sales GROUP BY note
        HAVING count(*) > 3 ORDER BY note NULLS FIRST",
    "SELECT upper(note) || '/' || count(*) AS label, max(at)::date FROM sales GROUP BY upper(note) ORDER BY label DESC",
    "SELECT extract(day FROM at) AS day, count(*) * 2 AS twice FROM sales GROUP BY extract(day FROM at)
        HAVING count(*) > 3 ORDER BY twice DESC, day LIMIT 3 OFFSET 1",
    "SELECT DISTINCT count(*) FROM sales GROUP BY region",
    "SELECT s.region % 2 AS half, sum(l.amount) - count(*) FROM sales s JOIN lines l ON l.sale = s.id GROUP BY s.region % 2 ORDER BY half",
    "SELECT r.name, round(avg(s.price), 1), count(DISTINCT s.note) FROM sales s JOIN regions r ON r.id = s.region
        GROUP BY r.name HAVING count(*) > 5 ORDER BY 1",
    "SELECT CASE WHEN count(*) FILTER (WHERE ok) > 10 THEN 'many' ELSE 'few' END, greatest(max(small), min(region)) FROM sales",
    "SELECT 'all' AS what, 1 FROM sales HAVING count(*) > 2",
    "SELECT count(*) / 0 FROM sales",
    "SELECT (sum(id) - 45150) / 0 FROM sales",
    "SELECT region, count(*) + 1 FROM sales GROUP BY region ORDER BY nothing",
    "SELECT note, count(*) + 1 FROM sales GROUP BY region",
    "SELECT s.region::text, count(*) + 1 FROM sales s GROUP BY s.region ORDER BY s.region",
    "SELECT -region AS c, count(*) + 1 FROM sales GROUP BY region ORDER BY region LIMIT 3",
    "SELECT region AS date, max(at)::date + 1 FROM sales GROUP BY region ORDER BY date",
    "SELECT s.region::text || 'x', count(*) + 1 FROM sales s GROUP BY s.region ORDER BY s.region + 0",
];

/// Only from the rows, too, and the same on one server: what a bare name means, or a collation, the parts do not tell.
const MEANT_OTHERWISE: &[&str] = &[
    "SELECT s.small::text, count(*) + 1 FROM sales s GROUP BY s.small ORDER BY small LIMIT 5",
    "SELECT small::text, count(*) + 1 FROM sales GROUP BY small ORDER BY (small) LIMIT 5",
    "SELECT small COLLATE \"C\", count(*) + 1 FROM (SELECT note AS small FROM sales) t GROUP BY small ORDER BY small",
    "SELECT -small AS c0, count(*) + 1 FROM sales GROUP BY small ORDER BY small LIMIT 5",
    "SELECT max(note COLLATE \"C\") || 'x' FROM sales",
];

/// Only from the rows: they are too many.
const OF_ROWS: &[&str] = &[
    "SELECT sum(d) + 1 FROM sales",
    "SELECT round(avg(f)::numeric, 2) FROM sales",
    "SELECT avg(span) * 2 FROM sales",
    "SELECT sum(DISTINCT d) FROM sales",
    "SELECT count(*) + (SELECT 0) FROM sales",
    "SELECT stddev(id) + 1 FROM sales",
    "SELECT region, count(*) + 1 FROM sales GROUP BY ROLLUP (region)",
    "SELECT region, string_agg(note, ',' ORDER BY id) || 'x' FROM sales GROUP BY region",
];

async fn start(label: &str, config: &str) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    let options = ProxyOptions { workers: 1, config: config.to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    let mut both = Differential::through(&proxy, &database);
    SCHEMA.iter().for_each(|sql| drop(both.same(sql)));
    // The rows themselves, since an INSERT … SELECT is carried, and so many may not be.
    both.plain.simple(FILL);
    let rows = both.plain.simple("SELECT format('(%s)', string_agg(quote_nullable(v.value), ', ' ORDER BY v.ordinality))
        FROM sales s, LATERAL unnest(ARRAY[id::text, region::text, note, small::text, big::text, exact::text, price::text,
            odd::text, span::text, at::text, f::text, d::text, ok::text]) WITH ORDINALITY AS v(value, ordinality)
        GROUP BY s.id ORDER BY s.id");
    let rows: Vec<String> = rows.rows().into_iter().filter_map(|mut row| row.remove(0)).collect();
    assert_eq!(rows.len(), 300);
    assert_eq!(both.other.simple(&format!("INSERT INTO sales VALUES {}", rows.join(", "))).error(), None);
    let lines: Vec<String> = (0..400).map(|n| format!("({}, {})", n % 320, n * 31 % 97)).collect();
    both.same(&format!("INSERT INTO lines VALUES {}", lines.join(", ")));
    (database, proxy, both)
}

#[tokio::test]
async fn home_finishes_what_the_shards_have_folded() {
    let (_database, _proxy, mut both) = start("partial", &format!("limits: {{gather_rows: {ROWS_MAX}}}")).await;
    for sql in FINISHED {
        both.same(sql);
    }
    for sql in OF_ROWS.iter().chain(MEANT_OTHERWISE) {
        let reply = both.other.simple(sql);
        assert_eq!(reply.error().unwrap_or_else(|| panic!("it brought no rows: {sql}")).0, "54000", "{sql}");
    }
    // In a transaction, with its own writes.
    for sql in
        ["BEGIN", "UPDATE sales SET region = 10, exact = 1.50 WHERE id % 10 = 3", "DELETE FROM sales WHERE id < 20"]
    {
        both.same(sql);
    }
    for sql in FINISHED
        .iter()
        .filter(|sql| !sql.contains("/ 0") && !sql.contains("nothing") && !sql.contains("SELECT note, count"))
    {
        both.same(sql);
    }
    both.same("ROLLBACK");
    let route = both.other.simple("EXPLAIN (ROUTE) SELECT region, count(*) + 1 FROM sales GROUP BY region").rows();
    let lines: Vec<String> = route.into_iter().filter_map(|mut row| row.remove(0)).collect();
    let wanted = "    Finish: SELECT c0, coalesce(sum(c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY c0";
    assert!(lines.contains(&wanted.to_owned()), "{lines:#?}");
}

#[tokio::test]
async fn values_names_and_formats_are_those_of_the_statement() {
    let (_database, proxy, mut both) = start("partial_extended", &format!("limits: {{gather_rows: {ROWS_MAX}}}")).await;
    both.same("SET TimeZone = 'Asia/Tokyo'");
    both.same(
        "SELECT region, min(at)::timestamptz, count(*) + 1 AS \"The Count\" FROM sales GROUP BY region ORDER BY 1",
    );
    let sql = "SELECT region + $1 AS r, count(*) FILTER (WHERE small > $2) * $3, avg(exact)::numeric(10, 3), region FROM sales
        WHERE id > $4 GROUP BY region HAVING count(*) > $5 ORDER BY 1 LIMIT $6";
    for formats in [&[][..], &[1], &[1, 0, 1, 1]] {
        let values = [Some("10"), Some("0"), Some("2"), Some("5"), Some("1"), Some("4")];
        let pipeline =
            Pipeline::new().parse("", sql).bind_for("", "", &values, formats).describe_portal("").execute("", 0).sync();
        both.same_pipeline(sql, &pipeline, 1);
    }
    let client = proxy.client().await;
    for least in [0i64, 50, 70] {
        let rows =
            client.query("SELECT region, sum(id) / 2 FROM sales GROUP BY region HAVING count(*) > $1", &[&least]).await;
        assert_eq!(rows.unwrap().len(), if least < 60 { 5 } else { 0 });
    }
}

#[tokio::test]
async fn where_sums_depend_on_the_order_the_rows_are_brought() {
    let (_database, _proxy, mut both) = start("partial_rows", "limits: {gather_rows: 1000}").await;
    for sql in OF_ROWS {
        assert_eq!(both.other.simple(sql).error(), None, "{sql}");
    }
    both.same("SELECT avg(span) * 2, count(*) + (SELECT 0) FROM sales");
    for sql in MEANT_OTHERWISE {
        both.same(sql);
    }
}

#[tokio::test]
async fn words_that_name_no_column_are_left_alone() {
    let (_database, _proxy, mut both) = start("partial_words", &format!("limits: {{gather_rows: {ROWS_MAX}}}")).await;
    for (from, to) in [("region", "day"), ("small", "year")] {
        both.same(&format!("ALTER TABLE sales RENAME COLUMN {from} TO {to}"));
    }
    for sql in [
        "SELECT max(at) + interval '1' day, count(*) + 1 FROM sales GROUP BY day ORDER BY 1",
        "SELECT day, sum(span)::interval day, count(*) + 1 FROM sales GROUP BY day ORDER BY 1",
        "SELECT year, extract(year FROM max(at)) FROM sales WHERE id < 100 GROUP BY year ORDER BY 1 LIMIT 5",
    ] {
        both.same(sql);
    }
}

/// Binds values in these formats.
fn bound(values: &[Vec<u8>], format: i16) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend([1i16, format, values.len() as i16].iter().flat_map(|number| number.to_be_bytes()));
    for value in values {
        body.extend((value.len() as i32).to_be_bytes());
        body.extend(value);
    }
    body.extend([0, 0]);
    body
}

#[tokio::test]
async fn undeclared_types_are_those_of_the_whole_statement() {
    let (_database, _proxy, mut both) = start("partial_types", &format!("limits: {{gather_rows: {ROWS_MAX}}}")).await;
    // A fraction to the comparison in WHERE, so that HAVING must not make a bigint of it; and a bigint to the select list,
    // so that the shards must not make a smallint of it.
    let fraction = (2.5f64.to_be_bytes().to_vec(), b"2.5".to_vec());
    let whole = (2i64.to_be_bytes().to_vec(), b"2".to_vec());
    for (sql, (binary, text)) in [
        (
            "SELECT region, count(*) + 1 FROM sales WHERE d > $1 GROUP BY region HAVING count(*) > $1 ORDER BY 1",
            fraction,
        ),
        ("SELECT count(*) * $1, count(*) FILTER (WHERE small > $1) + 1 FROM sales", whole),
    ] {
        for (value, format) in [(binary, 1), (text, 0)] {
            let pipeline = Pipeline::new()
                .parse("", sql)
                .message(b'B', &bound(&[value], format))
                .describe_portal("")
                .execute("", 0)
                .sync();
            both.same_pipeline(sql, &pipeline, 1);
            both.same("BEGIN");
            both.same_pipeline(sql, &pipeline, 1);
            both.same("COMMIT");
        }
    }
}
