//! The servers' settings: ours, then the operator's `--pg-option`s.

use std::fmt::Write;
use std::path::Path;
use std::str::FromStr;

use super::error::Error;

/// Settings that we write ourselves; another value would lose the server.
const RESERVED: [&str; 7] = [
    "port",
    "listen_addresses",
    "unix_socket_directories",
    "data_directory",
    "config_file",
    "hba_file",
    "external_pid_file",
];
/// The longest path of a socket file that every system takes (`sun_path` has 104 to 108 bytes).
const SOCKET_PATH_BYTES_MAX: usize = 103;
/// What PostgreSQL adds to the folder: `/.s.PGSQL.65535.lock`.
const SOCKET_NAME_BYTES: usize = 20;

/// One `--pg-option name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOption {
    name: String,
    value: String,
}

impl ServerOption {
    /// Returns the setting's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the setting's value as given.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for ServerOption {
    type Err = Error;

    fn from_str(option: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::WrongOption { option: option.to_owned(), reason };
        let (name, value) = option.split_once('=').ok_or_else(|| wrong("expected name=value"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if !named {
            return Err(wrong("the name is not one of a PostgreSQL setting"));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(wrong("this setting is made by \"shardloom dev\" itself"));
        }
        if value.contains(['\n', '\r', '\0']) {
            return Err(wrong("a value is one line"));
        }
        Ok(Self { name, value: value.to_owned() })
    }
}

/// Returns the text of our settings file; later lines win, so that `options` come last.
pub(crate) fn text(port: u16, socket_folder: &Path, options: &[ServerOption]) -> String {
    let mut text = String::from("# written by \"shardloom dev\" at each start\n");
    let socket_folder = if socket_fits(socket_folder) { socket_folder.to_string_lossy() } else { "".into() };
    let ours = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port.to_string()),
        ("unix_socket_directories", &socket_folder),
        // Room for the proxy's pools beside direct logins; each connection may hold one prepared transaction.
        ("max_connections", "200"),
        ("max_prepared_transactions", "200"),
        ("password_encryption", "scram-sha-256"),
        ("lc_messages", "C"),
        ("log_line_prefix", "%m [%p] %u@%d %a "),
    ];
    let given = options.iter().map(|option| (option.name.as_str(), option.value.as_str()));
    for (name, value) in ours.into_iter().chain(given) {
        let quoted = value.replace('\\', "\\\\").replace('\'', "''");
        writeln!(text, "{name} = '{quoted}'").expect("a String takes every write");
    }
    text
}

fn socket_fits(folder: &Path) -> bool {
    folder.as_os_str().len() + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_name_and_value() {
        let option: ServerOption = "Work_Mem = 8MB".parse().unwrap();
        assert_eq!((option.name(), option.value()), ("work_mem", "8MB"));
        assert_eq!("a.b=x=y".parse::<ServerOption>().unwrap().value(), "x=y");
    }

    #[test]
    fn options_that_would_lose_the_server_are_refused() {
        for wrong in ["fsync", "=off", "port=1", "PORT=1", "a b=1", "fsync=off\nport = 1"] {
            assert!(matches!(wrong.parse::<ServerOption>(), Err(Error::WrongOption { .. })), "{wrong}");
        }
    }

    #[test]
    fn values_are_quoted_and_options_come_last() {
        let options = ["application_name=it's\\ours".parse().unwrap(), "max_connections=50".parse().unwrap()];
        let text = text(5501, Path::new("/d/sock"), &options);
        assert!(text.contains("application_name = 'it''s\\\\ours'\n"));
        assert!(text.ends_with("max_connections = '50'\n"));
        assert!(text.contains("unix_socket_directories = '/d/sock'\n"));
    }

    #[test]
    fn a_socket_path_that_is_too_long_is_left_out() {
        let longest = "/".repeat(SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES);
        assert!(text(1, Path::new(&longest), &[]).contains(&format!("unix_socket_directories = '{longest}'\n")));
        assert!(text(1, Path::new(&format!("{longest}x")), &[]).contains("unix_socket_directories = ''\n"));
    }
}
