//! Row locks under a LIMIT over several shards: the rows that are returned are locked, and no others.

use crate::protocol::both;
use crate::support::{Proxy, ProxyOptions, RawClient};

const NEXT: &str = "SELECT customer_id FROM customers ORDER BY customer_id LIMIT 2 FOR UPDATE SKIP LOCKED";

fn ids(client: &mut RawClient, sql: &str) -> Vec<u32> {
    let reply = client.simple(sql);
    assert_eq!(reply.error(), None, "{sql}");
    reply.rows().iter().map(|row| row[0].as_ref().expect("an id").parse().expect("a number")).collect()
}

/// Returns which of the thirty rows somebody else has locked.
fn locked(client: &mut RawClient) -> Vec<u32> {
    let is_locked = |id: &u32| {
        let sql = format!("SELECT customer_id FROM customers WHERE customer_id = {id} FOR UPDATE SKIP LOCKED");
        client.simple(&sql).rows().is_empty()
    };
    (1..=30).filter(is_locked).collect()
}

#[tokio::test]
async fn first_rows_are_locked_and_no_others() {
    let (_database, proxy, _both) = both("first_rows", ProxyOptions { workers: 2, ..ProxyOptions::default() }).await;
    let [mut one, mut two, mut other] = [proxy.raw(), proxy.raw(), proxy.raw()];
    one.simple("BEGIN");
    two.simple("BEGIN");
    assert_eq!(ids(&mut one, NEXT), [1, 2]);
    assert_eq!(ids(&mut two, NEXT), [3, 4], "rows that nobody was given are free");
    assert_eq!(locked(&mut other), [1, 2, 3, 4]);
    let failed = other.simple("SELECT customer_id FROM customers ORDER BY customer_id LIMIT 1 FOR UPDATE NOWAIT");
    assert_eq!(failed.error().expect("the first is locked").0, "55P03");
    one.simple("COMMIT");
    assert_eq!(locked(&mut other), [3, 4]);
    // Without SKIP LOCKED the first rows are meant, and waited for.
    one.simple("BEGIN");
    assert_eq!(
        ids(&mut one, "SELECT customer_id FROM customers ORDER BY customer_id LIMIT 1 OFFSET 1 FOR UPDATE"),
        [2]
    );
    assert_eq!(locked(&mut other), [1, 2, 3, 4], "as one server, which locks what OFFSET leaves out");
    two.simple("ROLLBACK");
    assert_eq!(
        ids(&mut one, "SELECT customer_id FROM customers ORDER BY customer_id DESC LIMIT 2 FOR SHARE"),
        [30, 29]
    );
    // Savepoints of the session's own are untouched by those that the statement needs.
    one.simple("SAVEPOINT mine");
    assert_eq!(
        ids(
            &mut one,
            "SELECT customer_id FROM customers WHERE customer_id > 9 ORDER BY 1 LIMIT 1 FOR UPDATE SKIP LOCKED"
        ),
        [10]
    );
    assert!(locked(&mut other).contains(&10));
    assert_eq!(one.simple("ROLLBACK TO mine").error(), None);
    assert!(!locked(&mut other).contains(&10));
    assert_eq!(one.simple(&format!("DECLARE c CURSOR FOR {NEXT}")).error(), None);
    assert_eq!(ids(&mut one, "FETCH 1 c"), [1]);
    assert!(locked(&mut other).starts_with(&[1, 2]));
    one.simple("COMMIT");
    assert_eq!(locked(&mut other), [0; 0]);
}

/// Goal: a queue over several shards gives each of its rows once, whoever asks, and all of them.
#[tokio::test]
async fn each_row_of_a_queue_is_taken_once() {
    let (_database, proxy, _both) = both("queue", ProxyOptions { workers: 2, ..ProxyOptions::default() }).await;
    let take = |proxy: &Proxy, sql: &str| {
        let mut client = proxy.raw();
        let mut taken = Vec::new();
        let mut empty = 0;
        // While others hold rows a turn may find none.
        while empty < 3 {
            let rows = ids(&mut client, sql);
            empty = if rows.is_empty() { empty + 1 } else { 0 };
            taken.extend(rows);
        }
        taken
    };
    let by_name = "WITH next AS (SELECT customer_id FROM customers ORDER BY customer_id LIMIT 1 FOR UPDATE SKIP LOCKED) \
                   DELETE FROM customers USING next WHERE customers.customer_id = next.customer_id \
                   RETURNING customers.customer_id";
    let by_query = "DELETE FROM customers WHERE customer_id = (SELECT customer_id FROM customers ORDER BY customer_id \
                    LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING customer_id";
    let mut taken: Vec<u32> = std::thread::scope(|scope| {
        let workers = [by_name, by_query, by_name, by_query].map(|sql| scope.spawn(|| take(&proxy, sql)));
        workers.into_iter().flat_map(|worker| worker.join().expect("it ends")).collect()
    });
    taken.sort_unstable();
    assert_eq!(taken, (1..=30).collect::<Vec<u32>>());
}

/// Goal: an error on one shard frees, on the others too, what a server frees at the error: all locks, or those since the
/// last savepoint.
#[tokio::test]
async fn a_failed_block_lets_go_of_its_locks_on_all_shards() {
    let (_database, proxy, _both) = both("let_go", ProxyOptions { workers: 2, ..ProxyOptions::default() }).await;
    let [mut one, mut other] = [proxy.raw(), proxy.raw()];
    let take = |client: &mut RawClient, id: u32| {
        client.simple(&format!("UPDATE customers SET name = name || '+' WHERE customer_id = {id}")).error()
    };
    let fail = |client: &mut RawClient| {
        let failed = client.simple("INSERT INTO customers (customer_id) VALUES (30)");
        assert_eq!((failed.error().expect("it is there").0.as_str(), failed.status), ("23505", 'E'));
    };
    one.simple("BEGIN");
    for id in 1..=6 {
        assert_eq!(take(&mut one, id), None);
    }
    assert_eq!(locked(&mut other), [1, 2, 3, 4, 5, 6]);
    fail(&mut one);
    assert!(locked(&mut other).is_empty());
    assert_eq!(take(&mut one, 7).expect("the block failed").0, "25P02");
    assert!(locked(&mut other).is_empty());
    assert_eq!(one.simple("COMMIT").tags(), ["ROLLBACK"]);
    one.simple("BEGIN");
    for id in 1..=6 {
        assert_eq!(take(&mut one, id), None);
        if id == 3 {
            one.simple("SAVEPOINT \"a b\"");
        }
    }
    fail(&mut one);
    assert_eq!(locked(&mut other), [1, 2, 3]);
    assert_eq!(one.simple("ROLLBACK TO \"a b\"").error(), None);
    assert_eq!(take(&mut one, 4), None);
    // A refusal of the proxy's own is no other failure.
    let refused = one.simple("CREATE RULE r AS ON INSERT TO customers DO NOTHING");
    assert_eq!(refused.error().expect("it is refused").0, "0A000");
    assert_eq!(locked(&mut other), [1, 2, 3]);
    one.simple("ROLLBACK TO \"a b\"");
    assert_eq!(one.simple("COMMIT").tags(), ["COMMIT"]);
    let changed = "SELECT customer_id FROM customers WHERE name LIKE '%+' ORDER BY 1";
    assert_eq!(ids(&mut other, changed), [1, 2, 3]);
}
