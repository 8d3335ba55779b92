//! Types and tables have other numbers on each shard. Clients see home's: they ask home's catalogs what a number means.
//!
//! Only numbers in RowDescription, ParameterDescription and Parse are changed, in place, on connections to a shard that has
//! others. Numbers inside of values (arrays and rows in binary format, `regtype`) stay the shard's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use crate::types::USER_TYPES;
use crate::wire::frame::{HEADER_BYTES, LARGE_BOUND, header};

/// The types and tables of one database: names with schema by number.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// Types.
    pub types: HashMap<String, u32>,
    /// Tables, views and what else has columns.
    pub tables: HashMap<String, u32>,
}

impl PartialEq for ShardOids {
    /// They do not tell targets apart.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ShardOids {}

/// What one shard calls otherwise than home.
#[derive(Debug, Default, PartialEq, Eq)]
struct Maps {
    /// A type's number there → on home.
    types: HashMap<u32, u32>,
    tables: HashMap<u32, u32>,
    /// A type's number on home → there.
    own_types: HashMap<u32, u32>,
}

/// The numbers of one shard, shared by all connections to it.
#[derive(Debug, Default)]
pub struct ShardOids {
    /// Whether some differ: all that a connection looks at where none does.
    differ: AtomicBool,
    maps: ArcSwap<Maps>,
}

impl ShardOids {
    /// Compares a shard's numbers with home's; tells whether they differ in another way than before.
    pub fn learn(&self, home: &Numbers, shard: &Numbers) -> bool {
        let maps = Maps {
            types: differing(&shard.types, &home.types),
            tables: differing(&shard.tables, &home.tables),
            own_types: differing(&home.types, &shard.types),
        };
        if **self.maps.load() == maps {
            return false;
        }
        let differ = maps != Maps::default();
        self.maps.store(Arc::new(maps));
        self.differ.store(differ, Ordering::Release);
        true
    }

    /// Brings what a connection knows up to date while no reply is on its way; `input` is what was received and not
    /// consumed. `None` where nothing has to be changed.
    #[inline]
    pub(super) fn renew(&self, renumbering: &mut Option<Box<Renumbering>>, input: &mut [u8]) {
        if self.differ.load(Ordering::Acquire) {
            self.renew_maps(renumbering, input);
        } else {
            *renumbering = None;
        }
    }

    #[cold]
    fn renew_maps(&self, renumbering: &mut Option<Box<Renumbering>>, input: &mut [u8]) {
        let maps = self.maps.load();
        match renumbering {
            Some(known) if Arc::ptr_eq(&known.maps, &maps) => {}
            Some(known) => known.maps = Arc::clone(&maps),
            None => {
                // What nobody asked for, if anything, is whole frames from its first byte on.
                let new = renumbering.insert(Box::new(Renumbering { maps: Arc::clone(&maps), received: 0, next: 0 }));
                new.received(input, input.len());
            }
        }
    }
}

/// Returns the numbers of `from` that `to` has otherwise.
fn differing(from: &HashMap<String, u32>, to: &HashMap<String, u32>) -> HashMap<u32, u32> {
    let pair = |(name, number): (&String, &u32)| Some((*number, *to.get(name)?)).filter(|(one, other)| one != other);
    from.iter().filter_map(pair).collect()
}

/// How far the bytes of one connection have been looked through.
#[derive(Debug)]
pub(super) struct Renumbering {
    maps: Arc<Maps>,
    /// Bytes received since the begin.
    received: usize,
    /// Where the next frame begins, counted as they are.
    next: usize,
}

impl Renumbering {
    /// Looks through what has come: `input` ends with `count` new bytes.
    pub(super) fn received(&mut self, input: &mut [u8], count: usize) {
        self.received += count;
        let front = self.received.saturating_sub(input.len());
        while let Some(at) = self.next.checked_sub(front).filter(|at| *at < input.len())
            && let Ok(Some(found)) = header(&input[at..], LARGE_BOUND)
        {
            if let b'T' | b't' = found.kind {
                let Some(frame) = input.get_mut(at..at + found.length) else { return };
                match found.kind {
                    b'T' => self.rows(&mut frame[HEADER_BYTES..]),
                    _ => renumber(&mut frame[HEADER_BYTES..], 2, &self.maps.types),
                }
            }
            self.next += found.length;
        }
    }

    /// Changes the types that a Parse declares.
    pub(super) fn parse(&self, frame: &mut [u8]) {
        let Some(body) = frame.get_mut(HEADER_BYTES..) else { return };
        let end_of =
            |from: usize, body: &[u8]| body.get(from..)?.iter().position(|byte| *byte == 0).map(|at| from + at + 1);
        if let Some(types) = end_of(0, body).and_then(|text| end_of(text, body)) {
            renumber(body, types + 2, &self.maps.own_types);
        }
    }

    /// Changes a RowDescription: after each name a table, a column's number, a type and eight bytes more.
    fn rows(&self, body: &mut [u8]) {
        let mut at = 2;
        while let Some(length) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) {
            let table = at + length + 1;
            change(body, table, &self.maps.tables);
            change(body, table + 6, &self.maps.types);
            at = table + 18;
        }
    }
}

/// Changes all numbers from a place on.
fn renumber(body: &mut [u8], from: usize, map: &HashMap<u32, u32>) {
    for at in (from..body.len()).step_by(4) {
        change(body, at, map);
    }
}

fn change(body: &mut [u8], at: usize, map: &HashMap<u32, u32>) {
    let Some(bytes) = body.get_mut(at..at + 4) else { return };
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    if number >= USER_TYPES
        && let Some(other) = map.get(&number)
    {
        bytes.copy_from_slice(&other.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    use crate::wire::backend::{self, Field, write_parameter_description, write_row_description};
    use crate::wire::frontend::write_parse;

    fn numbers(types: &[(&str, u32)], tables: &[(&str, u32)]) -> Numbers {
        let all = |pairs: &[(&str, u32)]| pairs.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        Numbers { types: all(types), tables: all(tables) }
    }

    fn field(name: &str, table_oid: u32, type_oid: u32) -> Field {
        let name = name.to_owned();
        Field { name, table_oid, column: 1, type_oid, type_size: 4, type_modifier: -1, format: 0 }
    }

    fn shard() -> ShardOids {
        let shard = ShardOids::default();
        let home = numbers(
            &[("public.mood", 20_000), ("public.color", 20_004), ("public.far", 20_009)],
            &[("public.t", 30_000)],
        );
        shard.learn(
            &home,
            &numbers(
                &[("public.mood", 20_004), ("public.color", 20_000), ("public.far", 20_009)],
                &[("public.t", 30_001)],
            ),
        );
        shard
    }

    fn begun(shard: &ShardOids) -> Box<Renumbering> {
        let mut renumbering = None;
        shard.renew(&mut renumbering, &mut []);
        renumbering.expect("numbers differ")
    }

    #[test]
    fn descriptions_have_homes_numbers_however_they_come() {
        let mut sent = BytesMut::new();
        write_row_description(&mut sent, &[field("a", 30_001, 20_004), field("b", 0, 23), field("c", 30_001, 20_000)]);
        backend::write_data_row(&mut sent, &[Some(&20_004u32.to_be_bytes()), None, None]);
        write_parameter_description(&mut sent, &[20_004, 25, 20_009]);
        backend::write_command_complete(&mut sent, "SELECT 1");
        for chunk in [1, 7, sent.len()] {
            let mut numbering = begun(&shard());
            let mut input = BytesMut::new();
            for part in sent.chunks(chunk) {
                input.extend_from_slice(part);
                numbering.received(&mut input, part.len());
            }
            let mut expected = BytesMut::new();
            write_row_description(
                &mut expected,
                &[field("a", 30_000, 20_000), field("b", 0, 23), field("c", 30_000, 20_004)],
            );
            backend::write_data_row(&mut expected, &[Some(&20_004u32.to_be_bytes()), None, None]);
            write_parameter_description(&mut expected, &[20_000, 25, 20_009]);
            backend::write_command_complete(&mut expected, "SELECT 1");
            assert_eq!(input, expected, "in parts of {chunk} bytes");
        }
    }

    #[test]
    fn a_frame_that_was_taken_is_behind() {
        let mut numbering = begun(&shard());
        let mut input = BytesMut::new();
        for _ in 0..3 {
            write_parameter_description(&mut input, &[20_004]);
            let count = input.len();
            numbering.received(&mut input, count);
            let taken = input.split();
            assert_eq!(backend::parameter_description(&taken[HEADER_BYTES..]).unwrap(), [20_000]);
        }
    }

    #[test]
    fn a_parse_has_the_shards_numbers() {
        let mut frame = BytesMut::new();
        write_parse(&mut frame, "s1", "select $1", &[20_000, 0, 23, 20_009]);
        begun(&shard()).parse(&mut frame);
        let mut expected = BytesMut::new();
        write_parse(&mut expected, "s1", "select $1", &[20_004, 0, 23, 20_009]);
        assert_eq!(frame, expected);
        for broken in [&b"P\0\0\0\x04"[..], b"P\0\0\0\x06s\0", b"P\0\0\0\x0as\0x\0\0\x01"] {
            begun(&shard()).parse(&mut broken.to_vec());
        }
    }

    #[test]
    fn what_is_learned_holds_from_the_next_reply_on() {
        let shard = shard();
        let mut input = BytesMut::new();
        backend::write_command_complete(&mut input, "LISTEN");
        let mut renumbering = None;
        shard.renew(&mut renumbering, &mut input);
        let later = numbers(&[("public.mood", 20_000)], &[]);
        assert!(shard.learn(&later, &numbers(&[("public.mood", 20_009)], &[])));
        shard.renew(&mut renumbering, &mut input);
        let known = input.len();
        write_parameter_description(&mut input, &[20_004, 20_009]);
        let count = input.len() - known;
        renumbering.expect("numbers differ").received(&mut input, count);
        assert_eq!(backend::parameter_description(&input[known + HEADER_BYTES..]).unwrap(), [20_004, 20_000]);
    }

    #[test]
    fn where_all_numbers_are_homes_nothing_is_looked_at() {
        let shard = shard();
        let same = numbers(&[("public.mood", 20_000)], &[]);
        shard.learn(&same, &same);
        let mut renumbering = None;
        shard.renew(&mut renumbering, &mut []);
        assert!(renumbering.is_none());
    }
}
