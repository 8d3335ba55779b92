//! What an operator may type in the database `shardloom`: PgBouncer's verbs, and `SHOW`.

use super::topic::Topic;
use crate::proxy::Shutdown;
use crate::types::{Refusal, SqlState};

/// One command of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `SHOW <topic>`
    Show(Topic),
    /// `RELOAD`
    Reload,
    /// `PAUSE [database]`
    Pause(Option<String>),
    /// `RESUME [database]`
    Resume(Option<String>),
    /// `RECONNECT [database]`
    Reconnect(Option<String>),
    /// `WAIT_CLOSE [database]`
    WaitClose(Option<String>),
    /// `KILL [database]`
    Kill(Option<String>),
    /// `KILL_CLIENT id`
    KillClient(u64),
    /// `DISABLE database`
    Disable(String),
    /// `ENABLE database`
    Enable(String),
    /// `FORGET DDL id`
    ForgetDdl(i64),
    /// `RESET ROUTES`
    ResetRoutes,
    /// `SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]`
    Shutdown(Shutdown),
    /// What drivers send by themselves and what means nothing here: SET of their own settings, BEGIN, COMMIT, ROLLBACK;
    /// with its command tag.
    Ignored(&'static str),
}

/// The commands besides SHOW, as `SHOW HELP` lists them.
pub const VERBS: [(&str, &str); 13] = [
    ("RELOAD", "reads configuration and rule files again"),
    ("PAUSE [database]", "lends no server connection any more, and waits until all are back and closed"),
    ("RESUME [database]", "ends PAUSE and KILL"),
    ("RECONNECT [database]", "makes server connections anew, each as soon as it is not in use"),
    ("WAIT_CLOSE [database]", "waits until RECONNECT is through"),
    ("KILL [database]", "closes clients and server connections, and pauses"),
    ("KILL_CLIENT id", "closes one client of SHOW CLIENTS"),
    ("DISABLE database", "takes no new clients"),
    ("ENABLE database", "ends DISABLE"),
    ("FORGET DDL id", "gives up a statement of SHOW DDL that nobody will run again"),
    ("RESET ROUTES", "begins to count anew what SHOW ROUTES shows"),
    ("SHUTDOWN", "ends the process at once"),
    ("SHUTDOWN WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS", "ends it after the last transaction, or the last client"),
];

/// Settings that drivers set at their start.
const DRIVER_SETTINGS: [&str; 9] = [
    "APPLICATION_NAME",
    "CLIENT_ENCODING",
    "DATESTYLE",
    "EXTRA_FLOAT_DIGITS",
    "INTERVALSTYLE",
    "SESSION",
    "STATEMENT_TIMEOUT",
    "TIMEZONE",
    "TIME",
];

impl Command {
    /// Reads one command; case and a closing semicolon do not matter. Fails with `42601` or `0A000`.
    pub fn parse(sql: &str) -> Result<Self, Refusal> {
        let text = sql.trim().trim_end_matches(';').trim_end();
        let words: Vec<&str> = text.split_whitespace().collect();
        let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        let database = || words.get(1).map(|word| name(word));
        match upper.as_slice() {
            ["RELOAD"] => Ok(Self::Reload),
            ["SHOW", rest @ ..] => show(&rest.join(" ").replace('_', " ")),
            ["PAUSE"] | ["PAUSE", _] => Ok(Self::Pause(database())),
            ["RESUME"] | ["RESUME", _] => Ok(Self::Resume(database())),
            ["RECONNECT"] | ["RECONNECT", _] => Ok(Self::Reconnect(database())),
            ["WAIT_CLOSE"] | ["WAIT_CLOSE", _] => Ok(Self::WaitClose(database())),
            ["KILL"] | ["KILL", _] => Ok(Self::Kill(database())),
            ["KILL_CLIENT", id] => id.parse().map(Self::KillClient).map_err(|_| {
                unknown(format!("\"{id}\" is no client's number")).with_hint("SHOW CLIENTS has it in the column id.")
            }),
            ["DISABLE", _] => Ok(Self::Disable(name(words[1]))),
            ["ENABLE", _] => Ok(Self::Enable(name(words[1]))),
            ["FORGET", "DDL", id] => id.parse().map(Self::ForgetDdl).map_err(|_| {
                unknown(format!("\"{id}\" is no statement's number")).with_hint("SHOW DDL has it in the column id.")
            }),
            ["RESET", "ROUTES"] => Ok(Self::ResetRoutes),
            ["SHUTDOWN"] => Ok(Self::Shutdown(Shutdown::Now)),
            ["SHUTDOWN", "WAIT_FOR_SERVERS"] => Ok(Self::Shutdown(Shutdown::WaitForServers)),
            ["SHUTDOWN", "WAIT_FOR_CLIENTS"] => Ok(Self::Shutdown(Shutdown::WaitForClients)),
            ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Ok(Self::Ignored("BEGIN")),
            ["COMMIT"] => Ok(Self::Ignored("COMMIT")),
            ["ROLLBACK"] => Ok(Self::Ignored("ROLLBACK")),
            ["SET", setting, ..] => set(setting),
            ["SUSPEND"] => Err(Refusal::unsupported(
                "SUSPEND is not available",
                "PAUSE stops traffic between transactions; shardloom serve --takeover restarts without a pause.",
            )),
            [verb, ..] if takes_a_name(verb) => Err(unknown(format!("{verb} takes {}", argument(verb)))),
            [] | [_, ..] => Err(unknown(format!("the console does not know {}", short(text)))),
        }
    }
}

/// Returns a name as it is meant: without its double quotes; unlike in SQL, case is kept.
fn name(word: &str) -> String {
    match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_owned(),
    }
}

fn takes_a_name(verb: &str) -> bool {
    VERBS.iter().any(|(command, _)| command.split(' ').next() == Some(verb))
}

fn argument(verb: &str) -> &'static str {
    match verb {
        "RELOAD" => "nothing",
        "RESET" => "ROUTES",
        "FORGET" => "DDL and the number of a statement",
        "DISABLE" | "ENABLE" => "the name of a database",
        "KILL_CLIENT" => "the number of a client",
        "SHUTDOWN" => "nothing, WAIT_FOR_SERVERS or WAIT_FOR_CLIENTS",
        _ => "nothing or the name of a database",
    }
}

/// SET of a driver's own settings is answered and forgotten; settings of the proxy are changed in its file.
fn set(setting: &str) -> Result<Command, Refusal> {
    let name = setting.split('=').next().unwrap_or(setting);
    if DRIVER_SETTINGS.contains(&name) {
        return Ok(Command::Ignored("SET"));
    }
    Err(Refusal::unsupported(
        format!("the console cannot set \"{}\"", name.to_lowercase()),
        "Change shardloom.yaml and RELOAD; SHOW CONFIG has the settings in force.",
    ))
}

fn show(words: &str) -> Result<Command, Refusal> {
    match Topic::ALL.into_iter().find(|topic| topic.words() == words) {
        Some(topic) => Ok(Command::Show(topic)),
        None if words.is_empty() => Err(unknown("SHOW takes what is to be shown")),
        None => {
            let refusal = unknown(format!("there is nothing named \"{}\" to show", words.to_lowercase()));
            Err(match near(words) {
                Some(topic) => {
                    refusal.with_hint(format!("Perhaps SHOW {}? SHOW HELP lists the commands.", topic.words()))
                }
                None => refusal,
            })
        }
    }
}

/// Returns the topic that was perhaps meant.
fn near(words: &str) -> Option<Topic> {
    let distance = |topic: &Topic| strsim::damerau_levenshtein(topic.words(), words);
    let best = Topic::ALL.into_iter().min_by_key(distance)?;
    (distance(&best) <= words.len() / 3).then_some(best)
}

fn short(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

fn unknown(message: impl Into<String>) -> Refusal {
    Refusal::new(SqlState::SYNTAX_ERROR, message).with_hint("SHOW HELP lists the commands.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_read_back_from_its_words() {
        for topic in Topic::ALL {
            let sql = format!("  show {} ; ", topic.words().to_lowercase());
            assert_eq!(Command::parse(&sql), Ok(Command::Show(topic)));
        }
        assert_eq!(Command::parse("SHOW dead_letters"), Ok(Command::Show(Topic::DeadLetters)));
        assert_eq!(Command::parse("reload;"), Ok(Command::Reload));
    }

    #[test]
    fn verbs_are_read_with_and_without_a_database() {
        let shop = || Some("Shop".to_owned());
        for (sql, command) in [
            ("PAUSE", Command::Pause(None)),
            ("pause Shop;", Command::Pause(shop())),
            ("RESUME \"Shop\"", Command::Resume(shop())),
            ("reconnect", Command::Reconnect(None)),
            ("wait_close Shop", Command::WaitClose(shop())),
            ("KILL Shop", Command::Kill(shop())),
            ("KILL_CLIENT 12", Command::KillClient(12)),
            ("DISABLE Shop", Command::Disable("Shop".to_owned())),
            ("ENABLE Shop", Command::Enable("Shop".to_owned())),
            ("SHUTDOWN", Command::Shutdown(Shutdown::Now)),
            ("shutdown wait_for_servers", Command::Shutdown(Shutdown::WaitForServers)),
            ("reset routes", Command::ResetRoutes),
            ("FORGET DDL 42;", Command::ForgetDdl(42)),
            ("SHUTDOWN WAIT_FOR_CLIENTS", Command::Shutdown(Shutdown::WaitForClients)),
            ("SET application_name = 'x'", Command::Ignored("SET")),
            ("SET client_encoding='UTF8'", Command::Ignored("SET")),
            ("BEGIN", Command::Ignored("BEGIN")),
        ] {
            assert_eq!(Command::parse(sql), Ok(command), "{sql}");
        }
    }

    #[test]
    fn bad_words_are_syntax_errors_with_a_hint() {
        let long = "x".repeat(100);
        for sql in [
            "",
            "select 1",
            "SHOW",
            "SHOW TABLES",
            "RELOAD now",
            "SHOW SHARDS x",
            "DISABLE",
            "KILL a b",
            "KILL_CLIENT x",
            "RESET ALL",
            "FORGET DDL x",
            "FORGET 1",
        ]
        .into_iter()
        .chain([long.as_str()])
        {
            let refusal = Command::parse(sql).unwrap_err();
            assert_eq!(refusal.state, SqlState::SYNTAX_ERROR, "{sql}");
            assert!(refusal.hint.is_some(), "{sql}");
            assert!(refusal.message.len() < 120, "{sql}");
        }
        assert!(Command::parse("SHOW POOL").unwrap_err().hint.unwrap().contains("SHOW POOLS"));
        for sql in ["SUSPEND", "SET pool.size = 3"] {
            assert_eq!(Command::parse(sql).unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED, "{sql}");
        }
    }
}
