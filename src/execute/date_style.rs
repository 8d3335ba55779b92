//! `SET datestyle` of an order or a style alone: the other half stays, so what is replayed elsewhere must name it too.
//!
//! Whether a value is right is the server's to judge; one that is not understood here is replayed as it was said.

/// What a part of the value is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Style,
    Order,
}

/// Returns what `new` says and, from `before`, the half that `new` leaves as it is. Both are what stands after
/// `SET datestyle TO`.
pub(super) fn combined(before: &str, new: &str) -> String {
    let (Some(old_parts), Some(new_parts)) = (parts(before), parts(new)) else { return new.to_owned() };
    let names = |half| new_parts.iter().any(|(known, _)| *known == half);
    // German brings its own order along.
    let brings_order = new_parts.iter().any(|(_, part)| part.starts_with("german"));
    let kept = |half| !(names(half) || half == Half::Order && brings_order);
    let old = old_parts.into_iter().filter(|(half, _)| kept(*half));
    let words: Vec<String> = old.chain(new_parts.iter().cloned()).map(|(_, part)| part).collect();
    format!("'{}'", words.join(", "))
}

/// Reads a list such as `'ISO, DMY'` or `iso, dmy`; `None` if a part is no style and no order.
fn parts(value: &str) -> Option<Vec<(Half, String)>> {
    let plain = value.replace(['\'', '"'], "").to_ascii_lowercase();
    plain.split(',').map(|part| half(part.trim()).map(|half| (half, part.trim().to_owned()))).collect()
}

/// As PostgreSQL tells them, mostly by how they begin.
fn half(part: &str) -> Option<Half> {
    let begins = |with: &[&str]| with.iter().any(|with| part.starts_with(with));
    if part == "iso" || begins(&["sql", "postgres", "german"]) {
        return Some(Half::Style);
    }
    (["ymd", "dmy", "mdy", "us"].contains(&part) || begins(&["euro", "noneuro"])).then_some(Half::Order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_that_is_not_named_stays() {
        for (before, new, after) in [
            ("'Postgres, MDY'", "dmy", "'postgres, dmy'"),
            ("'ISO, YMD'", "'SQL'", "'ymd, sql'"),
            ("iso, ymd", "'German'", "'german'"),
            ("'German'", "ymd", "'german, ymd'"),
            ("dmy", "mdy", "'mdy'"),
            ("'ISO'", "European", "'iso, european'"),
            ("'ISO, DMY'", "'SQL, US'", "'sql, us'"),
        ] {
            assert_eq!(combined(before, new), after, "{new} after {before}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said_as_it_was() {
        for new in ["nonsense", "''", "'ISO, nonsense'", "E'\\x49'", "iso dmy"] {
            assert_eq!(combined("'ISO, MDY'", new), new);
        }
        assert_eq!(combined("nonsense", "dmy"), "dmy");
    }
}
