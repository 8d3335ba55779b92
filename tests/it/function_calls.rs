//! FunctionCall: libpq's large objects by message, and psql's commands over them.

use std::process::Command;

use crate::protocol::both;
use crate::support::{Pipeline, ProxyOptions, RawClient, client_program};

/// `pg_proc.dat`
const LO_CREAT: u32 = 957;
const LO_OPEN: u32 = 952;
const LO_CLOSE: u32 = 953;
const LO_READ: u32 = 954;
const LO_WRITE: u32 = 955;
const LO_UNLINK: u32 = 964;
const LOWER: u32 = 870;

/// Calls a function with arguments in binary format; returns the value, or the error's SQLSTATE.
fn call(client: &mut RawClient, oid: u32, arguments: &[&[u8]]) -> Result<Vec<u8>, String> {
    let mut body = [&oid.to_be_bytes()[..], &[0, 1, 0, 1]].concat();
    body.extend((arguments.len() as u16).to_be_bytes());
    for argument in arguments {
        body.extend((argument.len() as u32).to_be_bytes());
        body.extend(*argument);
    }
    body.extend([0, 1]);
    Pipeline::new().message(b'F', &body).send_only(client);
    let mut value = Err("no answer".to_owned());
    loop {
        match client.message() {
            ('V', body) => value = Ok(body[4..].to_vec()),
            ('E', body) => {
                let fields = body.split(|byte| *byte == 0);
                let state = fields.filter_map(|field| field.strip_prefix(b"C")).next().expect("a state");
                value = Err(String::from_utf8_lossy(state).into_owned());
            }
            ('Z', _) => return value,
            _ => {}
        }
    }
}

#[tokio::test]
async fn large_objects_live_on_home() {
    let (_database, _proxy, mut both) = both("objects", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let client = &mut both.other;
    let write_mode = 0x0002_0000_u32.to_be_bytes();
    let read_write = 0x0006_0000_u32.to_be_bytes();
    let object = call(client, LO_CREAT, &[&write_mode]).expect("an object");
    assert_eq!(client.simple("BEGIN").status, 'T');
    let descriptor = call(client, LO_OPEN, &[&object, &read_write]).expect("a descriptor");
    assert_eq!(call(client, LO_WRITE, &[&descriptor, b"some bytes"]), Ok(10_u32.to_be_bytes().to_vec()));
    assert_eq!(call(client, LO_CLOSE, &[&descriptor]), Ok(vec![0; 4]));
    // A row on another shard commits along with it.
    assert_eq!(client.simple("INSERT INTO customers VALUES (101, 'a'), (102, 'b'), (103, 'c')").error(), None);
    assert_eq!(client.simple("COMMIT").error(), None);
    assert_eq!(client.simple("BEGIN").status, 'T');
    let descriptor = call(client, LO_OPEN, &[&object, &read_write]).expect("a descriptor");
    assert_eq!(call(client, LO_READ, &[&descriptor, &100_u32.to_be_bytes()]), Ok(b"some bytes".to_vec()));
    assert_eq!(call(client, LO_OPEN, &[&[0; 4], &read_write]), Err("42704".to_owned()));
    assert_eq!(call(client, LO_CLOSE, &[&descriptor]), Err("25P02".to_owned()));
    assert_eq!(client.simple("ROLLBACK").status, 'I');
    assert_eq!(call(client, LO_UNLINK, &[&object]), Ok(1_u32.to_be_bytes().to_vec()));
    assert_eq!(call(client, LOWER, &[b"A"]), Err("0A000".to_owned()), "it could be another function on each shard");
    assert_eq!(client.simple("SELECT 1").rows().len(), 1);
}

#[tokio::test]
async fn psql_imports_and_exports_large_objects() {
    let (database, proxy, _both) = both("psql_objects", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let folder = std::env::temp_dir().join(&database.name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let (from, to) = (folder.join("from"), folder.join("to"));
    let contents: Vec<u8> = (0..100_000_u32).flat_map(|number| number.to_be_bytes()).collect();
    std::fs::write(&from, &contents).expect("a file");
    let script =
        format!("\\lo_import {}\n\\lo_export :LASTOID {}\n\\lo_unlink :LASTOID\n", from.display(), to.display());
    let url = format!("postgres://app:app@127.0.0.1:{}/{}", proxy.port(), database.name);
    let file = folder.join("script");
    std::fs::write(&file, script).expect("a script");
    let output =
        Command::new(client_program("psql")).args(["-X", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file).arg(url).output();
    let output = output.expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read(&to).expect("the export") == contents);
    std::fs::remove_dir_all(&folder).ok();
}
