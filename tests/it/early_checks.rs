//! What shards check along with their parts of a write: none of them must run out of time while others still work.

use crate::support::{Differential, Proxy, ProxyOptions, TestDatabase};

/// Keys from 0, from 6000 and from 12000 are on a shard each.
const RULES: &str = "kind: TableGroup
name: slow
key: {type: bigint}
algorithm: mod
missing_key: {read: scatter, write: scatter}
tables: {slow: {key: id}}
";

/// A shard that waits for the others is given three times the first.
const BOUNDS: &str = "limits: {commit_timeout: 400ms}\npool: {wait: 200ms}";

/// The key is unique when the statement is done, and 99 takes its time.
const SCHEMA: &str = "CREATE TABLE slow (id bigint, v int, UNIQUE (id, v) DEFERRABLE INITIALLY DEFERRED)";

const SLOW: &str = "CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN IF NEW.v = 99 THEN PERFORM pg_sleep(1.7); END IF; RETURN NEW; END $$; \
     CREATE TRIGGER take_time BEFORE INSERT OR UPDATE ON slow FOR EACH ROW EXECUTE FUNCTION take_time()";

#[tokio::test]
async fn shards_that_are_done_wait_for_one_that_is_slow() {
    let database = TestDatabase::new("early_checks");
    let options = ProxyOptions { config: BOUNDS.to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    let mut both = Differential::through(&proxy, &database);
    both.same(SCHEMA);
    for shard in 0..3 {
        database.shard(shard).await.batch_execute(SLOW).await.expect("a trigger");
    }
    // All at once: the first, one between and the last are slow.
    for (slow, first) in [(0, 0), (1, 10), (2, 20)] {
        let values: Vec<String> =
            (0..3).map(|at| format!("({}, {})", first + 6000 * at, if at == slow { 99 } else { 1 })).collect();
        both.same(&format!("INSERT INTO slow VALUES {}", values.join(", ")));
    }
    // One after the other.
    for slow in [0, 6000, 12000] {
        both.same(&format!(
            "UPDATE slow SET v = CASE id WHEN {slow} THEN 99 ELSE v + 1 END WHERE id IN (0, 6000, 12000) RETURNING id"
        ));
    }
    // What was checked in time is checked again.
    let twice = "INSERT INTO slow VALUES (30, 5), (30, 5), (6030, 99), (12030, 7)";
    assert_eq!(both.same_error(twice).0, "23505");
    let twice = "INSERT INTO slow VALUES (40, 99), (6040, 5), (6040, 5), (12040, 7)";
    assert_eq!(both.same_error(twice).0, "23505");
    both.same("UPDATE slow SET v = v + 1 WHERE id IN (0, 6010, 12020)");
    assert_eq!(both.same("SELECT * FROM slow ORDER BY id").rows().len(), 9);
}
