//! Volatility of functions: from `pg_proc` when it was loaded, else from a list of well-known immutable ones.

use super::Catalog;

/// `pg_proc.provolatile`, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// Same arguments, same result, always.
    Immutable,
    /// Same within a statement; may depend on settings, time or tables.
    Stable,
    /// Anything may happen.
    Volatile,
}

/// Functions all of whose overloads are immutable, for the time before a catalog was loaded.
const IMMUTABLE: [&str; 62] = [
    "abs",
    "acos",
    "array_append",
    "array_cat",
    "array_length",
    "array_position",
    "array_prepend",
    "array_remove",
    "ascii",
    "asin",
    "atan",
    "bit_length",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "convert_to",
    "cos",
    "decode",
    "degrees",
    "div",
    "encode",
    "exp",
    "floor",
    "gcd",
    "initcap",
    "int8mul",
    "left",
    "length",
    "ln",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "mod",
    "octet_length",
    "pi",
    "power",
    "radians",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sha256",
    "sign",
    "sin",
    "split_part",
    "sqrt",
    "strpos",
    "substr",
    "substring",
    "tan",
    "translate",
    "trunc",
    "upper",
];

/// Grammar that looks like a call and is immutable when its arguments are; absent from `pg_proc` under this name.
const GRAMMAR: [&str; 9] = ["coalesce", "nullif", "greatest", "least", "trim", "position", "overlay", "row", "array"];

impl Volatility {
    /// Reads `provolatile`; an unknown letter is volatile.
    pub fn from_letter(letter: &str) -> Self {
        match letter {
            "i" => Self::Immutable,
            "s" => Self::Stable,
            _ => Self::Volatile,
        }
    }
}

impl Catalog {
    /// Returns the worst volatility of all functions of that name (lower case, without schema); unknown is volatile.
    pub fn volatility(&self, name: &str) -> Volatility {
        if GRAMMAR.contains(&name) {
            return Volatility::Immutable;
        }
        if let Some(known) = self.functions.get(name) {
            return *known;
        }
        if self.functions.is_empty() && IMMUTABLE.contains(&name) {
            return Volatility::Immutable;
        }
        Volatility::Volatile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_serves_only_an_empty_catalog() {
        let mut catalog = Catalog::empty();
        assert_eq!(catalog.volatility("upper"), Volatility::Immutable);
        assert_eq!(catalog.volatility("random"), Volatility::Volatile);
        catalog.functions.insert("concat".into(), Volatility::Stable);
        assert_eq!(catalog.volatility("upper"), Volatility::Volatile);
        assert_eq!(catalog.volatility("concat"), Volatility::Stable);
        assert_eq!(catalog.volatility("coalesce"), Volatility::Immutable);
    }
}
