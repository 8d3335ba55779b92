//! The unique and foreign keys that a statement makes, as far as its text says them.

use sqlparser::ast::{AlterTableOperation, ColumnDef, ColumnOption, Expr, IndexColumn, Statement, TableConstraint};

use super::TableName;
use super::read::{self, fold};

/// Returns the columns of each unique key that a CREATE TABLE, ALTER TABLE or CREATE INDEX makes; an expression stands as an
/// empty name. None for what cannot be read: then nobody knows.
pub fn unique_keys(text: &str) -> Vec<Vec<String>> {
    match read::statement(text) {
        Ok(Statement::CreateIndex(index)) if index.unique => vec![names(&index.columns)],
        Ok(statement) => made(&statement).filter_map(unique).collect(),
        Err(_) => Vec::new(),
    }
}

/// A foreign key as a statement says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its columns.
    pub columns: Vec<String>,
    /// The table it refers to.
    pub table: TableName,
    /// That table's columns; empty for its primary key.
    pub referred: Vec<String>,
}

/// Returns the foreign keys that a CREATE TABLE or ALTER TABLE makes; none for what cannot be read.
pub fn foreign_keys(text: &str) -> Vec<ForeignKey> {
    read::statement(text).map_or_else(|_| Vec::new(), |statement| made(&statement).filter_map(foreign).collect())
}

/// A column or constraint that a statement adds to a table.
enum Made<'a> {
    Column(&'a ColumnDef),
    Constraint(&'a TableConstraint),
}

fn made(statement: &Statement) -> impl Iterator<Item = Made<'_>> {
    let (columns, constraints, operations) = match statement {
        Statement::CreateTable(table) => (table.columns.as_slice(), table.constraints.as_slice(), [].as_slice()),
        Statement::AlterTable(alter) => ([].as_slice(), [].as_slice(), alter.operations.as_slice()),
        _ => ([].as_slice(), [].as_slice(), [].as_slice()),
    };
    let created = columns.iter().map(Made::Column).chain(constraints.iter().map(Made::Constraint));
    created.chain(operations.iter().filter_map(added))
}

fn added(operation: &AlterTableOperation) -> Option<Made<'_>> {
    match operation {
        AlterTableOperation::AddConstraint { constraint, .. } => Some(Made::Constraint(constraint)),
        AlterTableOperation::AddColumn { column_def, .. } => Some(Made::Column(column_def)),
        _ => None,
    }
}

fn foreign(made: Made<'_>) -> Option<ForeignKey> {
    let (key, columns) = match made {
        Made::Column(column) => {
            let key = column.options.iter().find_map(|option| match &option.option {
                ColumnOption::ForeignKey(key) => Some(key),
                _ => None,
            });
            (key?, vec![fold(&column.name)])
        }
        Made::Constraint(TableConstraint::ForeignKey(key)) => (key, key.columns.iter().map(fold).collect()),
        Made::Constraint(_) => return None,
    };
    let table = read::table_name(&key.foreign_table)?;
    Some(ForeignKey { columns, table, referred: key.referred_columns.iter().map(fold).collect() })
}

fn unique(made: Made<'_>) -> Option<Vec<String>> {
    match made {
        Made::Column(column) => {
            let mut options = column.options.iter().map(|option| &option.option);
            let unique = options.any(|option| matches!(option, ColumnOption::Unique(_) | ColumnOption::PrimaryKey(_)));
            unique.then(|| vec![fold(&column.name)])
        }
        Made::Constraint(TableConstraint::Unique(unique)) => Some(names(&unique.columns)),
        Made::Constraint(TableConstraint::PrimaryKey(key)) => Some(names(&key.columns)),
        Made::Constraint(_) => None,
    }
}

fn names(columns: &[IndexColumn]) -> Vec<String> {
    let name = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(name) => fold(name),
        _ => String::new(),
    };
    columns.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_are_made() {
        let keys = |text| unique_keys(text).iter().map(|key| key.join(",")).collect::<Vec<_>>();
        assert_eq!(
            keys(
                "CREATE TABLE t (a bigint PRIMARY KEY, \"B\" text UNIQUE, c int, CONSTRAINT k UNIQUE (c, \"B\"), CHECK (c > 0))"
            ),
            ["a", "B", "c,B"]
        );
        assert_eq!(keys("ALTER TABLE t ADD COLUMN d int UNIQUE, ADD CONSTRAINT p PRIMARY KEY (a, d)"), ["d", "a,d"]);
        assert_eq!(
            keys("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t USING btree (a, lower(b) DESC)"),
            ["a,"]
        );
        assert_eq!(keys("CREATE INDEX i ON t (a)"), Vec::<String>::new());
        let foreign = |text| {
            let keys = foreign_keys(text).into_iter();
            keys.map(|key| format!("{}>{}({})", key.columns.join(","), key.table, key.referred.join(",")))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            foreign(
                "CREATE TABLE t (a bigint REFERENCES s.u, \"B\" int REFERENCES v (c) ON DELETE CASCADE, \
                 FOREIGN KEY (a, \"B\") REFERENCES w (x, y))"
            ),
            ["a>s.u()", "B>v(c)", "a,B>w(x,y)"]
        );
        assert_eq!(foreign("ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES t (q) NOT VALID"), ["p>t(q)"]);
        assert_eq!(foreign("ALTER TABLE t ADD COLUMN d int REFERENCES u"), ["d>u()"]);
        assert_eq!(keys("ALTER TABLE t DROP COLUMN a"), Vec::<String>::new());
    }
}
