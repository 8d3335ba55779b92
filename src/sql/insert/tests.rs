//! What is read out of an INSERT, and where it stands.

use super::*;

fn facts(text: &str) -> InsertFacts {
    read(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn rows(text: &str) -> Vec<Row> {
    let Source::Values(rows) = facts(text).source else { panic!("{text}") };
    rows
}

#[test]
fn the_head_is_read_with_its_places() {
    let text = "/* é */ insert into \"S\".T as x (A, \"B\"\"b\") overriding system value values (1, 2)";
    let facts = facts(text);
    assert_eq!((facts.table.schema.as_deref(), facts.table.name.as_str()), (Some("S"), "t"));
    let list = facts.columns.unwrap();
    assert_eq!((list.names, &text[list.span]), (vec!["a".to_owned(), "B\"b".to_owned()], "(A, \"B\"\"b\")"));
    assert_eq!(facts.overriding, Some(Overriding::System));
    assert!(text[..facts.columns_at].ends_with(" x"));
    assert_eq!(self::facts("insert into t overriding user value select 1").overriding, Some(Overriding::User));
}

#[test]
fn rows_and_cells_stand_where_they_are() {
    let text = "insert into t values ('é, (', $1 /* , */), -- ), (\n (f(1, 2), array[1, 2]),(\n$$),($$ , E'\\'),(' )";
    let rows = rows(text);
    let cells: Vec<Vec<&str>> =
        rows.iter().map(|row| row.cells.iter().map(|cell| &text[cell.span.clone()]).collect()).collect();
    assert_eq!(cells, [["'é, ('", "$1"], ["f(1, 2)", "array[1, 2]"], ["$$),($$", "E'\\'),('"]]);
    assert_eq!(&text[rows[1].span.clone()], "(f(1, 2), array[1, 2])");
}

#[test]
fn cells_are_told_apart() {
    let cases = [
        ("1", CellValue::Number("1".into()), vec![]),
        ("-1.5e3", CellValue::Number("-1.5e3".into()), vec![]),
        ("+ 1", CellValue::Number("1".into()), vec![]),
        ("'a''b'", CellValue::Text("a'b".into()), vec![]),
        ("$12::Int8", CellValue::Parameter(11), vec!["int8"]),
        ("cast($1 as double precision)", CellValue::Parameter(0), vec!["double precision"]),
        ("date '2026-01-01'", CellValue::Text("2026-01-01".into()), vec!["date"]),
        ("'1'::pg_catalog.int4::text", CellValue::Text("1".into()), vec!["int4", "text"]),
        ("'a'::varchar(3)", CellValue::Text("a".into()), vec!["varchar(3)"]),
        ("((null))", CellValue::Null, vec![]),
        ("Default", CellValue::Default, vec![]),
        ("\"default\"", CellValue::Expression, vec![]),
        ("ShardLoom.Next_ID('o')", CellValue::NextId("o".into()), vec![]),
        ("other.next_id('o')", CellValue::Expression, vec![]),
        ("1 + 1", CellValue::Expression, vec![]),
        ("(1) + (2)", CellValue::Expression, vec![]),
        ("(1, 2)", CellValue::Expression, vec![]),
        ("1::int + 1", CellValue::Expression, vec![]),
        ("- - 1", CellValue::Expression, vec![]),
        ("@ 1", CellValue::Expression, vec![]),
        ("B'01'", CellValue::Expression, vec![]),
        ("E'\\xff'", CellValue::Expression, vec![]),
        ("$0", CellValue::Expression, vec![]),
        ("$70000", CellValue::Expression, vec![]),
        ("'a' 'b'", CellValue::Expression, vec![]),
        ("'a' collate \"C\"", CellValue::Expression, vec![]),
        ("true", CellValue::Expression, vec![]),
    ];
    for (text, value, casts) in cases {
        let cell = &rows(&format!("insert into t values ({text})"))[0].cells[0];
        assert_eq!((&cell.value, &cell.casts), (&value, &casts.iter().map(|&c| c.to_owned()).collect()), "{text}");
    }
}

#[test]
fn conflicts_are_read() {
    let conflict = |tail: &str| facts(&format!("insert into t values (1) on conflict {tail}")).conflict.unwrap();
    assert_eq!(conflict("do nothing").target, ConflictTarget::Any);
    assert_eq!(conflict("(a, lower(b), c) do nothing").target, ConflictTarget::Columns(vec!["a".into(), "c".into()]));
    assert_eq!(conflict("on constraint \"K\" do nothing").target, ConflictTarget::Constraint("K".into()));
    let update = conflict("(a) where a > 0 do update set b = (1), (c, d) = row(1, 2) where t.e = 1 returning a");
    assert_eq!(update.update, Some(vec!["b".into(), "c".into(), "d".into()]));
}

#[test]
fn sources_and_subqueries_are_told_apart() {
    assert!(matches!(facts("insert into t default values").source, Source::DefaultValues(_)));
    let queries = [
        "insert into t select 1",
        "insert into t (select 1)",
        "insert into t (a) (select 1)",
        "insert into t values (1) union select 2",
        "insert into t values (1) limit 1",
        "insert into t with w as (select 1) select * from w",
    ];
    for text in queries {
        assert!(matches!(facts(text).source, Source::Query(_)), "{text}");
    }
    let inner =
        facts("with w as (select * from a) insert into t values ((select 1 from w join b.c on true)) returning 1");
    assert!(inner.with && inner.subquery && !inner.with_writes && inner.returning.is_some());
    let mut names: Vec<String> = inner.relations.iter().map(|table| table.to_string()).collect();
    names.sort();
    assert_eq!((names, inner.expressions), (vec!["a".to_owned(), "b.c".to_owned()], vec!["w".to_owned()]));
    assert!(facts("with w as (delete from a returning 1) insert into t select * from w").with_writes);
    assert!(facts("insert into t with w as (delete from a returning 1) select * from w").with_writes);
}

#[test]
fn what_is_no_insert_is_an_error() {
    assert_eq!(read("select 1"), Err(ReadError::NotInsert));
    assert_eq!(read("with w as (select 1) select 1"), Err(ReadError::NotInsert));
    let syntax = [
        "insert into t",
        "insert into t values",
        "insert into t values (1,)",
        "insert into t (a,) values (1)",
        "insert into t values ('a)",
        "insert into t values (1 /* )",
    ];
    for text in syntax {
        assert!(matches!(read(text), Err(ReadError::Syntax(_))), "{text}");
    }
    let unsupported = [
        "insert into t values (1); select 1",
        "insert into t values (1) x",
        "insert into t table u",
        "insert into t values ((table u))",
    ];
    for text in unsupported {
        assert!(matches!(read(text), Err(ReadError::Unsupported(_))), "{text}");
    }
}

/// Whatever bytes come, reading returns.
#[test]
fn cut_texts_never_panic() {
    let text = "with é as (select 1) insert into t (a, b) values ($1::int, E'\\u00e9'), (shardloom.next_id('x'), $$ $$) \
                on conflict (a) do update set (a, b) = (1, 2) returning a, 'é'";
    for (at, _) in text.char_indices() {
        let _ = read(&text[..at]);
        let _ = read(&text[at..]);
        let _ = crate::sql::next_id::calls(&text[..at]);
        let _ = crate::sql::next_id::calls(&text[at..]);
    }
    assert!(read(text).is_ok());
}
