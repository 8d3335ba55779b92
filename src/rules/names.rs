//! Names of tables and columns as rule files write them, folded as PostgreSQL folds them.
//!
//! Unquoted letters become lower case; a part inside double quotes stays as it is (`'"User"'` in the file). The schema
//! `public` is left out, as statements mostly leave it out.

/// PostgreSQL's `NAMEDATALEN` less the final zero byte.
const NAME_BYTES_MAX: usize = 63;

/// Schemas that no rule may spread: they belong to the servers and to the proxy itself.
const RESERVED_SCHEMAS: [&str; 4] = ["pg_catalog", "information_schema", "pg_toast", "shardloom"];

/// Folds a column's name; fails with what is wrong with it.
pub fn column(written: &str) -> Result<String, String> {
    match parts(written)?.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(format!("expected a column's name without its table, found {written:?}")),
    }
}

/// Folds a table's name, `schema.` before it unless that is `public`; fails with what is wrong with it.
pub fn table(written: &str) -> Result<String, String> {
    match parts(written)?.as_slice() {
        [name] => Ok(name.clone()),
        [schema, _] if RESERVED_SCHEMAS.contains(&schema.as_str()) => {
            Err(format!("tables of the schema {schema:?} cannot have rules, found {written:?}"))
        }
        [schema, name] if schema == "public" => Ok(name.clone()),
        [schema, name] => Ok(format!("{schema}.{name}")),
        _ => Err(format!("expected a table's name, at most schema.table, found {written:?}")),
    }
}

/// Splits at dots outside quotes and folds each part.
fn parts(written: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut rest = written;
    loop {
        let (name, after) = if rest.starts_with('"') { quoted(rest, written)? } else { unquoted(rest, written)? };
        if name.len() > NAME_BYTES_MAX {
            return Err(format!("the name {name:?} is longer than {NAME_BYTES_MAX} bytes"));
        }
        parts.push(name);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(parts),
            None => return Err(malformed(written)),
        }
    }
}

fn quoted<'a>(text: &'a str, written: &str) -> Result<(String, &'a str), String> {
    let mut name = String::new();
    let mut rest = &text[1..];
    loop {
        let (part, after) = rest.split_once('"').ok_or_else(|| malformed(written))?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                name.push('"');
                rest = next;
            }
            None if name.is_empty() => return Err(malformed(written)),
            None => return Ok((name, after)),
        }
    }
}

fn unquoted<'a>(text: &'a str, written: &str) -> Result<(String, &'a str), String> {
    let (name, after) = text.split_at(text.find('.').unwrap_or(text.len()));
    let first = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
    let rest = name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'));
    if !first || !rest {
        return Err(malformed(written));
    }
    // The server folds ASCII letters only, in a multi-byte encoding.
    Ok((name.to_ascii_lowercase(), after))
}

fn malformed(written: &str) -> String {
    format!("{written:?} is not a name in PostgreSQL; put unusual names in double quotes, as '\"My Table\"'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_as_in_postgresql() {
        let cases = [
            ("orders", "orders"),
            ("Orders", "orders"),
            ("\"Orders\"", "Orders"),
            ("public.orders", "orders"),
            ("Sales.Orders", "sales.orders"),
            ("\"a.b\".c", "a.b.c"),
            ("\"say \"\"hi\"\"\"", "say \"hi\""),
            ("订单", "订单"),
            ("_a$1", "_a$1"),
        ];
        for (written, folded) in cases {
            assert_eq!(table(written).as_deref(), Ok(folded), "{written}");
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        for written in ["", "1a", "a b", "a.", ".a", "a.b.c", "\"a", "\"\"", "\"a\"b", "a-b", "shardloom.txn"] {
            assert!(table(written).is_err(), "{written}");
        }
        assert!(column("orders.id").is_err());
    }

    #[test]
    fn a_name_of_63_bytes_is_the_longest() {
        assert!(column(&"a".repeat(63)).is_ok());
        assert!(column(&"a".repeat(64)).is_err());
    }
}
