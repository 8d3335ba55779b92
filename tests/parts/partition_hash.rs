//! Holds our partition hash against a live server's `satisfies_hash_partition`, thousands of values of each key type.

use shardloom::rules::partition_hash;
use shardloom::types::KeyValue;
use tokio_postgres::Client;

/// Random values per key type, beside the fixed edge cases.
const VALUES: usize = 3000;

/// The moduli tried: one, odd, the usual number of buckets, and the largest that rule files allow.
const MODULI: [u64; 4] = [1, 7, 4096, 65536];

/// Asserts that for smallint, int, bigint, text, varchar and uuid values each remainder of ours satisfies the server.
///
/// The table is temporary, so the client's database keeps nothing.
pub async fn agrees_with_a_live_server(client: &Client) {
    let mut random = Random(0x5EED);
    let integers = integers(&mut random);
    let small = integers.iter().filter(|value| i16::try_from(**value).is_ok()).copied().collect::<Vec<_>>();
    let middle = integers.iter().filter(|value| i32::try_from(**value).is_ok()).copied().collect::<Vec<_>>();
    hold(client, "smallint", &as_integers(&small)).await;
    hold(client, "int", &as_integers(&middle)).await;
    hold(client, "bigint", &as_integers(&integers)).await;
    let texts = texts(&mut random);
    hold(client, "text", &texts).await;
    hold(client, "varchar", &texts).await;
    let uuids = uuids(&mut random);
    hold(client, "uuid", &uuids).await;
    hold_rows(client, &as_integers(&integers), &texts, &uuids).await;
}

/// Asserts the same of keys of three columns.
async fn hold_rows(client: &Client, integers: &[KeyValue], texts: &[KeyValue], uuids: &[KeyValue]) {
    client
        .batch_execute("CREATE TEMP TABLE hash_check_rows (a bigint, b text, c uuid) PARTITION BY HASH (a, b, c)")
        .await
        .expect("the scratch parent is made");
    let rows: Vec<[&KeyValue; 3]> = integers.iter().zip(texts).zip(uuids).map(|((a, b), c)| [a, b, c]).collect();
    let column = |at: usize| rows.iter().map(|row| row[at].to_string()).collect::<Vec<_>>();
    for modulus in MODULI {
        let hash = |row: &[&KeyValue; 3]| partition_hash(&KeyValue::Parts(row.map(Clone::clone).into()));
        let remainders = rows.iter().map(|row| (hash(row) % modulus) as i32).collect::<Vec<_>>();
        let query = format!(
            "SELECT a FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) AS t(a, b, c, r) \
             WHERE NOT satisfies_hash_partition('hash_check_rows'::regclass, {modulus}, r, a::bigint, b, c::uuid)"
        );
        let arguments = (column(0), column(1), column(2));
        let wrong = client
            .query(&query, &[&arguments.0, &arguments.1, &arguments.2, &remainders])
            .await
            .expect("the server checks the remainders");
        assert!(wrong.is_empty(), "modulo {modulus}: {} of {} rows differ", wrong.len(), rows.len());
    }
    client.batch_execute("DROP TABLE hash_check_rows").await.expect("the scratch parent is dropped");
}

async fn hold(client: &Client, sql_type: &str, values: &[KeyValue]) {
    let parent = format!("hash_check_{sql_type}");
    client
        .batch_execute(&format!("CREATE TEMP TABLE {parent} (k {sql_type}) PARTITION BY HASH (k)"))
        .await
        .expect("the scratch parent is made");
    let written = values.iter().map(KeyValue::to_string).collect::<Vec<_>>();
    for modulus in MODULI {
        let remainders = values.iter().map(|value| (partition_hash(value) % modulus) as i32).collect::<Vec<_>>();
        let query = format!(
            "SELECT v FROM unnest($1::text[], $2::int[]) AS t(v, r) \
             WHERE NOT satisfies_hash_partition('{parent}'::regclass, {modulus}, r, v::{sql_type})"
        );
        let wrong = client.query(&query, &[&written, &remainders]).await.expect("the server checks the remainders");
        let wrong = wrong.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
        assert!(wrong.is_empty(), "{sql_type} modulo {modulus}: {} differ, first {:?}", wrong.len(), wrong.first());
    }
    client.batch_execute(&format!("DROP TABLE {parent}")).await.expect("the scratch parent is dropped");
}

fn as_integers(values: &[i64]) -> Vec<KeyValue> {
    values.iter().copied().map(KeyValue::Int).collect()
}

/// Edge cases of every width, then random values of random widths, so that each integer type gets its share.
fn integers(random: &mut Random) -> Vec<i64> {
    let mut values = vec![0, 1, -1, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1];
    for edge in [i64::from(i16::MAX), i64::from(i32::MAX), i64::from(u32::MAX)] {
        values.extend([edge, edge + 1, -edge, -edge - 1, -edge - 2]);
    }
    values.extend((0..VALUES).map(|index| (random.next() as i64) >> ((index % 3) * 24)));
    values.extend((0..VALUES).map(|_| i64::from(random.next() as i16)));
    values
}

/// Every length around the hash's 12-byte blocks, a long one, and random texts of one- to four-byte characters.
fn texts(random: &mut Random) -> Vec<KeyValue> {
    let mut values = (0..64).map(|length| "k".repeat(length)).collect::<Vec<_>>();
    values.push("ü€🦀".repeat(5000));
    values.extend((0..VALUES).map(|_| {
        let length = random.next() % 40;
        (0..length).map(|_| char::from_u32(1 + random.next() as u32 % 0x1_FFFF).unwrap_or('x')).collect()
    }));
    values.into_iter().map(KeyValue::Text).collect()
}

fn uuids(random: &mut Random) -> Vec<KeyValue> {
    let mut values = vec![KeyValue::Uuid([0; 16]), KeyValue::Uuid([0xFF; 16])];
    values.extend((0..VALUES).map(|_| {
        let bits = u128::from(random.next()) << 64 | u128::from(random.next());
        KeyValue::Uuid(bits.to_be_bytes())
    }));
    values
}

/// SplitMix64: the same values in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
