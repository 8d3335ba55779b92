//! A client that writes reference tables and remembers which state each row may have.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio_postgres::{Client, Error};

use crate::chaos_bank::{Told, reconnect};
use crate::chaos_invariants::Inspector;

/// What is known of one region: each state that it may have, `None` for absent. One after an answer, two after none.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<i64, Vec<Option<i64>>>>);

impl Known {
    fn answered(&self, id: i64, state: Option<i64>) {
        self.0.lock().unwrap().insert(id, vec![state]);
    }

    fn in_doubt(&self, id: i64, state: Option<i64>) {
        self.0.lock().unwrap().entry(id).or_insert_with(|| vec![None]).push(state);
    }

    /// Asserts that home has what was answered, and each copy what home has.
    pub async fn holds(&self, inspector: &Inspector) {
        for table in ["regions", "cities"] {
            inspector.copies_equal(table).await;
        }
        let rows = inspector.shard(0).query(
            "SELECT r.id, r.version, (SELECT count(*) FROM cities c WHERE c.region_id = r.id) FROM regions r",
            &[],
        );
        let rows = rows.await.expect("home's regions");
        let found: HashMap<i64, (i64, i64)> = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        let known = self.0.lock().unwrap();
        for (id, states) in known.iter() {
            let state = found.get(id).map(|(version, _)| *version);
            assert!(states.contains(&state), "region {id} is {state:?}, known {states:?}");
        }
        assert!(found.keys().all(|id| known.contains_key(id)), "rows that nobody wrote");
    }
}

/// Inserts, changes and deletes regions with their cities until it is stopped; a row in doubt is not touched again.
pub async fn write_until_stopped(port: u16, database: String, told: Arc<Told>, known: Arc<Known>) {
    let mut number = 0;
    while let Some(client) = reconnect(port, &database, &told).await {
        while !told.stop.load(Ordering::Relaxed) && !client.is_closed() {
            number += 1;
            if let Err(error) = one_life(&client, number, &known).await {
                told.error(&format!("region {number}"), &error);
                client.batch_execute("ROLLBACK").await.ok();
            } else {
                told.answers.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A region comes with two cities in one transaction, is changed, and goes with its cities if its number is even.
async fn one_life(client: &Client, id: i64, known: &Known) -> Result<(), Error> {
    let (first, second) = (id * 2, id * 2 + 1);
    let birth = format!(
        "BEGIN; INSERT INTO regions VALUES ({id}, 1); INSERT INTO cities VALUES ({first}, {id}, 1), ({second}, {id}, 1); COMMIT"
    );
    step(client, &birth, id, Some(1), known).await?;
    step(client, &format!("UPDATE regions SET version = 2 WHERE id = {id}"), id, Some(2), known).await?;
    if id % 2 == 0 {
        step(client, &format!("DELETE FROM regions WHERE id = {id}"), id, None, known).await?;
    }
    Ok(())
}

async fn step(client: &Client, sql: &str, id: i64, after: Option<i64>, known: &Known) -> Result<(), Error> {
    match client.batch_execute(sql).await {
        Ok(()) => {
            known.answered(id, after);
            Ok(())
        }
        Err(error) => {
            known.in_doubt(id, after);
            Err(error)
        }
    }
}
