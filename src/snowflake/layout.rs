//! The fields of an id: composing, taking apart, end of life. Knows no clock.

use super::LayoutError;

/// The latest epoch accepted, the start of the year 3000: far enough for anybody, small enough never to overflow.
const EPOCH_MS_END: i64 = 32_503_680_000_000;
/// Eight thousand years in milliseconds fit into 48 bits.
const TIME_BITS_MAX: u8 = 48;
/// Tag codes and worker ids are `u16`.
const FIELD_BITS_MAX: u8 = 16;
/// Bits of a positive `bigint`.
const ID_BITS: u32 = 63;

/// A layout: from the top time, tag, worker, sequence; the sign bit is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    epoch_ms: i64,
    time_bits: u8,
    tag_bits: u8,
    worker_bits: u8,
    sequence_bits: u8,
}

/// What an id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// When it was stamped, in milliseconds since the UNIX epoch.
    pub time_ms: i64,
    /// The tag's code (or the routing bucket).
    pub tag: u16,
    /// The worker that issued it.
    pub worker: u16,
    /// Its number within millisecond, tag and worker.
    pub sequence: u64,
}

impl Layout {
    /// Makes a layout; fails when the widths or the epoch (milliseconds since the UNIX epoch) make no valid id.
    pub fn new(
        epoch_ms: i64,
        time_bits: u8,
        tag_bits: u8,
        worker_bits: u8,
        sequence_bits: u8,
    ) -> Result<Self, LayoutError> {
        let bits = [time_bits, tag_bits, worker_bits, sequence_bits].iter().map(|&width| u32::from(width)).sum();
        if bits > ID_BITS {
            return Err(LayoutError::TooManyBits { bits });
        }
        if !(1..=TIME_BITS_MAX).contains(&time_bits) {
            return Err(LayoutError::TimeBits { bits: time_bits });
        }
        for (field, bits) in [("tag", tag_bits), ("worker", worker_bits)] {
            if bits > FIELD_BITS_MAX {
                return Err(LayoutError::FieldBits { field, bits });
            }
        }
        if !(0..EPOCH_MS_END).contains(&epoch_ms) {
            return Err(LayoutError::Epoch { epoch_ms });
        }
        Ok(Self { epoch_ms, time_bits, tag_bits, worker_bits, sequence_bits })
    }

    /// Puts an id together. Fields must be in range, as `Generator` makes sure; higher bits are cut off.
    pub fn compose(&self, time_offset_ms: u64, tag: u16, worker: u16, sequence: u64) -> i64 {
        let time = time_offset_ms & mask(self.time_bits);
        let tag = u64::from(tag) & mask(self.tag_bits);
        let worker = u64::from(worker) & mask(self.worker_bits);
        let sequence = sequence & mask(self.sequence_bits);
        let upper = ((time << self.tag_bits | tag) << self.worker_bits) | worker;
        (upper << self.sequence_bits | sequence) as i64
    }

    /// Takes an id apart; `None` for a number that this layout cannot have made (negative, or too many bits).
    pub fn decode(&self, id: i64) -> Option<Decoded> {
        let mut rest = u64::try_from(id).ok()?;
        let mut take = |bits: u8| {
            let field = rest & mask(bits);
            rest >>= bits;
            field
        };
        let sequence = take(self.sequence_bits);
        let worker = take(self.worker_bits) as u16;
        let tag = take(self.tag_bits) as u16;
        let time = take(self.time_bits);
        (rest == 0).then_some(Decoded { time_ms: self.epoch_ms + time as i64, tag, worker, sequence })
    }

    /// Returns the epoch in milliseconds since the UNIX epoch.
    pub fn epoch_ms(&self) -> i64 {
        self.epoch_ms
    }

    /// Returns the width of the sequence field.
    pub fn sequence_bits(&self) -> u8 {
        self.sequence_bits
    }

    /// Returns how many tags there can be.
    pub fn tags(&self) -> u32 {
        1 << self.tag_bits
    }

    /// Returns how many workers there can be.
    pub fn workers(&self) -> u32 {
        1 << self.worker_bits
    }

    /// Returns how many ids fit into one millisecond of one tag and worker.
    pub fn ids_per_ms(&self) -> u64 {
        1 << self.sequence_bits
    }

    /// Returns the first millisecond (since the UNIX epoch) that cannot be stamped any more.
    pub fn end_of_life_ms(&self) -> i64 {
        self.epoch_ms + (1i64 << self.time_bits)
    }

    /// Returns the day (UTC) of [`Self::end_of_life_ms`] as `YYYY-MM-DD`.
    pub fn end_of_life_date(&self) -> String {
        date_of(self.end_of_life_ms().div_euclid(86_400_000))
    }
}

fn mask(bits: u8) -> u64 {
    (1u64 << bits) - 1
}

/// Writes milliseconds since the UNIX epoch as `YYYY-MM-DDTHH:MM:SS.mmmZ`.
pub fn date_time(time_ms: i64) -> String {
    let (day, of_day) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    let (hours, minutes, seconds) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", date_of(day), of_day % 1000)
}

/// Writes a day counted from 1970-01-01 in the proleptic Gregorian calendar.
///
/// Years are counted from March so that the leap day is the last of its year; 400 years have 146,097 days.
fn date_of(day: i64) -> String {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}
