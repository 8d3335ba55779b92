//! Vectors taken from PostgreSQL 15's `hashint8extended`, `hashtextextended` and `uuid_hash_extended` with the partition
//! seed, and remainders confirmed by `satisfies_hash_partition` with modulus 4096. `tests/parts/partition_hash.rs`
//! holds the same code against a live server with random values.

use super::partition::{column_hash, partition_hash};
use crate::types::KeyValue;

const INTEGERS: &[(i64, u64)] = &[
    (0, 0xc2e34bda39f0f0cd),
    (1, 0x52d621058124e6d5),
    (-1, 0xba5fc748095606c2),
    (2, 0xa1da1e669978f897),
    (7, 0x17b6109c145c1c34),
    (42, 0x663218bcfb84b17f),
    (100, 0xa0c32bd47a3fe976),
    (-100, 0x340ab5dbad3961ac),
    (255, 0x2378a024a6058847),
    (256, 0x5010c8b7cff245ab),
    (32767, 0xa6ac42e1ee4bb5eb),
    (-32768, 0x51ac94e226a0db9a),
    (65535, 0x16353c21a74b62ab),
    (65536, 0xa4c9d2b4b3f7b1a1),
    (2147483647, 0xac09237e4899f89c),
    (-2147483648, 0x44893a0f1e949193),
    (2147483648, 0x44893a0f1e949193),
    (-2147483649, 0xac09237e4899f89c),
    (4294967295, 0xba5fc748095606c2),
    (4294967296, 0x52d621058124e6d5),
    (-4294967296, 0xc2e34bda39f0f0cd),
    (1767225600000, 0x96e289dfb7def76d),
    (9007199254740991, 0x2b2e9fd7665611d6),
    (9007199254740993, 0xa51c4fa58c38f562),
    (1234567890123456789, 0x81a3be9c9985a7ad),
    (-1234567890123456789, 0x2c4d660941925705),
    (9223372036854775806, 0x6a7b3d4bf26fa87b),
    (9223372036854775807, 0x44893a0f1e949193),
    (-9223372036854775807, 0x9b73aeed08a2167f),
    (-9223372036854775808, 0xac09237e4899f89c),
];

const TEXTS: &[(&str, u64)] = &[
    ("", 0xb0e33d0b543fbfc3),
    ("a", 0xa2f240f8823ba67b),
    ("ab", 0x0845730e49baf33d),
    ("abc", 0x325c02d16f43e1c2),
    ("abcd", 0x37eb4043f6fdb06e),
    ("abcde", 0x42bdebaa1b2c17d9),
    ("abcdef", 0xf6dc296ce47a2776),
    ("abcdefg", 0xeaf53e7fbf379bae),
    ("abcdefgh", 0x94619c573ca212b2),
    ("abcdefghi", 0x92e90b933de8cba0),
    ("abcdefghij", 0x8cba26807c1916a1),
    ("abcdefghijk", 0xe39999edea562278),
    ("abcdefghijkl", 0x92b003d370554786),
    ("abcdefghijklm", 0xa1d42895caa786b3),
    ("customer-000000000000042", 0x2b15d10d6f049826),
    ("Ünïcöd\u{e9}", 0x91459f3c0a03ca34),
    ("订单", 0x513ca01592a63d74),
    ("🦀🦀🦀", 0x159c0a2940a0d038),
    ("e\u{301}", 0x4cfad7f14b86a40f),
    ("  ", 0x22bd1f8f322189bd),
    ("NULL", 0x777231d9f31dd62f),
    ("\u{1}", 0xe1c9bbad4b62e438),
    ("x y", 0xfba70af060577271),
    ("0", 0x0d8807be6946eb26),
];

const UUIDS: &[(u128, u64)] = &[
    (0x00000000000000000000000000000000, 0xb6b5d3c4aa5d92c2),
    (0xffffffffffffffffffffffffffffffff, 0xfdeeb1999c98549e),
    (0x018f2b1c7d3a7c4e9a1b2c3d4e5f6071, 0xe472c5172831bcf8),
    (0x123e4567e89b12d3a456426614174000, 0xee9f87f344f2caa2),
    (0x00000000000000000000000000000001, 0x49027b8a0954e54a),
    (0x80000000000000000000000000000000, 0xab35919f57dacf2b),
    (0xc0ffee00deadbeefcafe0123456789ab, 0x1505674bb67a2c47),
];

fn text(value: &str) -> KeyValue {
    KeyValue::Text(value.to_owned())
}

#[test]
fn integers_hash_as_the_server_says() {
    for (value, expected) in INTEGERS {
        assert_eq!(column_hash(&KeyValue::Int(*value)), *expected, "{value}");
    }
}

#[test]
fn texts_of_every_tail_length_hash_as_the_server_says() {
    for (value, expected) in TEXTS {
        assert_eq!(column_hash(&text(value)), *expected, "{value:?}");
    }
}

#[test]
fn a_long_text_hashes_as_the_server_says() {
    assert_eq!(column_hash(&text(&"ab".repeat(5000))), 0xf9c6_91a9_39a4_7034);
}

#[test]
fn uuids_hash_as_the_server_says() {
    for (value, expected) in UUIDS {
        assert_eq!(column_hash(&KeyValue::Uuid(value.to_be_bytes())), *expected, "{value:032x}");
    }
}

#[test]
fn remainders_are_those_of_satisfies_hash_partition() {
    let confirmed = [
        (KeyValue::Int(0), 2480),
        (KeyValue::Int(42), 2658),
        (KeyValue::Int(-1), 4005),
        (KeyValue::Int(i64::MAX), 2678),
        (text(""), 2214),
        (text("a"), 3934),
        (text("订单"), 1623),
    ];
    for (value, remainder) in confirmed {
        assert_eq!(partition_hash(&value) % 4096, remainder, "{value:?}");
    }
}
