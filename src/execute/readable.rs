//! Settings under which the proxy would read statements differently from the server: they are refused.

use crate::types::Refusal;

use super::settings::plain_value;

/// Refuses a value, written as SQL, of the setting `name` (lower case) that changes what statements mean.
///
/// # Errors
/// 0A000 with a hint; the server judges everything else.
pub fn check_setting(name: &str, value: &str) -> Result<(), Refusal> {
    let plain = plain_value(value).to_ascii_lowercase();
    match name {
        "client_encoding" | "names"
            if !matches!(plain.replace(['-', '_'], "").as_str(), "utf8" | "unicode" | "default" | "sqlascii") =>
        {
            Err(unreadable(&format!("client_encoding {value}"), "Use UTF8."))
        }
        "standard_conforming_strings" if matches!(plain.as_str(), "off" | "false" | "0" | "no") => {
            Err(unreadable("standard_conforming_strings = off", "Write E'…' for strings with backslash escapes."))
        }
        "search_path" if !only_public(value) => Err(unreadable(
            &format!("search_path {value}"),
            "Tables of the rules are found in schema public: qualify the names of other schemas.",
        )),
        "search_path" if makes_temporary(value) => Err(unreadable(
            &format!("search_path {value}"),
            "Name pg_temp behind public: CREATE TEMPORARY makes what only the session sees.",
        )),
        _ => Ok(()),
    }
}

fn unreadable(what: &str, hint: &str) -> Refusal {
    Refusal::unsupported(format!("{what}: not available through the proxy"), hint)
}

/// Tells whether unqualified names mean what the rules mean by them.
fn only_public(value: &str) -> bool {
    value.split(',').all(|schema| {
        let schema = schema.trim().trim_matches(['\'', '"']).to_ascii_lowercase();
        matches!(schema.as_str(), "" | "public" | "$user" | "pg_catalog" | "information_schema" | "pg_temp" | "default")
            || schema.contains(',') && only_public(&schema)
    })
}

/// Tells whether what is made without a schema would be temporary, though its statement does not say so.
fn makes_temporary(value: &str) -> bool {
    let schemas = value.split(',').map(|schema| schema.trim().trim_matches(['\'', '"', ' ']).to_ascii_lowercase());
    let mut exist = schemas.filter(|schema| !matches!(schema.as_str(), "" | "$user"));
    exist.next().is_some_and(|first| first == "pg_temp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_that_keep_the_meaning_of_names_pass() {
        assert!(only_public("public") && only_public("\"$user\", public") && only_public("''"));
        assert!(only_public("'public, pg_catalog'"));
        assert!(!only_public("app, public") && !only_public("'app'"));
    }

    #[test]
    fn search_paths_that_make_tables_temporary_unsaid_are_refused() {
        for path in ["pg_temp", "pg_temp, public", "'pg_temp, public'", "\"$user\", \"pg_temp\", public", "'', PG_TEMP"]
        {
            assert!(check_setting("search_path", path).is_err(), "{path}");
        }
        for path in ["public, pg_temp", "'public, pg_temp'", "pg_catalog, pg_temp", "public", "DEFAULT"] {
            assert!(check_setting("search_path", path).is_ok(), "{path}");
        }
    }

    #[test]
    fn encodings_and_quoting_rules_that_change_the_reading_are_refused() {
        assert!(check_setting("client_encoding", "'LATIN1'").is_err());
        assert!(check_setting("client_encoding", "'UTF-8'").is_ok());
        assert!(check_setting("standard_conforming_strings", "off").is_err());
        assert!(check_setting("standard_conforming_strings", "on").is_ok());
    }
}
