//! Where a DDL statement names split tables, and the indexes and constraints that need a name per physical table.

use std::ops::Range;

use super::places::Named;
use super::schema::{table_at, unavailable};
use crate::plan::insert::quoted;
use crate::sql::{Ddl, DdlObject, DdlVerb, Token, Utility, identifier};
use crate::types::{Refusal, SqlState};

/// PostgreSQL's `NAMEDATALEN` less the final zero byte.
const NAME_BYTES_MAX: usize = 63;

/// Words that say what cannot be done to physical tables one by one, each pair in a row.
const NOT_FOR_PARTS: [(&str, &str); 7] = [
    ("partition", "by"),
    ("partition", "of"),
    ("attach", "partition"),
    ("detach", "partition"),
    ("rename", "to"),
    ("set", "schema"),
    ("as", "on"),
];

/// A name that each physical table has its own of.
pub(super) enum Edit<'t> {
    /// The table.
    Table(&'t Named, Range<usize>, Range<usize>),
    /// An index or constraint of the table.
    Name(&'t Named, Range<usize>, String),
}

impl Edit<'_> {
    /// Returns what stands there for one slot.
    pub(super) fn of_slot(&self, text: &str, slot: usize) -> Result<(Range<usize>, String), Refusal> {
        match self {
            Self::Table(table, span, schema) => {
                Ok((span.clone(), format!("{}{}", &text[schema.clone()], quoted(&table.split.names[slot]))))
            }
            Self::Name(table, span, name) => Ok((span.clone(), quoted(&physical_name(name, table, slot)?))),
        }
    }
}

/// Returns the name of a physical table's index or constraint.
fn physical_name(name: &str, table: &Named, slot: usize) -> Result<String, Refusal> {
    let made = table.split.physical_name(name, &table.key, slot);
    if made.len() > NAME_BYTES_MAX {
        let message = format!("the name \"{made}\" of a physical table's index or constraint is too long");
        return Err(Refusal::new(SqlState::NAME_TOO_LONG, message)
            .with_hint("Give it a shorter name.")
            .with_reason("split_ddl"));
    }
    Ok(made)
}

/// Tells whether the statement takes a list of tables in the place of one.
pub(super) fn lists(utility: &Utility) -> bool {
    match utility {
        Utility::Truncate { .. } | Utility::Vacuum { .. } | Utility::Analyze { .. } | Utility::Lock { .. } => true,
        Utility::Ddl(ddl) => match ddl.verb {
            DdlVerb::Drop => ddl.object == DdlObject::Table,
            DdlVerb::Grant | DdlVerb::Revoke => true,
            DdlVerb::Create
            | DdlVerb::Alter
            | DdlVerb::Comment
            | DdlVerb::SecurityLabel
            | DdlVerb::Reindex
            | DdlVerb::Cluster
            | DdlVerb::Refresh
            | DdlVerb::Other => false,
        },
        Utility::Copy(_) | Utility::Do | Utility::Call | Utility::Server => false,
    }
}

/// Finds what each physical table has of its own.
///
/// # Errors
/// Refuses what cannot be done to the physical tables one by one.
pub(super) fn object_edits<'t>(
    text: &str,
    tokens: &[Token],
    ddl: &Ddl,
    tables: &'t [Named],
) -> Result<Vec<Edit<'t>>, Refusal> {
    let main = &tables[0];
    let reader = Reader { text, tokens, tables, main };
    reader.check(ddl)?;
    match (ddl.object, ddl.verb) {
        (DdlObject::Index, DdlVerb::Create) => Ok(reader.create_index()),
        (DdlObject::Index, _) => reader.of_indexes(),
        (DdlObject::Table | DdlObject::OnTable, _) => reader.of_table(),
        (DdlObject::Other, DdlVerb::Cluster) => reader.of_table(),
        _ => Err(unavailable(&main.key)),
    }
}

struct Reader<'a, 't> {
    text: &'a str,
    tokens: &'a [Token],
    tables: &'t [Named],
    /// The table that the statement is about.
    main: &'t Named,
}

impl<'t> Reader<'_, 't> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.text, word))
    }

    /// The main table must come first, and others must be split alike.
    fn check(&self, ddl: &Ddl) -> Result<(), Refusal> {
        let pair = |at: usize| NOT_FOR_PARTS.iter().any(|(one, two)| self.is(at, one) && self.is(at + 1, two));
        let first = ddl.tables.first().map(|table| table.rule_key().into_owned());
        let about_main = ddl.object == DdlObject::Index || first.as_deref() == Some(self.main.key.as_str());
        let inherits = |at: usize| self.is(at, "inherits") || self.is(at, "inherit");
        // ALTER INDEX … RENAME TO gives a name of the index, not of the table.
        let renames = ddl.object == DdlObject::Index;
        if !about_main || (0..self.tokens.len()).any(|at| inherits(at) || pair(at) && !renames) {
            return Err(unavailable(&self.main.key));
        }
        match self.tables.iter().find(|table| !table.split.is_like(&self.main.split)) {
            Some(other) => Err(Refusal::unsupported(
                format!("tables \"{}\" and \"{}\" are not split alike", self.main.key, other.key),
                "Split both by columns of one type into as many tables, or leave the reference out.",
            )
            .with_reason("split_ddl")),
            None => Ok(()),
        }
    }

    fn table(&self, at: usize) -> Option<Edit<'t>> {
        let (table, found) = table_at(self.text, self.tokens, at, self.tables)?;
        Some(Edit::Table(table, found.span, found.schema))
    }

    fn name(&self, at: usize) -> Option<Edit<'t>> {
        let token = *self.tokens.get(at)?;
        Some(Edit::Name(self.main, token.span(), identifier(self.text, token)?))
    }

    /// Skips `IF [NOT] EXISTS` and `ONLY`.
    fn skip(&self, mut at: usize) -> usize {
        if self.is(at, "if") {
            at += if self.is(at + 1, "not") { 3 } else { 2 };
        }
        if self.is(at, "only") { at + 1 } else { at }
    }

    /// `CREATE [UNIQUE] INDEX [[IF NOT EXISTS] name] ON [ONLY] table …`
    fn create_index(&self) -> Vec<Edit<'t>> {
        let on = (0..self.tokens.len()).find(|at| self.is(*at, "on")).unwrap_or(0);
        let index = (0..on).find(|at| self.is(*at, "index")).unwrap_or(0);
        let name = self.skip(index + 1);
        let named = if name < on { self.name(name) } else { None };
        named.into_iter().chain(self.table(self.skip(on + 1))).collect()
    }

    /// `ALTER INDEX name RENAME TO other`, `DROP INDEX one, two`, `REINDEX INDEX name`
    fn of_indexes(&self) -> Result<Vec<Edit<'t>>, Refusal> {
        let start = (0..self.tokens.len()).find(|at| self.is(*at, "index")).unwrap_or(0);
        if (0..self.tokens.len()).any(|at| self.is(at, "concurrently")) || self.tables.len() > 1 {
            return Err(unavailable(&self.main.key));
        }
        let mut edits = Vec::new();
        let mut at = self.skip(start + 1);
        loop {
            if self.tokens.get(at + 1).is_some_and(|token| token.is_mark(self.text, ".")) {
                at += 2;
            }
            edits.extend(self.name(at));
            at += 1;
            match self.tokens.get(at) {
                Some(token) if token.is_mark(self.text, ",") => at += 1,
                Some(_) | None => break,
            }
        }
        if self.is(at, "rename") && self.is(at + 1, "to") {
            edits.extend(self.name(at + 2));
        }
        Ok(edits)
    }

    /// A table, what it refers to, its constraints, and what stands on it.
    fn of_table(&self) -> Result<Vec<Edit<'t>>, Refusal> {
        let mut edits: Vec<Edit<'t>> = Vec::new();
        let mut seen = false;
        let mut at = 0;
        while at < self.tokens.len() {
            let refers = at > 0 && (self.is(at - 1, "references") || self.is(at - 1, "like"));
            let qualifies = seen && self.tokens.get(at + 1).is_some_and(|token| token.is_mark(self.text, "."));
            let next = if !seen || refers || qualifies { self.table(at) } else { None };
            if let Some(edit) = next {
                seen = true;
                at = self.behind(&edit);
                edits.push(edit);
                continue;
            }
            let using = self.is(at, "index") && at > 0 && self.is(at - 1, "using")
                || self.is(at, "on") && at > 0 && self.is(at - 1, "cluster");
            if self.is(at, "constraint") && !self.is(at + 1, "trigger") || using {
                let named = self.skip(at + 1);
                edits.extend(self.name(named));
                if at > 0 && self.is(at - 1, "rename") && self.is(named + 1, "to") {
                    edits.extend(self.name(named + 2));
                    at = named + 2;
                }
                at = at.max(named);
            }
            at += 1;
        }
        if seen { Ok(edits) } else { Err(unavailable(&self.main.key)) }
    }

    fn behind(&self, edit: &Edit<'_>) -> usize {
        let (Edit::Table(_, span, _) | Edit::Name(_, span, _)) = edit;
        self.tokens.iter().position(|token| token.start >= span.end).unwrap_or(self.tokens.len())
    }
}
