use std::time::{Duration, Instant};

use super::*;

fn options(data: Option<PathBuf>, shards: u16) -> DevOptions {
    let server_options = vec!["fsync=off".parse().unwrap()];
    DevOptions { shards, data, database: "shop".to_owned(), server_options }
}

fn up(options: &DevOptions) -> Result<DevCluster, Error> {
    DevCluster::up(options, &mut |_| {})
}

#[test]
fn buckets_are_spread_evenly_and_without_a_gap() {
    for shards in [1, 2, 3, 5, 128] {
        let ranges: Vec<_> = spread(shards).collect();
        assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, BUCKETS));
        assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        let sizes = ranges.iter().map(|range| range.len() as u32);
        assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
    }
}

#[test]
fn impossible_options_are_refused_before_anything_starts() {
    let capacity = ShardSet::CAPACITY as u16;
    assert!(check_options(&options(None, 1)).is_ok());
    assert!(check_options(&options(None, capacity)).is_ok());
    assert!(matches!(up(&options(None, 0)), Err(Error::ShardCountRange(0))));
    assert!(matches!(up(&options(None, capacity + 1)), Err(Error::ShardCountRange(_))));
    let console = DevOptions { database: "shardloom".to_owned(), ..options(None, 1) };
    assert!(matches!(up(&console), Err(Error::ConsoleDatabase)));
}

#[test]
fn the_topology_names_every_server() {
    let yaml = topology_yaml("my \"shop", &["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()]);
    let expected = r#"kind: Topology
database: "my \"shop"
buckets: 4096
shards:
  s0: {primary: "127.0.0.1:1", database: "my \"shop"}
  s1: {primary: "127.0.0.1:2", database: "my \"shop"}
placement:
  s0: ["0-2047"]
  s1: ["2048-4095"]
home: s0
"#;
    assert_eq!(yaml, expected);
}

/// Goal: kept data is adopted, supervised and guarded against another number of shards.
#[test]
fn kept_servers_are_adopted_after_a_crash_and_revived_under_supervision() {
    let data = std::env::temp_dir().join(format!("shardloom-dev-{}", std::process::id()));
    let kept = options(Some(data.clone()), 2);
    let first = up(&kept).unwrap();
    assert!(!first.is_loaded());
    first.mark_loaded().unwrap();
    let topology = first.topology_yaml();
    let pids: Vec<_> = first.shards().iter().map(Cluster::pid).collect();
    leave_as_a_crash_would(first);

    assert!(matches!(up(&options(Some(data.clone()), 3)), Err(Error::ShardCount { wanted: 3, .. })));
    let second = up(&kept).unwrap();
    assert!(second.is_loaded());
    assert_eq!(second.topology_yaml(), topology);
    assert_eq!(second.shards().iter().map(Cluster::pid).collect::<Vec<_>>(), pids);

    let pgdata: Vec<PathBuf> = second.shards().iter().map(Cluster::pgdata).collect();
    let supervised = second.supervise(|_| {}).unwrap();
    let victim = pids[1].unwrap();
    std::process::Command::new("kill").args(["-KILL", &victim.to_string()]).status().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while running(&pgdata[1]).is_none_or(|pid| pid == victim) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(running(&pgdata[1]).is_some_and(|pid| pid != victim), "the supervisor started it again");

    supervised.down().unwrap();
    assert!(pgdata.iter().all(|pgdata| running(pgdata).is_none()));
    assert!(data.exists(), "kept data stays");
    std::fs::remove_dir_all(&data).unwrap();
}

#[test]
fn scratch_servers_leave_nothing_behind() {
    let cluster = up(&options(None, 1)).unwrap();
    let (folder, pgdata) = (cluster.folder().to_owned(), cluster.shards()[0].pgdata());
    assert!(running(&pgdata).is_some());
    drop(cluster);
    assert!(!folder.exists());
}

fn running(pgdata: &Path) -> Option<u32> {
    crate::dev::postmaster::Postmaster::of(pgdata)
        .filter(|postmaster| postmaster.ready)
        .map(|postmaster| postmaster.pid)
}

/// Forgets the servers without stopping them; the lock goes with its file, as with the process.
fn leave_as_a_crash_would(mut cluster: DevCluster) {
    cluster.shards.clear();
}
