//! What each kind of rule file looks like: the keys, checked by [`crate::yaml::check`] and published as JSON Schema.

use super::formats::{ADDRESS, BUCKETS, DAY, EPOCH, ERROR_WORD, UTC_OFFSET};
use super::split::SPLIT_MAX;
use crate::types::ShardSet;
use crate::yaml::{Field, Record, Shape};

/// The most buckets: placement lists stay readable and a snapshot's bucket map stays within 128 KiB.
pub const BUCKETS_MAX: u64 = 65_536;

/// The kinds of documents and their shapes.
pub static KINDS: [(&str, Record); 5] = [
    ("Topology", TOPOLOGY),
    ("Ids", IDS),
    ("TableGroup", TABLE_GROUP),
    ("ReferenceTables", REFERENCE_TABLES),
    ("SingleTables", SINGLE_TABLES),
];

const fn kind(word: &'static [&'static str]) -> Field {
    Field::required("kind", Shape::Choice { words: word, later: &[] }, "What the document declares.")
}

const fn choice(words: &'static [&'static str]) -> Shape {
    Shape::Choice { words, later: &[] }
}

const TOPOLOGY: Record = Record {
    what: "a Topology",
    fields: &[
        kind(&["Topology"]),
        Field::required("database", Shape::Name, "The database that clients connect to."),
        Field::required(
            "buckets",
            Shape::Integer { min: 1, max: BUCKETS_MAX },
            "How many buckets the hash space has; fixed for life.",
        ),
        Field::required("shards", Shape::Map(&Shape::Record(&SHARD)), "The servers, by name."),
        Field::required(
            "placement",
            Shape::Map(&Shape::List(&Shape::Format(&BUCKETS))),
            "Which buckets each shard owns; together they cover every bucket exactly once.",
        ),
        Field::required("home", Shape::Name, "The shard of single tables, and the authority of reference tables."),
        Field::optional(
            "unlisted_tables",
            choice(&["home", "reject"]),
            "What becomes of tables that no rule names; home by default.",
        ),
    ],
};

const SHARD: Record = Record {
    what: "a shard",
    fields: &[
        Field::required("primary", Shape::Format(&ADDRESS), "Address of the primary, host:port or /directory:port."),
        Field::optional("replicas", Shape::List(&Shape::Format(&ADDRESS)), "Addresses of replicas; not used yet."),
        Field::optional("database", Shape::Name, "The database on that server; the topology's by default."),
    ],
};

const IDS: Record = Record {
    what: "Ids",
    fields: &[
        kind(&["Ids"]),
        Field::optional(
            "tags",
            Shape::Map(&Shape::Integer { min: 1, max: 65_535 }),
            "Business tag to code; a retired code is never used again, 0 is that of transaction ids.",
        ),
        Field::optional("layouts", Shape::Map(&Shape::Record(&LAYOUT)), "Snowflake layouts by name."),
        Field::optional("segments", Shape::Map(&Shape::Record(&SEGMENT)), "Tags with dense ids, by name."),
    ],
};

/// The largest first id and step: far below the end of bigint, so that no sum overflows.
const SEGMENT_FROM_MAX: u64 = 1 << 62;
const SEGMENT_STEP_MAX: u64 = 1_000_000;

const SEGMENT: Record = Record {
    what: "a segment",
    fields: &[
        Field::optional("from", Shape::Integer { min: 1, max: SEGMENT_FROM_MAX }, "The first id of all; 1 by default."),
        Field::optional(
            "step",
            Shape::Integer { min: 1, max: SEGMENT_STEP_MAX },
            "How many ids a proxy reserves at least at a time; 1000 by default.",
        ),
    ],
};

const LAYOUT: Record = Record {
    what: "a layout",
    fields: &[
        Field::required("epoch", Shape::Format(&EPOCH), "The time at which the time field is 0, in UTC."),
        Field::required("bits", Shape::Record(&BITS), "Widths of the fields, at most 63 bits together."),
    ],
};

const BITS: Record = Record {
    what: "a layout's bits",
    fields: &[
        // 30 bits of milliseconds are 12 days, 48 are 8,900 years: what lies outside is a slip.
        Field::required("time", Shape::Integer { min: 30, max: 48 }, "Bits of the time in milliseconds."),
        Field::optional(
            "tag",
            Shape::Integer { min: 0, max: 16 },
            "Bits of the business tag; 0 to read ids of others.",
        ),
        Field::optional(
            "bucket",
            Shape::Integer { min: 1, max: 16 },
            "Bits of the row's routing bucket in place of the tag.",
        ),
        Field::required("worker", Shape::Integer { min: 1, max: 16 }, "Bits of the worker id."),
        Field::required("sequence", Shape::Integer { min: 1, max: 22 }, "Bits of the sequence per millisecond."),
    ],
};

const TABLE_GROUP: Record = Record {
    what: "a TableGroup",
    fields: &[
        kind(&["TableGroup"]),
        Field::required("name", Shape::Name, "The group's name, unique over all files."),
        Field::required("key", Shape::Record(&KEY), "The sharding key that all tables of the group share."),
        Field::optional(
            "algorithm",
            choice(&["hash", "mod", "list", "range", "interval", "composite", "lookup"]),
            "How a key finds its shard; hash (PostgreSQL's partition hash) by default.",
        ),
        Field::optional("mod", Shape::Record(&MOD), "Parameters of algorithm: mod."),
        Field::optional("list", Shape::Record(&LIST), "Parameters of algorithm: list."),
        Field::optional("range", Shape::List(&Shape::Record(&SPAN)), "Parameters of algorithm: range."),
        Field::optional("interval", Shape::Record(&INTERVAL), "Parameters of algorithm: interval."),
        Field::optional("lookup", Shape::Record(&LOOKUP), "Parameters of algorithm: lookup."),
        Field::required("tables", Shape::Map(&Shape::Record(&TABLE)), "The tables of the group, by name."),
        Field::optional("missing_key", Shape::Record(&MISSING_KEY), "What statements without the key do."),
        Field::optional(
            "key_update",
            choice(&["reject", "move"]),
            "What an UPDATE of the sharding key to another shard does; reject by default.",
        ),
        Field::optional("multi_shard", Shape::Record(&MULTI_SHARD), "How writes over several shards commit."),
        Field::optional("tests", TESTS, "Golden routing cases."),
    ],
};

const MOD: Record = Record {
    what: "mod",
    fields: &[Field::optional(
        "shards",
        Shape::List(&Shape::Name),
        "The shard of each remainder from 0; without it the key modulo the buckets is a bucket.",
    )],
};

const LIST: Record = Record {
    what: "list",
    fields: &[
        Field::required(
            "placement",
            Shape::Map(&Shape::List(&Shape::Nullable(&Shape::Text))),
            "The values of each shard; null stands for rows without a key.",
        ),
        Field::optional(
            "default",
            Shape::Name,
            "The shard of values that are not listed; they are refused without it.",
        ),
    ],
};

const SPAN: Record = Record {
    what: "a range",
    fields: &[
        Field::optional("from", Shape::Text, "The least key; without it there is no bound."),
        Field::optional("to", Shape::Text, "The first key beyond the range; without it there is no bound."),
        Field::required("shard", Shape::Name, "The shard of the keys between them."),
    ],
};

const INTERVAL: Record = Record {
    what: "interval",
    fields: &[
        Field::required("unit", choice(&["day", "week", "month", "year"]), "What is counted."),
        // A century of days.
        Field::optional("every", Shape::Integer { min: 1, max: 36_525 }, "Units of one interval; 1 by default."),
        Field::required("origin", Shape::Format(&DAY), "The first day of the first interval."),
        Field::optional("offset", Shape::Format(&UTC_OFFSET), "Whose days count for keys of type timestamptz."),
        Field::required("shards", Shape::List(&Shape::Name), "The shards of the intervals, in turn from the origin."),
    ],
};

const LOOKUP: Record = Record {
    what: "lookup",
    fields: &[
        Field::required("table", Shape::Name, "The table on home that has a row per key."),
        Field::required("key", Shape::Name, "Its column with the keys, under a unique index."),
        Field::required("bucket", Shape::Name, "Its column with the buckets, integers."),
    ],
};

const KEY_TYPES: Shape =
    choice(&["smallint", "int", "integer", "bigint", "text", "varchar", "uuid", "date", "timestamp", "timestamptz"]);

const KEY: Record = Record {
    what: "a key",
    fields: &[Field::required(
        "type",
        Shape::ListOr { items: &KEY_TYPES, other: &KEY_TYPES },
        "The type of the key column in every table of the group; a list of types for algorithm: composite.",
    )],
};

const TABLE: Record = Record {
    what: "a table",
    fields: &[
        Field::required(
            "key",
            Shape::ListOr { items: &Shape::Name, other: &Shape::Name },
            "The sharding key column; a list of columns for algorithm: composite.",
        ),
        Field::optional("id", Shape::Record(&ID), "The column that the proxy generates."),
        Field::optional("split", Shape::Record(&SPLIT), "Several physical tables inside each shard's database."),
        Field::optional("undo", Shape::Record(&UNDO), "What takes back what was written, for on_dead: compensate."),
    ],
};

const UNDO: Record = Record {
    what: "an undo",
    fields: &[Field::required(
        "insert",
        Shape::Text,
        "The UPDATE, DELETE or INSERT that takes one inserted row back; :column stands for the row's value.",
    )],
};

const SPLIT: Record = Record {
    what: "a split",
    fields: &[
        Field::optional("by", Shape::Name, "The column that says which physical table; the sharding key by default."),
        Field::optional("type", KEY_TYPES, "The type of that column; the sharding key's by default."),
        Field::required("into", Shape::Integer { min: 2, max: SPLIT_MAX }, "How many physical tables; fixed for life."),
        Field::required(
            "pattern",
            Shape::Name,
            "Their names, the number in place of zeros in braces: items_{00} is items_00, items_01 and so on.",
        ),
        Field::optional(
            "algorithm",
            choice(&["hash", "mod"]),
            "How a value finds its table: PostgreSQL's partition hash (the default), or the value modulo the tables.",
        ),
    ],
};

const ID: Record = Record {
    what: "an id",
    fields: &[
        Field::required("column", Shape::Name, "The column that is filled when an INSERT leaves it out."),
        Field::optional("layout", Shape::Name, "A layout of the Ids file; standard by default."),
        Field::optional("tag", Shape::Name, "A business tag or a segment of the Ids file; a uuid needs none."),
        Field::optional(
            "strategy",
            choice(&["snowflake", "segment", "uuid"]),
            "Where ids come from; snowflake by default, segment for a tag of the segments.",
        ),
        Field::optional("prefix", choice(&["shard"]), "A uuid as text that begins with the name of its row's shard."),
        Field::optional("route", Shape::Boolean, "Whether the id alone finds its shard; needs a layout with a bucket."),
        Field::optional("check_tag", Shape::Boolean, "Whether ids that clients give must have the tag."),
    ],
};

const MISSING_KEY: Record = Record {
    what: "missing_key",
    fields: &[
        Field::optional("read", choice(&["reject", "scatter"]), "For reads; scatter by default."),
        Field::optional("write", choice(&["reject", "scatter"]), "For UPDATE and DELETE; reject by default."),
    ],
};

const MULTI_SHARD: Record = Record {
    what: "multi_shard",
    fields: &[
        Field::optional(
            "mode",
            choice(&["auto", "eventual", "eager", "two_phase", "reject"]),
            "The commit mode; auto by default.",
        ),
        Field::optional(
            "on_dead",
            choice(&["park_key", "stop_lane", "skip", "resync", "compensate"]),
            "What a dead event does; park_key by default, resync for reference tables.",
        ),
        Field::optional(
            "when_target_down",
            choice(&["defer", "error"]),
            "Whether a write that is safe to defer is deferred; defer by default.",
        ),
        Field::optional(
            "assumed_count",
            choice(&["none", "keys"]),
            "With mode eventual: keys defers UPDATEs that add to columns of rows named by key, and tells one row for each; none by default.",
        ),
    ],
};

const REFERENCE_TABLES: Record = Record {
    what: "ReferenceTables",
    fields: &[
        kind(&["ReferenceTables"]),
        Field::required("tables", Shape::List(&Shape::Name), "Tables with a full copy on every shard."),
        Field::optional("home", Shape::Name, "The shard with the authority; the topology's home by default."),
        Field::optional("multi_shard", Shape::Record(&MULTI_SHARD), "How writes reach the copies."),
        Field::optional("tests", TESTS, "Golden routing cases."),
    ],
};

const SINGLE_TABLES: Record = Record {
    what: "SingleTables",
    fields: &[
        kind(&["SingleTables"]),
        Field::required("tables", Shape::List(&Shape::Name), "Tables that live on one shard."),
        Field::optional("shard", Shape::Name, "That shard; the topology's home by default."),
        Field::optional("tests", TESTS, "Golden routing cases."),
    ],
};

const TESTS: Shape = Shape::List(&Shape::Record(&TEST));

const TEST: Record = Record {
    what: "a test",
    fields: &[
        Field::required("sql", Shape::Text, "The statement."),
        Field::optional("params", Shape::List(&Shape::Nullable(&Shape::Text)), "Its parameters, $1 first."),
        Field::optional(
            "shards",
            Shape::ListOr { items: &Shape::Name, other: &Shape::Integer { min: 0, max: ShardSet::CAPACITY as u64 } },
            "How many shards are asked, or exactly which.",
        ),
        Field::optional("error", Shape::Format(&ERROR_WORD), "The reason or SQLSTATE of the refusal."),
    ],
};
