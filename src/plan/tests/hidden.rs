//! Statements that read more than they name: views, partitions, functions.

use super::*;
use crate::plan::catalog::{Catalog, Routine, Table, TableKind};

fn table(kind: TableKind, reads: &[&str], parents: &[&str], definition: Option<&str>) -> Table {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Table {
        columns: Vec::new(),
        unique: Vec::new(),
        indexes: Vec::new(),
        constraint_columns: HashMap::new(),
        exclusion: false,
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        user_triggers: false,
        computed_indexes: false,
        kind,
        reads: names(reads),
        calls: Vec::new(),
        parents: names(parents),
        definition: definition.map(str::to_owned),
    }
}

fn routine(names: &[&str], writes: bool, at_home: bool) -> Routine {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Routine { names, writes, volatile: writes, at_home, of_row: false, temporary: false }
}

fn catalog() -> Catalog {
    let view = |reads: &[&str], definition| table(TableKind::View, reads, &[], Some(definition));
    let tables = [
        ("bought", view(&["orders"], " SELECT orders.user_id,\n    orders.total\n   FROM orders;")),
        ("app.big", view(&["bought"], "SELECT bought.user_id FROM bought WHERE bought.total > 9;")),
        ("mine", view(&["notes"], "SELECT notes.id FROM notes;")),
        ("set", view(&["settings"], "SELECT settings.name FROM settings;")),
        ("kept", table(TableKind::MaterializedView, &["orders"], &[], None)),
        ("part", table(TableKind::Table, &[], &["orders"], None)),
        ("notes", table(TableKind::Table, &[], &[], None)),
    ];
    let routines = [
        ("reads", routine(&["orders"], false, false)),
        ("through", routine(&["reads"], false, false)),
        ("app.notes_of", routine(&["notes"], true, false)),
        ("region_of", routine(&["regions"], false, false)),
        ("set_region", routine(&["regions"], true, false)),
        ("number", routine(&[], false, true)),
        ("rename_it", routine(&[], true, false)),
    ];
    Catalog {
        tables: tables.into_iter().map(|(name, table)| (name.to_owned(), table)).collect(),
        routines: routines.into_iter().map(|(name, routine)| (name.to_owned(), routine)).collect(),
        ..Catalog::empty()
    }
}

fn planned(text: &str) -> Result<Plan, PrepareError> {
    let (rules, catalog) = (rules(), catalog());
    let context = Context { rules: &rules, catalog: &catalog };
    let prepared = prepare(text, &context)?;
    let values = Values { text, literals: &literals(text), parameters: Parameters::default() };
    Ok(prepared.plan(&context, &values, &mut no_ids)?)
}

fn shown_as(text: &str) -> String {
    let [a, b, _] = keys(&rules());
    let text = text.replace("{a}", &a.to_string()).replace("{b}", &b.to_string());
    render(planned(&text), &rules()).replace(&a.to_string(), "{a}")
}

#[test]
fn views_become_their_queries() {
    let Ok(Plan::Direct(direct)) = planned("select b.total from bought b where b.user_id = 1") else {
        panic!("one shard")
    };
    let Statement::Rewritten { sql, .. } = direct.statement else { panic!("another text") };
    let query = "(SELECT orders.user_id,\n    orders.total\n   FROM orders)";
    assert_eq!(sql, format!("select b.total from {query} b where b.user_id = 1"));
    assert_eq!(shown_as("select total from public.bought where bought.user_id = {a}"), "direct s1");
    assert_eq!(shown_as("select user_id from app.big where big.user_id = {b}"), "direct s2");
    assert_eq!(shown_as("select * from mine"), "direct s0");
}

#[test]
fn views_that_cannot_be_replaced_are_refused() {
    for text in [
        "select bought from bought",
        "select to_json(b) from bought as b",
        "select public.bought.total from public.bought",
        "select * from bought for update",
        "with orders as (select 1) select * from bought",
        "select * from kept",
        "select * from part",
        "truncate part",
        "copy bought to stdout",
        "insert into bought values (1)",
        "insert into mine select user_id from bought",
        "update bought set total = 1 where user_id = {a}",
        "delete from app.big where user_id = {a}",
        "update mine set id = 1 from bought",
        "refresh materialized view kept",
        "merge into mine using bought on true when matched then delete",
    ] {
        assert!(shown_as(text).starts_with("refused hidden_table"), "{text}: {}", shown_as(text));
    }
    for text in ["create materialized view x as select * from bought", "create table x as select * from app.big"] {
        assert_eq!(shown_as(text), "refused create_as", "{text}");
    }
}

#[test]
fn functions_run_where_what_they_name_is() {
    for text in [
        "select reads()",
        "select public.through(1)",
        "select * from reads() r",
        "select total from orders where user_id = {a} and total > reads()",
        "update orders set total = through() where user_id = {a}",
        "insert into orders (user_id, total) values ({a}, reads())",
        "call reads()",
        "do 'begin perform reads(); end'",
        "select set_region(1)",
        "select app.notes_of(1) from orders where user_id = {a}",
        "insert into orders (user_id, total) values ({a}, number())",
    ] {
        let found = shown_as(text);
        assert!(found == "refused hidden_table" || found == "refused different_shards", "{text}: {found}");
    }
    assert_eq!(shown_as("select app.notes_of(1)"), "direct s0 write");
    assert_eq!(shown_as("select number()"), "direct s0");
    assert_eq!(shown_as("select region_of(1)"), "direct s0 ref");
    assert_eq!(shown_as("select rename_it() from orders where user_id = {a}"), "direct s1 write");
    assert_eq!(shown_as("select rename_it() from orders"), "refused unknown_function");
    assert_eq!(shown_as("select reads from orders where user_id = {a}"), "direct s1");
    assert_eq!(shown_as("drop function reads()"), "everywhere s0+s1+s2 write");
}
