//! Session and utility statements, by tables of cases.

use super::*;

fn names(tables: &[TableName]) -> String {
    tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn ddl(text: &str) -> Ddl {
    match utility(text) {
        Some(Utility::Ddl(ddl)) => ddl,
        other => panic!("{text}: {other:?}"),
    }
}

fn copy(text: &str) -> CopyHead {
    match utility(text) {
        Some(Utility::Copy(head)) => *head,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn transactions_are_read() {
    let begin = control("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE");
    let modes = "ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE".to_owned();
    assert_eq!(begin, Some(Control::Begin { modes, isolation: Some(Isolation::Serializable), read_only: true }));
    assert_eq!(control("begin;"), Some(Control::Begin { modes: String::new(), isolation: None, read_only: false }));
    assert_eq!(control("commit and chain"), Some(Control::Commit { chain: true }));
    assert_eq!(control("END WORK AND NO CHAIN"), Some(Control::Commit { chain: false }));
    assert_eq!(control("rollback to savepoint A"), Some(Control::RollbackTo("a".into())));
    assert_eq!(control("rollback work to \"A\""), Some(Control::RollbackTo("A".into())));
    assert_eq!(control("release s"), Some(Control::Release("s".into())));
    assert_eq!(control("prepare transaction 'x'"), Some(Control::PrepareTransaction));
    assert_eq!(control("commit prepared 'x'"), Some(Control::CommitPrepared));
    assert_eq!(control("rollback prepared 'x'"), Some(Control::RollbackPrepared));
    assert_eq!(control("select 1"), None);
}

#[test]
fn settings_have_postgresql_names() {
    let cases = [
        ("set search_path to a, b", SetScope::Session, "search_path", "a, b"),
        ("SET LOCAL x.y = 'z'", SetScope::Local, "x.y", "'z'"),
        ("set session datestyle = iso;", SetScope::Session, "datestyle", "iso"),
        ("set time zone 'UTC'", SetScope::Session, "timezone", "'UTC'"),
        ("set timezone to default", SetScope::Session, "timezone", "default"),
        ("set names 'utf8'", SetScope::Session, "client_encoding", "'utf8'"),
        ("set role none", SetScope::Session, "role", "none"),
        ("set local role app", SetScope::Local, "role", "app"),
        ("set session authorization default", SetScope::Session, "session_authorization", "default"),
        ("set schema 'x'", SetScope::Session, "search_path", "'x'"),
        ("set transaction read only", SetScope::Transaction, "", "read only"),
        ("set constraints all deferred", SetScope::Transaction, "constraints", "all deferred"),
    ];
    for (text, scope, name, value) in cases {
        let Some(Control::Set(setting)) = control(text) else { panic!("{text}") };
        assert_eq!((setting.scope, setting.name.as_str(), setting.value_text.as_str()), (scope, name, value), "{text}");
    }
    assert_eq!(control("reset all"), Some(Control::Reset(None)));
    assert_eq!(control("reset time zone"), Some(Control::Reset(Some("timezone".into()))));
    assert_eq!(control("show shardloom.shards"), Some(Control::Show("shardloom.shards".into())));
    assert_eq!(control("SHOW TRANSACTION ISOLATION LEVEL"), Some(Control::Show("transaction_isolation".into())));
    assert_eq!(control("discard temp"), Some(Control::Discard(Discard::Temporary)));
}

#[test]
fn statements_inside_statements_have_their_bytes() {
    let text = "explain (route, format json) select 1;";
    let Some(Control::Explain { route, format, analyze, inner }) = control(text) else { panic!("{text}") };
    assert_eq!((route, format, analyze, &text[inner]), (true, ExplainFormat::Json, false, "select 1"));
    let text = "explain analyze verbose select 1";
    let Some(Control::Explain { route, analyze, inner, .. }) = control(text) else { panic!("{text}") };
    assert_eq!((route, analyze, &text[inner]), (false, true, "select 1"));
    let text = "prepare p (int, text) as select $1";
    let Some(Control::Prepare { name, types, inner }) = control(text) else { panic!("{text}") };
    assert_eq!((name.as_str(), &text[inner]), ("p", "select $1"));
    assert_eq!(types.into_iter().map(|span| &text[span]).collect::<Vec<_>>(), ["int", "text"]);
    let text = "declare c no scroll cursor with hold for select 1";
    let Some(Control::Declare { name, hold, inner }) = control(text) else { panic!("{text}") };
    assert_eq!((name.as_str(), hold, &text[inner]), ("c", true, "select 1"));
    assert_eq!(control("fetch forward 5 from C"), Some(Control::Fetch { name: "c".into() }));
    assert_eq!(control("close all"), Some(Control::CloseCursor(None)));
    assert_eq!(control("deallocate prepare x"), Some(Control::Deallocate(Some("x".into()))));
    assert_eq!(control("unlisten *"), Some(Control::Unlisten(None)));
    let execute = |text| match control(text) {
        Some(Control::Execute { name, arguments }) => (name, arguments.map(|arguments| arguments.len())),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(execute("execute x(1)"), ("x".into(), Some(1)));
    assert_eq!(execute("EXECUTE \"X\";"), ("X".into(), Some(0)));
    for text in ["execute x()", "execute x(1) y", "execute x(1", "execute x y"] {
        assert_eq!(execute(text), ("x".into(), None), "{text}");
    }
}

#[test]
fn copy_is_read_in_both_syntaxes() {
    let head = copy("COPY public.t (a, \"B\") FROM STDIN WITH (FORMAT csv, DELIMITER '|', NULL E'\\t', HEADER)");
    assert_eq!(head.table, Some(TableName { schema: Some("public".into()), name: "t".into() }));
    assert_eq!(head.columns, Some(vec!["a".into(), "B".into()]));
    assert_eq!((head.options.format, head.options.header), (CopyFormat::Csv, true));
    assert_eq!((head.options.delimiter.as_deref(), head.options.null.as_deref()), (Some("|"), Some("\t")));
    let head = copy("copy pgbench_accounts from stdin with (freeze on)");
    assert_eq!((head.direction, head.options.freeze), (CopyDirection::FromStdin, true));
    let head = copy("copy t from stdin using delimiters ',' with null as ''");
    assert_eq!((head.options.delimiter.as_deref(), head.options.null.as_deref()), (Some(","), Some("")));
    let text = "copy (select (1)) to stdout csv header";
    let head = copy(text);
    assert_eq!(&text[head.query.expect("a query")], "select (1)");
    assert_eq!((head.direction, head.options.format), (CopyDirection::ToStdout, CopyFormat::Csv));
    assert!(copy("copy t from stdin where a > 1").options.where_clause);
    assert_eq!(copy("copy t to program 'cat'").direction, CopyDirection::ToFile);
    assert_eq!(copy("copy t from '/tmp/x'").direction, CopyDirection::FromFile);
    assert_eq!(copy("copy t (a) from stdin").columns_span, 7..10);
    assert_eq!(utility("copy t from stdin (format xml)"), None);
}

#[test]
fn ddl_names_every_relation_it_concerns() {
    use DdlObject::{Index, OnTable, Rule, Schema, Sequence, Table, View};
    let cases = [
        ("create table if not exists public.T (a int references r, b int)", Table, "public.t,r"),
        ("create unlogged table t (like u)", Table, "t,u"),
        ("create table p1 partition of p for values in (1)", Table, "p1,p"),
        ("create unique index concurrently if not exists i on only t (a)", Index, "t"),
        ("create index on t using btree (a)", Index, "t"),
        ("alter table if exists only t add constraint f foreign key (a) references r (id)", Table, "t,r"),
        ("alter table p attach partition p1 default", Table, "p,p1"),
        ("drop table if exists a, b.c cascade", Table, "a,b.c"),
        ("create trigger x before insert on t for each row execute function f()", OnTable, "t"),
        ("create or replace rule x as on delete to s.t where old.a > 1 do instead nothing", Rule, "s.t"),
        ("drop rule if exists x on t", Rule, "t"),
        ("alter rule x on t rename to y", Rule, "t"),
        ("create schema s", Schema, ""),
        ("create sequence s", Sequence, "s"),
        ("comment on column t.a is 'x'", Table, "t"),
        ("comment on table s.t is 'x'", Table, "s.t"),
        ("grant select on t, u to app", Table, "t,u"),
        ("grant usage on schema s to app", Schema, ""),
        ("reindex table concurrently t", Table, "t"),
        ("reindex (verbose) index i", Index, "i"),
        ("refresh materialized view v", View, "v"),
    ];
    for (text, object, tables) in cases {
        let ddl = ddl(text);
        assert_eq!((ddl.object, names(&ddl.tables)), (object, tables.to_owned()), "{text}");
    }
    assert!(ddl("create index concurrently on t (a)").concurrently);
    assert!(!ddl("create index on t (a)").concurrently);
    assert!(ddl("create temp table t (a int)").temporary);
}

#[test]
fn tables_made_by_queries_are_noticed() {
    let text = "create table t as select * from u";
    assert_eq!(ddl(text).query.map(|at| &text[at..]), Some("select * from u"));
    assert_eq!(names(&ddl("select a into temp x from t").tables), "x");
    assert_eq!(ddl("create table t (a int generated always as (1) stored)").query, None);
    assert!(ddl("create table t as (select 1)").query.is_some());
    assert_eq!(utility("select a from t where b = (select 1 into_x)"), None);
    assert_eq!(utility("with x as (select 1) insert into t select * from x"), None);
}

#[test]
fn maintenance_is_read() {
    let tables = |list: &[&str]| list.iter().map(|name| TableName::bare(*name)).collect::<Vec<_>>();
    assert_eq!(utility("vacuum analyze t"), Some(Utility::Vacuum { tables: tables(&["t"]) }));
    assert_eq!(utility("vacuum (full, verbose) t, u"), Some(Utility::Vacuum { tables: tables(&["t", "u"]) }));
    assert_eq!(utility("vacuum"), Some(Utility::Vacuum { tables: vec![] }));
    assert_eq!(utility("analyze t (a, b)"), Some(Utility::Analyze { tables: tables(&["t"]) }));
    assert_eq!(
        utility("truncate only t, u * restart identity"),
        Some(Utility::Truncate { tables: tables(&["t", "u"]) })
    );
    let mode = "row exclusive".to_owned();
    assert_eq!(utility("lock table t in row exclusive mode"), Some(Utility::Lock { tables: tables(&["t"]), mode }));
    assert_eq!(utility("do $$ begin end $$"), Some(Utility::Do));
    assert_eq!(utility("select 1"), None);
}
