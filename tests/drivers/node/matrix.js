// node-postgres with pg-cursor, pg-query-stream and pg-copy-streams: the features of the driver matrix.
"use strict";
const { isDeepStrictEqual, inspect } = require("node:util");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");
const pg = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");
const { from: copyFrom, to: copyTo } = require("pg-copy-streams");

const NAME = "SELECT name FROM accounts WHERE account_id = $1";
const SHARDED = process.env.SIDE === "sharded";

function expect(seen, wanted) {
  if (!isDeepStrictEqual(seen, wanted)) {
    throw new Error(`${inspect(seen).slice(0, 200)} instead of ${inspect(wanted).slice(0, 200)}`);
  }
}

async function raises(code, promise) {
  try {
    await promise;
  } catch (error) {
    if (error.code !== code) throw error;
    return error;
  }
  throw new Error(`no error ${code}`);
}

async function connect(options = {}) {
  const client = new pg.Client({ connectionTimeoutMillis: 20_000, ...options });
  client.on("error", () => {});
  await client.connect();
  return client;
}

const rows = async (client, text, values) => (await client.query({ text, values, rowMode: "array" })).rows;
const one = async (client, text, values) => (await rows(client, text, values))[0][0];

async function value(c, column, values, key) {
  for (const each of values) {
    key += 1;
    await c.query(`INSERT INTO accounts (account_id, ${column}) VALUES ($1, $2)`, [key, each]);
    for (const binary of [false, true]) {
      if (binary && column !== "name") continue; // the driver reads others as text only
      const seen = await c.query({ text: `SELECT ${column} FROM accounts WHERE account_id = $1`, values: [key], binary });
      expect(seen.rows[0][column], each);
    }
  }
}

// Changes the table behind a prepared statement's back.
async function changing(c, columns, wanted) {
  const other = await connect();
  const text = `SELECT ${columns} FROM shapes WHERE shape_id = $1`;
  const read = async () => (await c.query({ name: text, text, values: [1] })).rows[0];
  try {
    expect([await read(), await read()], [wanted[0], wanted[0]]);
    await other.query("ALTER TABLE shapes ADD COLUMN sides int DEFAULT 4");
    expect([await read(), await read()], [wanted[1], wanted[1]]);
  } finally {
    await other.query("ALTER TABLE shapes DROP COLUMN IF EXISTS sides");
  }
  expect([await read(), await read()], [wanted[2], wanted[2]]);
  await other.end();
}

const features = {
  async simple(c) {
    const results = await c.query("SELECT 1 AS a; SELECT 'two' AS b; UPDATE accounts SET balance = 1 WHERE account_id = 3");
    expect(results.map((each) => [each.command, each.rowCount]), [["SELECT", 1], ["SELECT", 1], ["UPDATE", 1]]);
    expect((await c.query("")).rows, []);
  },
  async extended(c) {
    const result = await c.query("SELECT account_id, name FROM accounts WHERE account_id = $1", [7]);
    expect(result.fields.map((each) => each.dataTypeID), [20, 25]);
    expect(result.rows, [{ account_id: "7", name: "name 7" }]);
    expect(await one(c, "SELECT count(*) FROM accounts WHERE account_id = ANY($1)", [[1, 2, 3]]), "3");
  },
  async prepared(c) {
    for (let key = 1; key <= 50; key++) {
      expect((await c.query({ name: "by key", text: NAME, values: [key] })).rows, [{ name: `name ${key}` }]);
      await c.query("BEGIN");
      const text = "UPDATE accounts SET balance = balance + $1 WHERE account_id = $2";
      expect((await c.query({ name: "add", text, values: [1, key] })).rowCount, 1);
      await c.query(key % 2 ? "COMMIT" : "ROLLBACK");
    }
  },
  nulls: async (c) => {
    await value(c, "name", [null, ""], 1000);
    expect(await rows(c, NAME, [null]), []);
  },
  arrays: (c) => value(c, "tags", [[], ["a", 'b"c', "d,e", "{f}", "\\", null, "NULL"]], 1100),
  numeric: (c) => value(c, "balance", ["0.01", "-9999999999.99"], 1200),
  timestamptz: (c) => value(c, "opened", [new Date("2026-02-28T23:59:59.999Z")], 1300),
  bytea: (c) => value(c, "payload", [Buffer.from(Array.from({ length: 70_000 }, (_, at) => at % 256))], 1400),
  json: (c) => value(c, "doc", [{ a: [1, null, "ü"] }], 1500),
  async errors(c) {
    const error = await raises("23505", c.query("INSERT INTO accounts (account_id) VALUES ($1)", [1]));
    expect(error.constraint, "accounts_pkey");
    await raises("42P01", c.query("SELECT * FROM missing"));
    await raises("42601", c.query({ name: "bad", text: "SELEC 1" }));
    await raises("22012", c.query("SELECT 1 / $1::int", [0]));
    await raises("22P02", c.query(NAME, ["x"]));
    await c.query("BEGIN");
    await raises("22012", c.query("SELECT 1 / 0"));
    await raises("25P02", c.query(NAME, [1]));
    await c.query("ROLLBACK");
    expect(await one(c, NAME, [1]), "name 1");
  },
  async notices(c) {
    const seen = [];
    c.on("notice", (notice) => seen.push(notice.message));
    await c.query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$");
    expect(seen, ["hello"]);
  },
  async transactions(c) {
    const other = await connect();
    await c.query("BEGIN");
    await c.query("INSERT INTO accounts (account_id, name) VALUES (2001, 'new'), (2002, 'new'), (2003, 'new')");
    expect(await rows(other, NAME, [2001]), []);
    await c.query("COMMIT");
    expect(await rows(other, NAME, [2003]), [["new"]]);
    await c.query("BEGIN");
    expect((await c.query("DELETE FROM accounts WHERE account_id IN ($1, $2)", [2001, 2002])).rowCount, 2);
    await c.query("ROLLBACK");
    expect(await rows(other, NAME, [2001]), [["new"]]);
    await other.end();
  },
  async savepoints(c) {
    await c.query("BEGIN");
    await c.query("INSERT INTO accounts (account_id, name) VALUES (2101, 'kept')");
    await c.query("SAVEPOINT one");
    await c.query("INSERT INTO accounts (account_id, name) VALUES (2102, 'undone')");
    await raises("23505", c.query("INSERT INTO accounts (account_id) VALUES ($1)", [2101]));
    await c.query("ROLLBACK TO SAVEPOINT one");
    await c.query("COMMIT");
    expect(await rows(c, "SELECT account_id FROM accounts WHERE account_id IN (2101, 2102)"), [["2101"]]);
  },
  async isolation(c) {
    const other = await connect();
    for (const level of ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]) {
      await c.query(`BEGIN ISOLATION LEVEL ${level}`);
      const before = await one(c, NAME, [61]);
      await other.query("UPDATE accounts SET name = $1 WHERE account_id = 61", [level]);
      expect((await one(c, NAME, [61])) === before, level !== "READ COMMITTED");
      await c.query("COMMIT");
    }
    await other.end();
  },
  async batch(c) {
    // The driver queues them, and sends each when the one before is done.
    const names = await Promise.all(Array.from({ length: 50 }, (_, at) => one(c, NAME, [at + 1 === 61 ? 1 : at + 1])));
    expect(names, Array.from({ length: 50 }, (_, at) => `name ${at + 1}`));
  },
  async batch_error(c) {
    const insert = (key) => c.query("INSERT INTO accounts (account_id, name) VALUES ($1, 'half')", [key]);
    const done = await Promise.allSettled([insert(2601), insert(1), insert(2602)]);
    expect(done.map((each) => each.status), ["fulfilled", "rejected", "fulfilled"]);
  },
  async fetch_size(c) {
    const text = "SELECT event_id, label FROM events WHERE event_id > $1 ORDER BY event_id";
    const cursor = c.query(new Cursor(text, [0], { rowMode: "array" }));
    expect((await cursor.read(3)).map((row) => row[0]), ["1", "2", "3"]);
    expect((await cursor.read(500)).length, 500);
    await cursor.close();
    expect(await one(c, NAME, [1]), "name 1");
    let count = 0;
    for await (const row of c.query(new QueryStream(text, [5000], { batchSize: 70 }))) {
      count += 1;
      expect(row.event_id, String(5000 + count));
    }
    expect(count, 5000);
    // Left half-way.
    for await (const row of c.query(new QueryStream(text, [0], { batchSize: 10, highWaterMark: 10 }))) {
      if (row.event_id === "25") break;
    }
    expect(await one(c, NAME, [1]), "name 1");
  },
  async server_cursor(c) {
    await c.query("BEGIN");
    await c.query("DECLARE walk CURSOR FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1");
    expect(await rows(c, "FETCH 3 FROM walk"), [["1"], ["2"], ["3"]]);
    await c.query("MOVE 10 FROM walk");
    expect(await rows(c, "FETCH walk"), [["14"]]);
    await c.query("COMMIT");
  },
  async hold_cursor(c) {
    await c.query("DECLARE kept CURSOR WITH HOLD FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1");
    expect(await rows(c, "FETCH 2 FROM kept"), [["1"], ["2"]]);
    await c.query("CLOSE kept");
  },
  async copy_in(c) {
    const lines = Array.from({ length: 500 }, (_, at) => `${3000 + at}\tx\n`);
    const copy = c.query(copyFrom("COPY accounts (account_id, name) FROM STDIN"));
    await pipeline(Readable.from(lines), copy);
    expect(copy.rowCount, 500);
    expect(await one(c, "SELECT count(*) FROM accounts WHERE name = 'x'"), "500");
  },
  async copy_out(c) {
    const read = async (sql) => {
      const parts = [];
      for await (const part of c.query(copyTo(sql))) parts.push(part);
      return Buffer.concat(parts).toString();
    };
    expect(await read("COPY (SELECT n, 'x' FROM generate_series(1, 3) n) TO STDOUT"), "1\tx\n2\tx\n3\tx\n");
    expect((await read("COPY events TO STDOUT")).split("\n").length, 10_001);
  },
  async copy_fail(c) {
    const twice = c.query(copyFrom("COPY accounts (account_id, name) FROM STDIN"));
    await raises("23505", pipeline(Readable.from(["3601\tnever\n", "1\ttwice\n"]), twice));
    const given = c.query(copyFrom("COPY accounts (account_id, name) FROM STDIN"));
    given.on("error", () => {});
    given.write("3602\tnever\n");
    given.destroy(new Error("given up"));
    expect(await rows(c, "SELECT name FROM accounts WHERE name = 'never'"), []);
  },
  async listen(c) {
    const heard = new Promise((resolve) => c.on("notification", (each) => resolve([each.channel, each.payload])));
    await c.query("LISTEN news");
    const other = await connect();
    await other.query("NOTIFY news, 'first'");
    expect(await heard, ["news", "first"]);
    await other.end();
  },
  async cancel(c) {
    const sleeping = raises("57014", c.query("SELECT pg_sleep(30)"));
    let done = false;
    sleeping.finally(() => (done = true)).catch(() => {});
    const cancelling = async () => {
      while (!done) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const other = new pg.Client();
        other.connection.on("error", () => {});
        const closed = new Promise((resolve) => other.connection.once("end", resolve));
        other.connection.connect(Number(process.env.PGPORT), process.env.PGHOST);
        other.connection.on("connect", () => other.connection.cancel(c.processID, c.secretKey));
        await closed;
      }
    };
    await Promise.all([sleeping, cancelling()]);
    expect(await one(c, NAME, [1]), "name 1");
  },
  async timeout() {
    const c = await connect({ statement_timeout: 100 });
    await raises("57014", c.query("SELECT pg_sleep(30)"));
    await c.query("SET statement_timeout = 0");
    await c.query("SELECT pg_sleep(0.2)");
    await c.end();
  },
  async set_reset() {
    const c = await connect({ application_name: "matrix", options: "-c work_mem=5MB" });
    expect([await one(c, "SHOW application_name"), await one(c, "SHOW work_mem")], ["matrix", "5MB"]);
    await c.query("SET work_mem = '6MB'");
    for (let turn = 0; turn < 5; turn++) expect(await one(c, "SHOW work_mem"), "6MB");
    await c.query("RESET work_mem");
    expect(await one(c, "SHOW work_mem"), "5MB");
    await c.query("DISCARD ALL");
    await c.end();
  },
  async large_row(c) {
    const text = "ü".repeat(500_000) + "end";
    await c.query("INSERT INTO accounts (account_id, name, payload) VALUES ($1, $2, $3)", [4001, text, Buffer.alloc(1_000_000, 255)]);
    const [[name, payload]] = await rows(c, "SELECT name, payload FROM accounts WHERE account_id = $1", [4001]);
    expect(name === text && payload.equals(Buffer.alloc(1_000_000, 255)), true);
  },
  async many_rows(c) {
    const seen = await rows(c, "SELECT event_id, label FROM events ORDER BY event_id");
    expect(seen, Array.from({ length: 10_000 }, (_, at) => [String(at + 1), `event ${at + 1}`]));
  },
  async pool() {
    const pool = new pg.Pool({ max: 4 });
    const work = async (key) => {
      const c = await pool.connect();
      try {
        await c.query("BEGIN");
        expect(await one(c, NAME, [key]), `name ${key}`);
        await c.query("COMMIT");
      } finally {
        c.release();
      }
    };
    await Promise.all(Array.from({ length: 60 }, (_, at) => work(at + 1)));
    await pool.end();
  },
  async ddl(c) {
    await c.query("INSERT INTO shapes (shape_id, name) VALUES (1, 'square')");
    await changing(c, "name", [{ name: "square" }, { name: "square" }, { name: "square" }]);
  },
  async ddl_columns(c) {
    const before = { shape_id: "1", name: "square" };
    await changing(c, "*", [before, { ...before, sides: 4 }, before]);
  },
  async returning(c) {
    const insert = "INSERT INTO entries (account_id, note) VALUES ($1, $2) RETURNING entry_id";
    expect(BigInt(await one(c, insert, [6, "a"])) < BigInt(await one(c, insert, [6, "b"])), true);
    const many = await rows(c, "INSERT INTO entries (account_id, note) VALUES ($1, 'x'), ($2, 'y') RETURNING note", [1, 2]);
    expect(many, [["x"], ["y"]]);
  },
};

async function main() {
  console.log(`driver node-postgres ${require("pg/package.json").version}`);
  for (const [name, feature] of Object.entries(features)) {
    let outcome = "ok";
    const client = await connect();
    try {
      await feature(client);
    } catch (error) {
      const lines = [...String(error.stack).matchAll(/matrix\.js:(\d+)/g)].map((found) => found[1]).join(" ");
      outcome = SHARDED && error.code === "0A000" ? "refused 0A000" : `FAIL ${error.code} ${String(error).replace(/\s+/g, " ")} (lines ${lines})`;
    }
    console.log(`${name} ${outcome}`);
    await client.end();
  }
  // What a failed feature left open must not keep it.
  process.exit(0);
}

main();
