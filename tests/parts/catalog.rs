//! The catalog query against a real server, in a schema of its own that is dropped at the end.

use shardloom::plan::catalog::{CATALOG_QUERY, Catalog, TableKind, Volatility};
use tokio_postgres::Client;

const SCHEMA: &str = r#"
create schema catalog_part;
set search_path = catalog_part;
create table regions(id int primary key, name text collate "C");
create table orders(
  order_id bigint primary key,
  user_id bigint not null,
  dropped text,
  region int references regions(id),
  amount numeric(10,2) check (amount >= 0),
  doubled numeric generated always as (amount * 2) stored,
  created timestamptz default now(),
  number int generated always as identity,
  constraint own_name unique (user_id, number) include (amount)
);
alter table orders drop column dropped;
create unique index on orders (lower(region::text), user_id);
create function touch() returns trigger language plpgsql as 'begin return new; end';
create trigger touch before insert on orders for each row execute function touch();
create view shown as select order_id from orders;
create table parts(like orders) partition by range (order_id);
create table parts_one partition of parts default;
create function looks(o catalog_part.orders) returns bigint language sql stable as 'select count(*) from orders';
create function standard() returns bigint stable begin atomic select count(*) from orders; end;
create aggregate own_sum(int) (sfunc = int4pl, stype = int);
create materialized view counted as select catalog_part.standard() as n;
create function steady(int) returns int language sql immutable as 'select 1';
create function steady(text) returns int language sql stable as 'select 1';
reset search_path;
"#;

/// Loads the catalog as the proxy does: two text columns per row.
async fn load(client: &Client) -> Catalog {
    let rows = client.query(CATALOG_QUERY, &[]).await.expect("the catalog query runs");
    let pairs: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Catalog::from_rows(pairs.iter().map(|(kind, value)| (kind.as_str(), value.as_str()))).expect("its rows decode")
}

/// Columns, constraints, triggers and volatility come out as they were created.
pub async fn the_catalog_is_read_as_it_was_created(client: &Client) {
    client.batch_execute(SCHEMA).await.expect("the schema is created");
    let catalog = load(client).await;
    client.batch_execute("drop schema catalog_part cascade").await.expect("the schema is dropped");

    let orders = catalog.table("catalog_part.orders").expect("the table is listed");
    let names: Vec<&str> = orders.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["order_id", "user_id", "region", "amount", "doubled", "created", "number"]);
    let column = |name| orders.column(name).expect("the column is listed");
    assert_eq!((column("user_id").type_oid, column("user_id").nullable), (20, false));
    assert_eq!((column("amount").type_name.as_str(), column("amount").nullable), ("numeric(10,2)", true));
    assert!(column("doubled").generated && column("doubled").default.is_none());
    assert_eq!(column("created").default.as_deref(), Some("now()"));
    assert!(column("number").identity);
    assert!(orders.user_triggers && orders.kind == TableKind::Table);

    let mut unique = orders.unique.clone();
    unique.sort();
    assert_eq!(unique, [vec!["", "user_id"], vec!["order_id"], vec!["user_id", "number"]]);
    assert_eq!(orders.constraint_columns["own_name"], ["user_id", "number"]);
    assert_eq!(orders.foreign_keys[0].table, "catalog_part.regions");
    assert_eq!((&orders.foreign_keys[0].columns[0][..], &orders.foreign_keys[0].referenced[0][..]), ("region", "id"));
    assert_eq!(orders.checks[0].columns, ["amount"]);

    let regions = catalog.table("catalog_part.regions").expect("the table is listed");
    assert!(!regions.column("name").expect("listed").collation_is_default && !regions.user_triggers);
    assert_eq!(catalog.table("catalog_part.shown").expect("the view is listed").kind, TableKind::View);
    assert_eq!(catalog.table("catalog_part.shown").expect("listed").reads, ["catalog_part.orders"]);
    assert!(
        catalog.table("catalog_part.shown").expect("listed").definition.as_deref().unwrap_or("").contains("order_id")
    );
    assert_eq!(catalog.table("catalog_part.counted").expect("listed").calls, ["standard"]);
    assert_eq!(catalog.table("catalog_part.parts").expect("listed").reads, ["catalog_part.parts_one"]);
    assert_eq!(catalog.table("catalog_part.parts_one").expect("listed").parents, ["catalog_part.parts"]);
    let routine = |name: &str| &catalog.routines[&format!("catalog_part.{name}")];
    assert_eq!(
        (routine("looks").names.as_slice(), routine("looks").of_row),
        ([String::from("orders")].as_slice(), true)
    );
    assert_eq!(routine("standard").names, ["orders"]);
    assert!(!catalog.routines.contains_key("catalog_part.touch") && routine("own_sum").names.is_empty());
    assert_eq!(catalog.volatility("steady"), Volatility::Stable);
    assert_eq!(catalog.volatility("upper"), Volatility::Immutable);
    assert_eq!(catalog.volatility("now"), Volatility::Stable);
    assert_eq!(catalog.volatility("random"), Volatility::Volatile);
    assert!(!catalog.tables.keys().any(|name| name.starts_with("pg_") || name.starts_with("shardloom.")));
}
