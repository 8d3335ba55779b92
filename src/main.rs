//! The command `shardloom`.

fn main() {}
