//! Python programs with psycopg.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shardloom::dev::{APP_PASSWORD, APP_USER};

/// Runs `tests/it/drivers/NAME` as the application's user of `database` on 127.0.0.1:`port`; returns what it
/// printed, and panics with its traceback if it fails. Blocks.
pub fn python(name: &str, port: u16, database: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/drivers").join(name);
    let conninfo = format!("host=127.0.0.1 port={port} dbname={database} user={APP_USER} password={APP_PASSWORD}");
    let output = Command::new(interpreter()).arg("-B").arg(script).arg(conninfo).stdin(Stdio::null()).output();
    let output = output.expect("python runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the interpreter that `make test` names, else the one of an environment made now.
fn interpreter() -> PathBuf {
    std::env::var_os("SHARDLOOM_PYTHON").map(PathBuf::from).unwrap_or_else(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = Command::new(root.join("scripts/psycopg.sh")).output().expect("scripts/psycopg.sh runs");
        assert!(made.status.success(), "scripts/psycopg.sh: {}", String::from_utf8_lossy(&made.stderr));
        PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
    })
}
