//! A section of plain numbers, declared once: its struct, defaults, keys with bounds, and reading.

/// 1 KiB in bytes.
pub const KIB: usize = 1 << 10;
/// 1 MiB in bytes.
pub const MIB: usize = 1 << 20;
/// 1 GiB in bytes.
pub const GIB: usize = 1 << 30;

/// Declares a section: `key: kind(least, greatest) = default`, where the kind is `count`, `size` (both `usize`) or
/// `span` (`Duration`, its bounds in milliseconds); the doc comment of a key is also its description in the JSON Schema.
macro_rules! settings {
    (
        $(#[doc = $section:literal])*
        pub struct $name:ident as $what:literal in $record:ident {
            $( $(#[doc = $about:literal])+ $key:ident: $kind:ident($min:expr, $max:expr) = $default:expr, )+
        }
    ) => {
        $(#[doc = $section])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $( $(#[doc = $about])+ pub $key: settings!(@type $kind), )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: settings!(@value $kind $default), )+ }
            }
        }

        /// The keys of the section.
        pub(super) const $record: $crate::yaml::Record = $crate::yaml::Record {
            what: $what,
            fields: &[$(
                $crate::yaml::Field::optional(
                    stringify!($key),
                    settings!(@shape $kind $min, $max),
                    concat!($($about),+).trim_ascii(),
                ),
            )+],
        };

        impl $name {
            /// Reads the section whose shape was checked; what it leaves out has its default.
            pub(super) fn read(node: Option<&$crate::yaml::Node>) -> Self {
                let default = Self::default();
                let field = |key| node.and_then(|node| node.get(key));
                Self { $( $key: settings!(@read $kind field(stringify!($key))).unwrap_or(default.$key), )+ }
            }

            /// Returns the keys with their values as the file would write them.
            pub fn pairs(&self) -> Vec<(&'static str, String)> {
                vec![$( (concat!($what, ".", stringify!($key)), settings!(@text $kind self.$key)), )+]
            }
        }
    };
    (@type count) => { usize };
    (@type size) => { usize };
    (@type span) => { std::time::Duration };
    (@value count $value:expr) => { $value };
    (@value size $value:expr) => { $value };
    (@value span $value:expr) => { std::time::Duration::from_millis($value) };
    (@shape count $min:expr, $max:expr) => { $crate::yaml::Shape::Integer { min: $min as u64, max: $max as u64 } };
    (@shape size $min:expr, $max:expr) => { $crate::yaml::Shape::Size { min: $min as u64, max: $max as u64 } };
    (@shape span $min:expr, $max:expr) => {
        $crate::yaml::Shape::Duration {
            min: std::time::Duration::from_millis($min),
            max: std::time::Duration::from_millis($max),
        }
    };
    (@text count $value:expr) => { $value.to_string() };
    (@text size $value:expr) => { $crate::yaml::size_text($value as u64) };
    (@text span $value:expr) => { $crate::yaml::duration_text($value) };
    (@read count $node:expr) => { $node.and_then(|node| node.integer()).and_then(|number| usize::try_from(number).ok()) };
    (@read size $node:expr) => { $node.and_then(|node| node.size()).and_then(|bytes| usize::try_from(bytes).ok()) };
    (@read span $node:expr) => { $node.and_then(|node| node.duration()) };
}

pub(super) use settings;
