//! What a session set: tracked here, replayed on whichever server it borrows next, never leaked to another client.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use postgres_protocol::escape::escape_identifier;

use super::date_style::combined;
use super::steering::Steering;

/// A session's settings as SQL text, by lower-case name.
///
/// A value is what stands after `SET name TO`, quoted as SQL. An empty set has tag 0, the state of a fresh server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, String>,
    /// What the start-up packet said: RESET goes back to these.
    defaults: BTreeMap<String, String>,
    tag: u64,
    reading: u64,
    /// What the proxy itself is told; no server hears of it.
    pub steering: Steering,
}

/// Names that are not run-time parameters but are replayed like them, and how they are said.
const SPECIAL: [(&str, &str); 3] = [
    ("role", "SET ROLE "),
    ("session_authorization", "SET SESSION AUTHORIZATION "),
    // The only form that takes LOCAL, numbers with a sign and INTERVAL '…' HOUR TO MINUTE.
    ("timezone", "SET TIME ZONE "),
];
/// Settings that are lists of names: SET takes a text for one name, a start-up packet and `set_config` for a list.
const NAME_LISTS: [&str; 4] =
    ["search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"];
/// Begins values that `set_config` has to set.
const LIST: char = '\u{1}';
/// Settings that decide what a constant in a text is: servers read it when they prepare the text. The search path is none
/// of them, since servers prepare anew for another one.
const READING: [&str; 10] = [
    "array_nulls",
    "backslash_quote",
    "datestyle",
    "intervalstyle",
    "lc_monetary",
    "standard_conforming_strings",
    "timezone",
    "timezone_abbreviations",
    "transform_null_equals",
    "xmloption",
];
/// What RESET ALL leaves alone, in the order in which it is replayed.
const KEPT: [&str; 2] = ["session_authorization", "role"];

impl Settings {
    /// Records `SET name TO value`; `value` is SQL text.
    pub fn set(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        self.drop_role_for(&name);
        let value = match self.values.get(&name) {
            Some(before) if name == "datestyle" => combined(before, value),
            _ => value.to_owned(),
        };
        self.values.insert(name, value);
        self.retag();
    }

    /// Records what a start-up packet says, which is not SQL.
    pub fn set_plain(&mut self, name: &str, value: &str) {
        let mut text = quoted_value(value);
        if is_name_list(name) {
            text.insert(0, LIST);
        }
        self.set(name, &text);
    }

    /// A change of the session authorization ends SET ROLE.
    fn drop_role_for(&mut self, name: &str) {
        if name == "session_authorization" {
            self.values.remove("role");
        }
    }

    /// Makes what is set now what RESET goes back to.
    pub fn keep_as_defaults(&mut self) {
        self.defaults = self.values.clone();
    }

    /// Takes one setting back to what it was at the start.
    pub fn reset(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.drop_role_for(&name);
        match self.defaults.get(&name) {
            Some(value) => self.values.insert(name, value.clone()),
            None => self.values.remove(&name),
        };
        self.retag();
    }

    /// Takes back all settings that RESET ALL resets; role and session authorization stay.
    pub fn reset_all(&mut self) {
        self.values.retain(|name, _| KEPT.contains(&name.as_str()));
        let special = std::mem::take(&mut self.values);
        self.values = self.defaults.clone();
        self.values.extend(special);
        self.steering.clear();
        self.retag();
    }

    /// Takes everything back, as DISCARD ALL does.
    pub fn clear(&mut self) {
        self.values = self.defaults.clone();
        self.steering.clear();
        self.retag();
    }

    /// Tells whether nothing differs from what the session started with.
    pub fn is_as_at_start(&self) -> bool {
        self.values == self.defaults && self.steering == Steering::default()
    }

    /// Tells whether the session started with settings of its own.
    pub fn has_defaults(&self) -> bool {
        !self.defaults.is_empty()
    }

    /// Tells whether `name`, in any case, is one that the session started with.
    pub fn is_default(&self, name: &str) -> bool {
        self.defaults.contains_key(&name.to_ascii_lowercase())
    }

    /// Returns the fingerprint; equal settings have equal tags, none has 0.
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// Returns the fingerprint of those that decide what constants mean: sessions with another one share no prepared
    /// statements. None has 0.
    pub fn reading(&self) -> u64 {
        self.reading
    }

    /// Returns the SQL text of one setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Returns the statements that bring a server of unknown settings to these.
    pub fn statements(&self) -> String {
        let mut sql = String::from("RESET SESSION AUTHORIZATION;RESET ROLE;RESET ALL");
        // With the rights of the login role; and a new session authorization takes the role away.
        let settings = self.values.iter().filter(|(name, _)| !KEPT.contains(&name.as_str()));
        for (name, value) in settings.chain(KEPT.iter().filter_map(|name| self.values.get_key_value(*name))) {
            sql.push(';');
            push_statement(&mut sql, name, value);
        }
        sql
    }

    /// Returns the statements that bring a server, of which `name` or all was reset, back to the session's start.
    pub fn defaults_of(&self, name: Option<&str>) -> String {
        let mut sql = String::new();
        for (default, value) in &self.defaults {
            if name.is_none_or(|name| name.eq_ignore_ascii_case(default)) {
                push_statement(&mut sql, default, value);
                sql.push(';');
            }
        }
        sql
    }

    fn retag(&mut self) {
        self.tag = fingerprint(self.values.iter());
        self.reading = fingerprint(self.values.iter().filter(|(name, _)| READING.contains(&name.as_str())));
    }
}

/// Equal settings have equal ones, none has 0.
fn fingerprint<'a>(values: impl Iterator<Item = (&'a String, &'a String)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut count = 0_usize;
    for value in values {
        value.hash(&mut hasher);
        count += 1;
    }
    if count == 0 { 0 } else { hasher.finish().max(1) }
}

/// Tells whether a statement, such as a SET LOCAL, names a setting that decides what constants mean.
pub(super) fn changes_reading(statement: &str) -> bool {
    let statement = statement.to_ascii_lowercase();
    // `SET TIME ZONE` and `SET XML OPTION` have blanks or comments between their words.
    READING.iter().any(|name| statement.contains(name)) || ["zone", "xml"].iter().any(|word| statement.contains(word))
}

fn push_statement(sql: &mut String, name: &str, value: &str) {
    if let Some(list) = value.strip_prefix(LIST) {
        // Without a row, which a relayed session would pass.
        let call = format!("pg_catalog.set_config({}, {list}, false)", quoted_value(name));
        return sql.push_str(&format!("SELECT FROM {call} AS value WHERE value IS NULL"));
    }
    match SPECIAL.iter().find(|(special, _)| *special == name) {
        Some((_, verb)) => sql.push_str(verb),
        None => {
            sql.push_str("SET ");
            sql.push_str(&quoted_name(name));
            sql.push_str(" TO ");
        }
    }
    sql.push_str(value);
}

/// Quotes a setting's name part by part: `my.setting` is two identifiers.
pub(super) fn quoted_name(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(escape_identifier).collect();
    parts.join(".")
}

fn is_name_list(name: &str) -> bool {
    NAME_LISTS.iter().any(|list| name.eq_ignore_ascii_case(list))
}

/// Returns what SET says for a value of `set_config`; a list of names that is none is left to the server to refuse.
pub(super) fn set_value(name: &str, value: &str) -> String {
    let list = if is_name_list(name) { names_in(value) } else { None };
    match list.as_deref() {
        Some([]) | None => quoted_value(value),
        Some(names) => names.iter().map(|name| escape_identifier(name)).collect::<Vec<_>>().join(", "),
    }
}

/// Splits a list of names as PostgreSQL does: unquoted ones in lower case; `None` if it is malformed.
fn names_in(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim_ascii_start();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, behind) = first_name(rest)?;
        names.push(name);
        match behind.trim_ascii_start().strip_prefix(',') {
            Some(more) => rest = more.trim_ascii_start(),
            None => return behind.trim_ascii().is_empty().then_some(names),
        }
    }
}

fn first_name(list: &str) -> Option<(String, &str)> {
    let Some(mut rest) = list.strip_prefix('"') else {
        let end =
            list.find(|character: char| character == ',' || character.is_ascii_whitespace()).unwrap_or(list.len());
        return (end > 0).then(|| (list[..end].to_ascii_lowercase(), &list[end..]));
    };
    let mut name = String::new();
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// Quotes a value as an SQL string, right with `standard_conforming_strings` on or off.
pub fn quoted_value(value: &str) -> String {
    if value.contains('\\') {
        format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

/// Returns what an SQL value says when it is a plain string literal, else the text as it is (`a, b`).
pub fn plain_value(sql: &str) -> String {
    let inner = sql.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match inner {
        Some(inner) if !inner.replace("''", "").contains('\'') => inner.replace("''", "'"),
        Some(_) | None => sql.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_lists_wherever_they_come_from() {
        for (list, set) in [
            ("a,b", "\"a\", \"b\""),
            (" A , \"B \"\"c\"\" ,d\"", "\"a\", \"B \"\"c\"\" ,d\""),
            ("\"$user\", Public ", "\"$user\", \"public\""),
            ("\"a,\"\"b\"", "\"a,\"\"b\""),
            ("", "''"),
            ("a,", "'a,'"),
            ("a b", "'a b'"),
        ] {
            assert_eq!(set_value("search_path", list), set, "{list}");
        }
        assert_eq!(set_value("datestyle", "SQL, DMY"), "'SQL, DMY'");
        let mut settings = Settings::default();
        settings.set_plain("Search_Path", "a,'b'");
        let call = "SELECT FROM pg_catalog.set_config('search_path', 'a,''b''', false) AS value WHERE value IS NULL";
        assert!(settings.statements().ends_with(call), "{}", settings.statements());
    }

    #[test]
    fn no_settings_have_the_tag_of_a_fresh_server() {
        let mut settings = Settings::default();
        settings.set("TimeZone", "'UTC'");
        assert_ne!(settings.tag(), 0);
        settings.reset("timezone");
        assert_eq!(settings.tag(), 0);
    }

    #[test]
    fn reset_goes_back_to_the_start() {
        let mut settings = Settings::default();
        settings.set("TimeZone", "'UTC'");
        settings.keep_as_defaults();
        let start = settings.tag();
        settings.set("TimeZone", "'Asia/Tokyo'");
        settings.reset("timezone");
        assert_eq!(settings.tag(), start);
        settings.set("a", "1");
        settings.reset_all();
        assert_eq!((settings.tag(), settings.get("timezone")), (start, Some("'UTC'")));
    }

    #[test]
    fn roles_are_replayed_last_and_end_with_their_session_authorization() {
        let mut settings = Settings::default();
        settings.set("role", "a");
        settings.set("work_mem", "'1MB'");
        settings.set("session_authorization", "b");
        settings.set("role", "c");
        let said = settings.statements();
        assert!(said.ends_with("SET \"work_mem\" TO '1MB';SET SESSION AUTHORIZATION b;SET ROLE c"), "{said}");
        settings.reset("session_authorization");
        assert_eq!(settings.get("role"), None);
    }

    #[test]
    fn equal_settings_have_equal_tags_in_any_order() {
        let (mut one, mut two) = (Settings::default(), Settings::default());
        one.set("a", "1");
        one.set("b", "2");
        two.set("b", "2");
        two.set("a", "1");
        assert_eq!(one.tag(), two.tag());
        two.set("a", "3");
        assert_ne!(one.tag(), two.tag());
    }

    #[test]
    fn names_and_values_are_quoted() {
        let mut settings = Settings::default();
        settings.set("app.user", &quoted_value("o'brien\\"));
        assert!(settings.statements().ends_with(r#"SET "app"."user" TO E'o''brien\\'"#));
    }

    #[test]
    fn a_time_zone_is_said_as_sql_says_it() {
        let mut settings = Settings::default();
        settings.set("TimeZone", "INTERVAL '-08:00' HOUR TO MINUTE");
        assert!(settings.statements().ends_with(";SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE"));
        settings.reset_all();
        assert_eq!(settings.tag(), 0);
    }

    #[test]
    fn reset_all_keeps_the_role() {
        let mut settings = Settings::default();
        settings.set("role", "reader");
        settings.set("search_path", "a");
        settings.reset_all();
        assert!(settings.statements().ends_with(";SET ROLE reader"));
    }
}
