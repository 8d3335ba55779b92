//! The catalog query and the decoding of its rows.

use std::collections::HashMap;

use serde::Deserialize;

use super::routine::{Source, own_names, routines};
use super::{Catalog, Check, Column, ForeignKey, Table, TableKind, Volatility};

/// Returns rows of two text columns, `kind` and `value` (JSON): one `database` row, one `functions` row, one `routine`
/// row per function of the user's that has a body to read, one `table` row per user table. Temporary tables, extension members' schemas and `shardloom` are left out as far as they are
/// not user schemas.
pub const CATALOG_QUERY: &str = r#"
with relation as (
  select c.oid, c.relkind,
         case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
    and n.nspname not in ('information_schema', 'shardloom') and n.nspname !~ '^pg_'
)
select 'database'::text as kind,
       json_build_object('c', case coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
         when 'c' then lower(d.datcollate) in ('c', 'posix', 'c.utf-8', 'c.utf8')
         else coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'b' end)::text as value
from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()
union all
select 'functions', coalesce(json_object_agg(f.proname, f.worst), '{}')::text
from (select p.proname::text, case max(case p.provolatile when 'v' then 2 when 's' then 1 else 0 end)
                          when 2 then 'v' when 1 then 's' else 'i' end as worst
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname <> 'shardloom' group by p.proname) f
union all
select 'sets', coalesce(json_agg(distinct p.proname), '[]')::text from pg_catalog.pg_proc p where p.proretset
union all
select 'routine', json_build_object(
  'name', case when n.nspname = 'public' then p.proname::text else n.nspname || '.' || p.proname end,
  'language', l.lanname,
  'source', case when p.prokind = 'a' then (select concat_ws(' ', g.aggtransfn, g.aggfinalfn, g.aggcombinefn,
                                              g.aggmtransfn, g.aggmfinalfn)
                                            from pg_catalog.pg_aggregate g where g.aggfnoid = p.oid)
                 when p.prosrc = '' then pg_catalog.pg_get_functiondef(p.oid)
                 else p.prosrc end,
  'uses', case when p.prosrc = '' then (select coalesce(json_agg(distinct coalesce(r.relname, q.proname)), '[]')
      from pg_catalog.pg_depend d
      left join pg_catalog.pg_class r on d.refclassid = 'pg_catalog.pg_class'::regclass and r.oid = d.refobjid
      left join pg_catalog.pg_proc q on d.refclassid = 'pg_catalog.pg_proc'::regclass and q.oid = d.refobjid
      where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid
        and coalesce(r.oid, q.oid) is not null) end,
  'volatile', p.provolatile = 'v',
  'extension', exists (select 1 from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_proc'::regclass
      and e.objid = p.oid and e.deptype = 'e'),
  'of_row', p.pronargs = 1 and (select t.typtype = 'c' from pg_catalog.pg_type t where t.oid = p.proargtypes[0]))::text
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where n.nspname not in ('pg_catalog', 'information_schema', 'shardloom')
  and (p.prokind = 'a' or l.lanname not in ('c', 'internal'))
  and p.prorettype not in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
union all
select 'table', json_build_object(
  'name', r.name,
  'kind', r.relkind,
  'columns', (select coalesce(json_agg(json_build_object(
      'name', a.attname,
      'type_oid', a.atttypid::bigint,
      'type_name', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'nullable', not a.attnotnull,
      'default', case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
      'generated', a.attgenerated <> '',
      'identity', a.attidentity <> '',
      'identity_always', a.attidentity = 'a',
      'collation_is_default', a.attcollation in (0, 100),
      'equal_by_bytes', a.attcollation = 0 or exists (select 1 from pg_catalog.pg_collation k
        where k.oid = a.attcollation and k.collisdeterministic)) order by a.attnum), '[]')
    from pg_catalog.pg_attribute a
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped),
  'unique', (select coalesce(json_agg((
      select json_agg(coalesce(a.attname::text, '') order by k.place)
      from unnest(i.indkey::smallint[]) with ordinality as k(number, place)
      left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number and k.number > 0
      where k.place <= i.indnkeyatts)), '[]')
    from pg_catalog.pg_index i where i.indrelid = r.oid and i.indisunique),
  'indexes', (select coalesce(json_agg(x.relname order by x.relname), '[]') from pg_catalog.pg_index i
    join pg_catalog.pg_class x on x.oid = i.indexrelid where i.indrelid = r.oid),
  'computed', exists (select 1 from pg_catalog.pg_index i
    where i.indrelid = r.oid and (i.indexprs is not null or i.indpred is not null)),
  'constraints', (select coalesce(json_agg(json_build_object(
      'name', c.conname,
      'type', c.contype,
      'columns', (select coalesce(json_agg(coalesce(a.attname::text, '') order by k.place), '[]')
                  from unnest(c.conkey) with ordinality as k(number, place)
                  left join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number),
      'table', (select f.name from relation f where f.oid = c.confrelid),
      'referenced', (select coalesce(json_agg(a.attname order by k.place), '[]')
                     from unnest(c.confkey) with ordinality as k(number, place)
                     join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number),
      'strict', c.contype = 'f' and c.confdeltype in ('a', 'r') and c.confupdtype in ('a', 'r') and not c.condeferred,
      'definition', case when c.contype = 'c' then pg_catalog.pg_get_constraintdef(c.oid) end)), '[]')
    from pg_catalog.pg_constraint c where c.conrelid = r.oid and c.contype in ('p', 'u', 'x', 'f', 'c')),
  'reads', (select coalesce(json_agg(f.name), '[]') from relation f where f.oid in (
      select d.refobjid from pg_catalog.pg_rewrite w
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
      where w.ev_class = r.oid and r.relkind in ('v', 'm') and d.refobjid <> r.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass
      union select h.inhrelid from pg_catalog.pg_inherits h where h.inhparent = r.oid)),
  'calls', (select coalesce(json_agg(distinct p.proname), '[]') from pg_catalog.pg_rewrite w
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
      join pg_catalog.pg_proc p on d.refclassid = 'pg_catalog.pg_proc'::regclass and p.oid = d.refobjid
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname <> 'pg_catalog'
      where w.ev_class = r.oid and r.relkind in ('v', 'm')),
  'parents', (select coalesce(json_agg(f.name), '[]') from pg_catalog.pg_inherits h
      join relation f on f.oid = h.inhparent where h.inhrelid = r.oid),
  'definition', case r.relkind when 'v' then pg_catalog.pg_get_viewdef(r.oid) end,
  'user_triggers', exists (select 1 from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc p on p.oid = t.tgfoid join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where t.tgrelid = r.oid and not t.tgisinternal and n.nspname <> 'shardloom')
    or exists (select 1 from pg_catalog.pg_class c where c.oid = r.oid and (c.relrowsecurity
      or c.relhasrules and c.relkind in ('r', 'p')))
)::text
from relation r
"#;

/// A catalog row that does not decode.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The value is not the JSON that the query makes.
    #[error("catalog row of kind {kind}: {source}")]
    Value {
        /// The row's kind.
        kind: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A kind that the query does not make.
    #[error("unknown catalog row kind {0}")]
    Kind(String),
}

#[derive(Deserialize)]
struct DatabaseRow {
    c: bool,
}

#[derive(Deserialize)]
struct TableRow {
    name: String,
    kind: String,
    columns: Vec<ColumnRow>,
    unique: Vec<Vec<String>>,
    #[serde(default)]
    indexes: Vec<String>,
    constraints: Vec<ConstraintRow>,
    reads: Vec<String>,
    calls: Vec<String>,
    parents: Vec<String>,
    definition: Option<String>,
    user_triggers: bool,
    #[serde(default)]
    computed: bool,
}

#[derive(Deserialize)]
struct ColumnRow {
    name: String,
    type_oid: u32,
    type_name: String,
    nullable: bool,
    default: Option<String>,
    generated: bool,
    identity: bool,
    #[serde(default)]
    identity_always: bool,
    collation_is_default: bool,
    #[serde(default = "yes")]
    equal_by_bytes: bool,
}

#[derive(Deserialize)]
struct ConstraintRow {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    columns: Vec<String>,
    table: Option<String>,
    referenced: Vec<String>,
    #[serde(default)]
    strict: bool,
    definition: Option<String>,
}

impl Catalog {
    /// Decodes the rows of [`CATALOG_QUERY`], `(kind, value)`, in any order.
    ///
    /// # Errors
    /// Names the first row that does not decode.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, CatalogError> {
        let mut catalog = Self::empty();
        let mut sources: Vec<Source> = Vec::new();
        for (kind, value) in rows {
            let wrong = |source| CatalogError::Value { kind: kind.to_owned(), source };
            match kind {
                "database" => {
                    catalog.database_collation_is_c = serde_json::from_str::<DatabaseRow>(value).map_err(wrong)?.c;
                }
                "functions" => catalog.functions = functions(serde_json::from_str(value).map_err(wrong)?),
                "sets" => catalog.sets = serde_json::from_str(value).map_err(wrong)?,
                "routine" => sources.push(serde_json::from_str(value).map_err(wrong)?),
                "table" => {
                    let row: TableRow = serde_json::from_str(value).map_err(wrong)?;
                    catalog.tables.insert(row.name.clone(), table(row));
                }
                other => return Err(CatalogError::Kind(other.to_owned())),
            }
        }
        catalog.own_names = own_names(&sources);
        catalog.routines = routines(sources, &catalog.tables);
        Ok(catalog)
    }
}

fn yes() -> bool {
    true
}

fn functions(row: HashMap<String, String>) -> HashMap<String, Volatility> {
    row.into_iter().map(|(name, letter)| (name, Volatility::from_letter(&letter))).collect()
}

fn table(row: TableRow) -> Table {
    let mut table = Table {
        columns: row.columns.into_iter().map(column).collect(),
        unique: row.unique,
        indexes: row.indexes,
        constraint_columns: HashMap::new(),
        exclusion: false,
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        user_triggers: row.user_triggers,
        computed_indexes: row.computed,
        kind: table_kind(&row.kind),
        reads: row.reads,
        calls: row.calls,
        parents: row.parents,
        definition: row.definition,
    };
    for constraint in row.constraints {
        add_constraint(&mut table, constraint);
    }
    table
}

fn add_constraint(table: &mut Table, row: ConstraintRow) {
    match row.kind.as_str() {
        "f" => table.foreign_keys.push(ForeignKey {
            name: row.name,
            columns: row.columns,
            table: row.table.unwrap_or_default(),
            referenced: row.referenced,
            strict: row.strict,
        }),
        "c" => {
            table.checks.push(Check { columns: row.columns, definition: row.definition.unwrap_or_default() });
        }
        other => {
            table.exclusion |= other == "x";
            table.constraint_columns.insert(row.name, row.columns);
        }
    }
}

fn column(row: ColumnRow) -> Column {
    Column {
        name: row.name,
        type_oid: row.type_oid,
        type_name: row.type_name,
        nullable: row.nullable,
        default: row.default,
        generated: row.generated,
        identity: row.identity,
        identity_always: row.identity_always,
        collation_is_default: row.collation_is_default,
        equal_by_bytes: row.equal_by_bytes,
    }
}

fn table_kind(letter: &str) -> TableKind {
    match letter {
        "p" => TableKind::Partitioned,
        "v" => TableKind::View,
        "m" => TableKind::MaterializedView,
        "f" => TableKind::Foreign,
        _ => TableKind::Table,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{"name":"orders","kind":"r","columns":[{"name":"order_id","type_oid":20,"type_name":"bigint",
        "nullable":false,"default":null,"generated":false,"identity":false,"collation_is_default":true}],
        "unique":[["order_id",""]],"constraints":[
        {"name":"orders_pkey","type":"p","columns":["order_id"],"table":null,"referenced":[],"definition":null},
        {"name":"x","type":"x","columns":["order_id"],"table":null,"referenced":[],"definition":null},
        {"name":"fk","type":"f","columns":["region"],"table":"regions","referenced":["id"],"definition":null},
        {"name":"ck","type":"c","columns":["order_id"],"table":null,"referenced":[],"definition":"CHECK (true)"}],
        "reads":["old"],"calls":["f"],"parents":["all"],"definition":null,"user_triggers":true,"computed":true}"#;

    #[test]
    fn rows_become_tables() {
        let rows = [("database", r#"{"c":true}"#), ("functions", r#"{"f":"v","abs":"i"}"#), ("table", TABLE)];
        let catalog = Catalog::from_rows(rows).unwrap();
        let table = catalog.table("orders").unwrap();
        assert!(catalog.database_collation_is_c && table.user_triggers && table.exclusion);
        assert!(table.computed_indexes);
        assert_eq!((&table.reads[0][..], &table.calls[0][..], &table.parents[0][..]), ("old", "f", "all"));
        assert_eq!(table.unique, [["order_id", ""]]);
        assert_eq!(table.foreign_keys[0].table, "regions");
        assert_eq!(table.checks[0].definition, "CHECK (true)");
        assert_eq!(table.constraint_columns["orders_pkey"], ["order_id"]);
        assert_eq!(table.column("order_id").unwrap().type_oid, 20);
        assert_eq!(catalog.volatility("f"), Volatility::Volatile);
        assert_eq!(catalog.volatility("abs"), Volatility::Immutable);
    }

    #[test]
    fn broken_rows_are_named() {
        assert!(matches!(Catalog::from_rows([("table", "{")]), Err(CatalogError::Value { .. })));
        assert!(matches!(Catalog::from_rows([("view", "{}")]), Err(CatalogError::Kind(_))));
    }
}
