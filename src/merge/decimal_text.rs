//! `numeric` on the wire: PostgreSQL's text and binary formats, both ways.

use super::decimal::{BASE, BASE_DIGITS, Decimal, Number};

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;
/// What `numeric_send` writes as the scale of an infinity: bits of its header.
const INFINITY_SCALE: u16 = 0x20;
/// The decimal digits that PostgreSQL allows after the point.
const SCALE_MAX: usize = 16_383;

impl Decimal {
    /// Reads the text format; `None` if it is not one that the server writes.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        match text {
            b"NaN" => return Some(Self::NotANumber),
            b"Infinity" => return Some(Self::Infinity),
            b"-Infinity" => return Some(Self::NegativeInfinity),
            _ => {}
        }
        let (negative, unsigned) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let point = unsigned.iter().position(|&byte| byte == b'.').unwrap_or(unsigned.len());
        let whole = &unsigned[..point];
        let fraction = unsigned.get(point + 1..).unwrap_or_default();
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        if !all_digits || whole.len() + fraction.len() == 0 || fraction.len() > SCALE_MAX {
            return None;
        }
        let digits = pack(whole, fraction);
        let weight = whole.len().div_ceil(BASE_DIGITS as usize) as i32 - 1;
        Some(Self::Finite(Number::new(negative, weight, digits, fraction.len() as u16)))
    }

    /// Writes the text format.
    pub fn to_text(&self) -> Vec<u8> {
        match self {
            Self::NotANumber => b"NaN".to_vec(),
            Self::Infinity => b"Infinity".to_vec(),
            Self::NegativeInfinity => b"-Infinity".to_vec(),
            Self::Finite(number) => number.to_text(),
        }
    }

    /// Reads the binary format: counts of digits, weight, sign, scale, then the digits, 16 bits each.
    pub fn from_binary(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let (&[count, weight, sign, scale], digits) = words.split_first_chunk::<4>()?;
        if !bytes.len().is_multiple_of(2) || digits.len() != usize::from(count) {
            return None;
        }
        if digits.iter().any(|&digit| i64::from(digit) >= BASE) {
            return None;
        }
        match sign {
            SIGN_NAN => Some(Self::NotANumber),
            SIGN_INFINITY => Some(Self::Infinity),
            SIGN_NEGATIVE_INFINITY => Some(Self::NegativeInfinity),
            0 | SIGN_NEGATIVE => {
                let weight = i32::from(weight as i16);
                Some(Self::Finite(Number::new(sign == SIGN_NEGATIVE, weight, digits.to_vec(), scale)))
            }
            _ => None,
        }
    }

    /// Writes the binary format; `None` if the number has too many digits for it.
    pub fn to_binary(&self) -> Option<Vec<u8>> {
        let special = |scale| Number { scale, ..Number::default() };
        let (number, sign) = match self {
            Self::NotANumber => (&special(0), SIGN_NAN),
            Self::Infinity => (&special(INFINITY_SCALE), SIGN_INFINITY),
            Self::NegativeInfinity => (&special(INFINITY_SCALE), SIGN_NEGATIVE_INFINITY),
            Self::Finite(number) => (number, if number.negative { SIGN_NEGATIVE } else { 0 }),
        };
        let count = i16::try_from(number.digits.len()).ok()? as u16;
        let weight = i16::try_from(number.weight).ok()? as u16;
        let head = [count, weight, sign, number.scale];
        Some(head.iter().chain(&number.digits).flat_map(|word| word.to_be_bytes()).collect())
    }
}

impl Number {
    fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if self.negative {
            text.push(b'-');
        }
        let start = text.len();
        for weight in (0..=self.weight.max(0)).rev() {
            text.extend_from_slice(format!("{:04}", self.digit_at(weight)).as_bytes());
        }
        let zeros = text[start..].iter().take_while(|&&byte| byte == b'0').count();
        let padding = zeros.min(text.len() - start - 1);
        text.drain(start..start + padding);
        if self.scale > 0 {
            text.push(b'.');
            let end = text.len() + usize::from(self.scale);
            let mut weight = -1;
            while text.len() < end {
                text.extend_from_slice(format!("{:04}", self.digit_at(weight)).as_bytes());
                weight -= 1;
            }
            text.truncate(end);
        }
        text
    }

    fn digit_at(&self, weight: i32) -> u16 {
        usize::try_from(self.weight - weight).ok().and_then(|index| self.digits.get(index)).copied().unwrap_or(0)
    }
}

/// Packs decimal digits into base 10,000, aligned at the point.
fn pack(whole: &[u8], fraction: &[u8]) -> Vec<u16> {
    let width = BASE_DIGITS as usize;
    let before = (width - whole.len() % width) % width;
    let after = (width - fraction.len() % width) % width;
    let zeros = |count: usize| std::iter::repeat_n(&b'0', count);
    let padded: Vec<u8> =
        zeros(before).chain(whole).chain(fraction).chain(zeros(after)).map(|byte| byte - b'0').collect();
    padded
        .chunks_exact(width)
        .map(|chunk| chunk.iter().fold(0, |value, &digit| value * 10 + u16::from(digit)))
        .collect()
}
