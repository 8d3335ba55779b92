use super::*;
use crate::dev::provision::Provision;

/// A folder that goes away, and its server with it, however the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("shardloom-cluster-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn options(&self) -> ClusterOptions {
        ClusterOptions {
            name: "s0".to_owned(),
            folder: self.0.join("s0"),
            durability: Durability::Scratch,
            server_options: vec!["fsync=off".parse().unwrap()],
            superuser: "shardloom_service".to_owned(),
            password: "it's \\ secret".to_owned(),
        }
    }

    fn up(&self) -> (Cluster, Started) {
        let postgres = Postgres::find().unwrap().expect("PostgreSQL is needed: sudo apt-get install -y postgresql");
        Cluster::up(&postgres, &Account::find().unwrap(), self.options()).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(postmaster) = Postmaster::of(&self.0.join("s0/pgdata")) {
            let _ = Command::new("kill").args(["-KILL", &postmaster.pid.to_string()]).status();
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn shop() -> Provision {
    Provision { user: "app".into(), password: "app".into(), databases: vec!["shop".into(), "odd \"name".into()] }
}

/// Goal: one server's whole life. Method: fresh start, prepare twice, adopt, kill -9 and revive, stop, start again.
#[test]
fn a_server_is_made_adopted_revived_and_stopped() {
    let scratch = Scratch::new("life");
    let (first, started) = scratch.up();
    assert_eq!(started, Started::Fresh);
    assert!(first.is_ready());
    shop().apply(&first).unwrap();
    shop().apply(&first).unwrap();

    let (port, pid) = (first.port(), first.pid().unwrap());
    let (mut second, started) = scratch.up();
    assert_eq!((started, second.port(), second.pid()), (Started::Adopted, port, Some(pid)));
    drop(first);
    assert!(second.is_alive(), "a dropped handle leaves the server running");

    second.kill().unwrap();
    assert!(!second.is_alive());
    second.restart().unwrap();
    assert_eq!(second.port(), port, "the topology names this port");
    assert_ne!(second.pid(), Some(pid));
    assert!(!second.revive().unwrap(), "a running server is left alone");

    let began = Instant::now();
    second.stop().unwrap();
    assert!(began.elapsed() < Duration::from_secs(FAST_STOP_SECONDS + IMMEDIATE_STOP_SECONDS + 1));
    assert!(!second.is_alive());
    second.stop().unwrap();

    let (mut third, started) = scratch.up();
    assert_eq!((started, third.port()), (Started::Restarted, port));
    shop().apply(&third).unwrap();
    third.stop().unwrap();
}

/// Goal: a server on its way down is no error: whatever moment the start hits, a ready server comes of it.
#[test]
fn a_server_that_is_stopping_is_started_again() {
    let scratch = Scratch::new("stopping");
    let (first, _) = scratch.up();
    Command::new("kill").args(["-INT", &first.pid().unwrap().to_string()]).status().unwrap();
    let (mut second, _) = scratch.up();
    assert!(second.is_ready());
    shop().apply(&second).unwrap();
    second.stop().unwrap();
    drop(first);
}

/// Goal: a port that somebody took between two runs costs no data, only the port.
#[test]
fn a_taken_port_makes_the_server_move() {
    let scratch = Scratch::new("port");
    let (mut first, _) = scratch.up();
    let port = first.port();
    first.stop().unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut second, started) = scratch.up();
    assert_eq!(started, Started::Restarted);
    assert_ne!(second.port(), port);
    second.stop().unwrap();
}

/// Goal: a setting that PostgreSQL refuses ends in its own words, not in a time-out.
#[test]
fn a_refused_setting_is_reported_with_the_log() {
    let scratch = Scratch::new("setting");
    let mut options = scratch.options();
    options.server_options = vec!["work_mem=blue".parse().unwrap()];
    let postgres = Postgres::find().unwrap().unwrap();
    let error = Cluster::up(&postgres, &Account::find().unwrap(), options).unwrap_err().to_string();
    assert!(error.contains("work_mem"), "{error}");
}
