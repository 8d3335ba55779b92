//! Pools, start-up and cancel against a server that is played here; the real one is in `tests/parts/backend.rs`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::*;
use crate::types::{Refusal, ShardId, SqlState, TransactionStatus};
use crate::wire::backend::{
    write_auth_ok, write_backend_key, write_command_complete, write_data_row, write_error, write_ready,
};
use crate::wire::startup::{Packet, read};

/// A played server: how it greets, how many it greeted, what cancel requests it saw.
struct Played {
    port: u16,
    greeting: Rc<Cell<Greeting>>,
    accepted: Rc<Cell<usize>>,
    /// The secrets of the cancel requests.
    cancels: Rc<RefCell<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
enum Greeting {
    Welcome,
    /// As a welcome, with a secret of so many bytes.
    Secret(usize),
    StartingUp,
    Full,
    WrongPassword,
    CloseAfterReady,
}

impl Played {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let greeting = Rc::new(Cell::new(Greeting::Welcome));
        let (accepted, cancels) = (Rc::new(Cell::new(0)), Rc::new(RefCell::default()));
        let (style, count, seen) = (greeting.clone(), accepted.clone(), Rc::clone(&cancels));
        let task = spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.set(count.get() + 1);
                spawn_local(serve(socket, style.get(), seen.clone()));
            }
        });
        Self { port, greeting, accepted, cancels, task }
    }

    fn target(&self) -> Arc<ServerTarget> {
        Arc::new(ServerTarget {
            shard: ShardId(1),
            shard_name: "s1".into(),
            host: "127.0.0.1".to_owned(),
            port: self.port,
            database: "shop".to_owned(),
            user: "app".to_owned(),
            encoding: Some("UTF8"),
            tls: None,
            password: None,
            keys: None,
            oids: Arc::default(),
        })
    }
}

async fn serve(mut socket: TcpStream, greeting: Greeting, cancels: Rc<RefCell<Vec<Vec<u8>>>>) {
    let mut input = BytesMut::new();
    let packet = loop {
        if let Some((packet, used)) = read(&input).unwrap() {
            let _ = input.split_to(used);
            break packet;
        }
        socket.read_buf(&mut input).await.unwrap();
    };
    if let Packet::Cancel { secret, .. } = packet {
        return cancels.borrow_mut().push(secret);
    }
    let mut out = BytesMut::new();
    match greeting {
        Greeting::Welcome | Greeting::Secret(_) | Greeting::CloseAfterReady => {
            write_auth_ok(&mut out);
            let length = if let Greeting::Secret(length) = greeting { length } else { 4 };
            write_backend_key(&mut out, 7, &secret(length));
            write_ready(&mut out, TransactionStatus::Idle);
        }
        Greeting::StartingUp => {
            write_error(&mut out, "FATAL", &Refusal::new(SqlState::CANNOT_CONNECT_NOW, "starting up"));
        }
        Greeting::Full => {
            write_error(&mut out, "FATAL", &Refusal::new(SqlState::TOO_MANY_CONNECTIONS, "too many clients already"));
        }
        Greeting::WrongPassword => {
            write_error(&mut out, "FATAL", &Refusal::new(SqlState::INVALID_PASSWORD, "no entry"));
        }
    }
    socket.write_all(&out).await.unwrap();
    if let Greeting::Welcome | Greeting::Secret(_) = greeting {
        answer_queries(socket, input).await;
    }
}

fn secret(length: usize) -> Vec<u8> {
    (0..length).map(|byte| byte as u8).collect()
}

async fn answer_queries(mut socket: TcpStream, mut input: BytesMut) {
    loop {
        while let Ok(Some(found)) = crate::wire::frame::header(&input, 1000) {
            if found.length > input.len() {
                break;
            }
            let frame = input.split_to(found.length);
            let mut out = BytesMut::new();
            match &frame[5..] {
                [] => return,
                b"sleep\0" => continue,
                b"fail\0" => {
                    write_error(&mut out, "ERROR", &Refusal::new(SqlState::SYNTAX_ERROR, "bad").with_hint("h"))
                }
                _ => {
                    write_data_row(&mut out, &[Some(b"1"), None]);
                    write_command_complete(&mut out, "SELECT 1");
                }
            }
            write_ready(&mut out, TransactionStatus::Idle);
            socket.write_all(&out).await.unwrap();
        }
        if !matches!(socket.read_buf(&mut input).await, Ok(1..)) {
            return;
        }
    }
}

fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

fn settings(size: usize) -> PoolSettings {
    PoolSettings { size, wait: Duration::from_secs(5), ..PoolSettings::default() }
}

/// Lets every task that can run do so, and the event loop look at its sockets.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[test]
fn simple_returns_rows_and_errors_leave_the_connection_usable() {
    run(async {
        let played = Played::start().await;
        let mut server = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap();
        let reply = server.simple("select").await.unwrap();
        assert_eq!(
            (reply.tag.as_str(), reply.rows[0][0].as_deref(), &reply.rows[0][1]),
            ("SELECT 1", Some(&b"1"[..]), &None)
        );
        let error = server.simple("fail").await.unwrap_err();
        assert_eq!((error.refusal().state, error.refusal().hint.as_deref()), (SqlState::SYNTAX_ERROR, Some("h")));
        assert_eq!(error.server_error().map(|error| error.frame[0]), Some(b'E'));
        assert!(server.is_usable());
    });
}

#[test]
fn unanswered_control_statement_makes_the_connection_unusable() {
    run(async {
        let played = Played::start().await;
        let mut server = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), server.simple("sleep")).await.is_err());
        assert!(!server.is_usable());
    });
}

#[test]
fn last_used_connection_comes_first() {
    run(async {
        let played = Played::start().await;
        let (pools, target) = (Pools::new(settings(2)), played.target());
        let (mut first, mut second) = (pools.checkout(&target).await.unwrap(), pools.checkout(&target).await.unwrap());
        (first.settings.fingerprint, second.settings.fingerprint) = (1, 2);
        pools.checkin(first);
        pools.checkin(second);
        assert_eq!(pools.checkout(&target).await.unwrap().settings.fingerprint, 2);
        let stats = pools.stats();
        assert_eq!((stats[0].active, stats[0].idle, stats[0].opened_total), (0, 1, 2));
    });
}

#[test]
fn many_share_few_connections_in_order() {
    run(async {
        let played = Played::start().await;
        let (pools, target) = (Pools::new(settings(3)), played.target());
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let (pools, target, order) = (pools.clone(), target.clone(), order.clone());
                spawn_local(async move {
                    let mut server = pools.checkout(&target).await.unwrap();
                    order.borrow_mut().push(number);
                    server.simple("select").await.unwrap();
                    pools.checkin(server);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(played.accepted.get(), 3);
        assert_eq!(order.borrow()[3..], (3..32).collect::<Vec<_>>());
        assert_eq!((pools.stats()[0].idle, pools.stats()[0].active, pools.stats()[0].waiting), (3, 0, 0));
    });
}

#[test]
fn one_who_gives_up_leaks_no_place() {
    run(async {
        let played = Played::start().await;
        let (pools, target) = (Pools::new(settings(1)), played.target());
        let held = pools.checkout(&target).await.unwrap();
        let waiter = |pools: Pools, target: Arc<ServerTarget>| async move { pools.checkout(&target).await.map(drop) };
        let (gone, late) = (waiter(pools.clone(), target.clone()), spawn_local(waiter(pools.clone(), target.clone())));
        assert!(tokio::time::timeout(Duration::from_millis(10), gone).await.is_err());
        settle().await;
        assert_eq!(pools.stats()[0].waiting, 1);
        // Granted and given up before it ran again: the grant must pass on.
        pools.checkin(held);
        late.abort();
        assert!(late.await.is_err());
        assert_eq!((pools.stats()[0].active, pools.stats()[0].idle), (0, 1));
        assert!(pools.checkout(&target).await.is_ok());
    });
}

#[test]
fn dropped_connection_lets_the_next_one_open() {
    run(async {
        let played = Played::start().await;
        let (pools, target) = (Pools::new(settings(1)), played.target());
        let held = pools.checkout(&target).await.unwrap();
        let waiter = spawn_local({
            let (pools, target) = (pools.clone(), target.clone());
            async move { pools.checkout(&target).await.map(|server| server.shard()) }
        });
        settle().await;
        drop(held);
        assert_eq!(waiter.await.unwrap(), Ok(ShardId(1)));
        assert_eq!((played.accepted.get(), pools.stats()[0].active), (2, 0));
    });
}

#[test]
fn wait_ends_with_a_timeout_and_reserve_opens_before() {
    run(async {
        let played = Played::start().await;
        let target = played.target();
        let short = PoolSettings { wait: Duration::from_millis(30), ..settings(1) };
        let pools = Pools::new(short.clone());
        let _held = pools.checkout(&target).await.unwrap();
        let error = pools.checkout(&target).await.unwrap_err();
        assert_eq!(error.refusal().state, SqlState::TOO_MANY_CONNECTIONS);
        assert!(pools.stats()[0].wait_ms_max >= 30);
        let pools = Pools::new(PoolSettings { reserve: 1, reserve_after: Duration::from_millis(5), ..short });
        let first = pools.checkout(&target).await.unwrap();
        let second = pools.checkout(&target).await.unwrap();
        assert!(pools.checkout(&target).await.is_err());
        pools.checkin(second);
        pools.checkin(first);
        assert_eq!((pools.stats()[0].idle, pools.stats()[0].active), (1, 0));
    });
}

#[test]
fn connection_that_the_server_closed_is_passed_over() {
    run(async {
        let played = Played::start().await;
        let (pools, target) = (Pools::new(settings(2)), played.target());
        played.greeting.set(Greeting::CloseAfterReady);
        let (first, second) = (pools.checkout(&target).await.unwrap(), pools.checkout(&target).await.unwrap());
        pools.checkin(first);
        pools.checkin(second);
        settle().await;
        played.greeting.set(Greeting::Welcome);
        let mut server = pools.checkout(&target).await.unwrap();
        assert!(server.simple("select").await.is_ok());
        assert_eq!((played.accepted.get(), pools.stats()[0].active, pools.stats()[0].idle), (3, 1, 0));
    });
}

#[test]
fn failure_is_remembered_briefly() {
    run(async {
        let played = Played::start().await;
        let (pools, target) = (Pools::new(settings(2)), played.target());
        played.greeting.set(Greeting::StartingUp);
        for _ in 0..3 {
            let error = pools.checkout(&target).await.unwrap_err();
            assert_eq!(error.refusal().state, SqlState::CONNECTION_EXCEPTION_UNABLE);
            assert!(error.refusal().message.contains("s1"));
        }
        assert_eq!((played.accepted.get(), pools.stats()[0].active), (1, 0));
        played.greeting.set(Greeting::Welcome);
        tokio::time::sleep(pool::FAILURE_MEMORY).await;
        assert!(pools.checkout(&target).await.is_ok());
    });
}

#[test]
fn full_server_is_asked_again_until_the_wait_is_over() {
    run(async {
        let played = Played::start().await;
        let target = played.target();
        played.greeting.set(Greeting::Full);
        let pools = Pools::new(PoolSettings { wait: Duration::from_millis(10), ..settings(2) });
        let error = pools.checkout(&target).await.unwrap_err();
        assert_eq!(error.server_error().map(|error| error.state), Some(SqlState::TOO_MANY_CONNECTIONS));
        let pools = Pools::new(settings(2));
        let (server, ()) = tokio::join!(pools.checkout(&target), async {
            settle().await;
            played.greeting.set(Greeting::Welcome);
        });
        assert!(server.is_ok());
    });
}

#[test]
fn errors_at_start_up_are_told_apart() {
    run(async {
        let played = Played::start().await;
        played.greeting.set(Greeting::WrongPassword);
        let error = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.server_error().map(|error| error.state), Some(SqlState::INVALID_PASSWORD));
        played.task.abort();
        settle().await;
        let error = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, BackendError::Unreachable { .. }));
    });
}

#[test]
fn expired_and_unwanted_connections_are_closed() {
    run(async {
        let played = Played::start().await;
        let target = played.target();
        let pools = Pools::new(PoolSettings { idle: Duration::ZERO, ..settings(2) });
        pools.checkin(pools.checkout(&target).await.unwrap());
        assert_eq!(pools.stats()[0].idle, 1);
        pools.close_idle("s0");
        assert_eq!(pools.stats()[0].idle, 1);
        pools.sweep();
        assert!(pools.stats().is_empty());
        let pools = Pools::new(PoolSettings { lifetime: Duration::ZERO, ..settings(2) });
        pools.checkin(pools.checkout(&target).await.unwrap());
        assert_eq!((pools.stats()[0].idle, pools.stats()[0].active), (0, 0));
        let pools = Pools::new(settings(2));
        let mut open = pools.checkout(&target).await.unwrap();
        open.set_status(TransactionStatus::Open);
        pools.checkin(open);
        pools.checkin(pools.checkout(&target).await.unwrap());
        pools.close_idle("s1");
        assert_eq!((pools.stats()[0].idle, pools.stats()[0].active), (0, 0));
    });
}

#[test]
fn cancel_reaches_active_servers_and_retires_them() {
    run(async {
        let played = Played::start().await;
        let registry = CancelRegistry::new();
        let handle = registry.register(SecretLength::Short);
        let server = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap();
        assert_eq!(registry.cancel(handle.process(), handle.secret()).await, 0);
        handle.set_active(&[server.cancel_key()]);
        assert_eq!(registry.cancel(handle.process(), b"nope").await, 0);
        assert!(server.is_usable());
        assert_eq!(registry.cancel(handle.process(), handle.secret()).await, 1);
        assert_eq!(*played.cancels.borrow(), [secret(4)]);
        assert!(!server.is_usable());
        drop(handle);
        assert!(registry.is_empty());
    });
}

#[test]
fn a_servers_secret_of_any_length_is_sent_back_whole() {
    run(async {
        let played = Played::start().await;
        let registry = CancelRegistry::new();
        let handle = registry.register(SecretLength::Long);
        for length in [4, 32, 256] {
            played.greeting.set(Greeting::Secret(length));
            let server = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap();
            handle.set_active(&[server.cancel_key()]);
            assert_eq!(registry.cancel(handle.process(), handle.secret()).await, 1);
            assert_eq!(played.cancels.take(), [secret(length)]);
        }
        for length in [0, 3, 257] {
            played.greeting.set(Greeting::Secret(length));
            let refused = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap_err();
            assert!(matches!(refused, BackendError::Protocol { .. }), "{length}: {refused}");
        }
    });
}

#[test]
fn a_clients_secret_counts_whole_and_is_as_long_as_its_protocol_says() {
    run(async {
        let played = Played::start().await;
        let registry = CancelRegistry::new();
        for (minor, length) in [(0, 4), (1, 4), (2, 32), (9, 32)] {
            let handle = registry.register(SecretLength::of_minor(minor));
            let server = Server::connect(&played.target(), Duration::from_secs(5)).await.unwrap();
            handle.set_active(&[server.cancel_key()]);
            let right = handle.secret().to_vec();
            assert_eq!(right.len(), length, "3.{minor}");
            let longer = [&right[..], &[0]].concat();
            let mut wrong = right.clone();
            wrong[length - 1] ^= 1;
            for secret in [&right[..length - 1], &right[1..], &longer, &wrong, &[]] {
                assert_eq!(registry.cancel(handle.process(), secret).await, 0);
            }
            assert_eq!(registry.cancel(handle.process().wrapping_add(1), &right).await, 0);
            assert!(server.is_usable());
            assert_eq!(registry.cancel(handle.process(), &right).await, 1);
        }
    });
}
