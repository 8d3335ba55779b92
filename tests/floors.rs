//! Holds the architecture: a module uses only modules of lower floors, and a few things have one importer each.
//!
//! Reads the groups of `src/lib.rs` and every `crate::` path below `src/`, and names each path that climbs or stays
//! on its floor. Text is read without a parser: comments, strings and character literals are blanked out first.

#[path = "floors/importers.rs"]
mod importers;
#[path = "floors/paths.rs"]
mod paths;
#[path = "floors/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use paths::crate_modules;
use source::{Source, sources_below};

/// The floor of each top-level module: its group in `lib.rs`, counted from 0.
type Floors = BTreeMap<String, usize>;

/// Reads the `pub mod` lines; a comment `// floor N` or a blank line ends a group.
fn floors(lib: &str) -> Floors {
    let mut floors = Floors::new();
    let (mut floor, mut used) = (0, false);
    for line in lib.lines().map(str::trim) {
        if let Some(module) = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")) {
            floors.insert(module.trim_end_matches(';').to_owned(), floor);
            used = true;
        } else if used && (line.is_empty() || line.starts_with("// floor")) {
            (floor, used) = (floor + 1, false);
        }
    }
    floors
}

/// Returns a line for each path in `source` that its module may not use.
fn climbs(source: &Source, floors: &Floors) -> Vec<String> {
    let Some(own) = floors.get(&source.module) else { return Vec::new() };
    let used = crate_modules(&source.code);
    used.into_iter()
        .filter(|(_, module)| *module != source.module)
        .filter_map(|(line, module)| {
            let place = format!("{}:{line}: {} (floor {own}) uses crate::{module}", source.path, source.module);
            match floors.get(&module) {
                Some(floor) if floor < own => None,
                Some(floor) => Some(format!("{place} (floor {floor})")),
                None => Some(format!("{place}, which lib.rs does not list")),
            }
        })
        .collect()
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn real_floors() -> Floors {
    floors(&std::fs::read_to_string(package().join("src/lib.rs")).expect("src/lib.rs"))
}

#[test]
fn no_module_uses_its_own_floor_or_a_higher_one() {
    let floors = real_floors();
    assert!(floors.len() >= 16, "lib.rs lists its modules, got {floors:?}");
    let found: Vec<String> =
        sources_below(&package().join("src")).iter().flat_map(|source| climbs(source, &floors)).collect();
    assert!(found.is_empty(), "paths that climb:\n{}", found.join("\n"));
}

/// The command's own modules, declared by `main.rs`, stand above all floors: they reach the library by its name, so
/// that their `crate::` is themselves.
fn modules_of_main() -> Floors {
    floors(&std::fs::read_to_string(package().join("src/main.rs")).expect("src/main.rs"))
}

#[test]
fn every_folder_and_file_of_src_is_on_a_floor() {
    let (floors, above) = (real_floors(), modules_of_main());
    let missing: Vec<String> = sources_below(&package().join("src"))
        .into_iter()
        .filter(|source| !matches!(source.module.as_str(), "lib" | "main"))
        .filter(|source| !floors.contains_key(&source.module) && !above.contains_key(&source.module))
        .map(|source| source.path)
        .collect();
    assert!(missing.is_empty(), "lib.rs does not list the modules of: {missing:?}");
}

#[test]
fn few_modules_name_the_parser_and_the_sockets() {
    let found: Vec<String> = sources_below(&package().join("src")).iter().flat_map(importers::strangers).collect();
    assert!(found.is_empty(), "words that belong to other modules:\n{}", found.join("\n"));
}

mod of_itself {
    use super::*;

    const LIB: &str = "//! Doc.\n\n// floor 0\npub mod types;\n\n// floor 1\npub mod rules;\npub mod sql;\n\n// floor 2\npub mod plan;\n";

    fn found(module: &str, text: &str) -> Vec<String> {
        climbs(&Source::new("src/x.rs", module, text), &floors(LIB))
    }

    #[test]
    fn groups_are_floors() {
        let expected = [("plan", 2), ("rules", 1), ("sql", 1), ("types", 0)];
        assert_eq!(floors(LIB), expected.map(|(module, floor)| (module.to_owned(), floor)).into());
    }

    #[test]
    fn a_path_down_and_a_path_to_oneself_are_fine() {
        assert!(found("plan", "use crate::{types, rules::{self, RuleSet}, sql};\nuse crate::plan::Plan;").is_empty());
        assert!(found("main", "use crate::plan::Plan;").is_empty(), "main stands above all");
    }

    #[test]
    fn a_path_up_is_named_with_its_line() {
        let expected = "src/x.rs:2: rules (floor 1) uses crate::plan (floor 2)";
        assert_eq!(found("rules", "use crate::types::A;\nuse crate::plan::Plan;"), [expected]);
    }

    #[test]
    fn a_path_sideways_is_named() {
        assert_eq!(found("sql", "fn f() -> crate::rules::RuleSet {}").len(), 1);
    }

    #[test]
    fn nested_and_multi_line_imports_are_read() {
        let text = "use crate::{\n    types::{ShardId, plan},\n    plan::{Plan, rules},\n};\npub(crate) use crate :: sql as other;";
        let lines: Vec<String> = found("rules", text);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains(":3:") && lines[0].contains("crate::plan"));
        assert!(lines[1].contains(":5:") && lines[1].contains("crate::sql"));
    }

    #[test]
    fn a_module_that_is_not_listed_is_named() {
        assert!(found("rules", "use crate::nowhere::A;")[0].ends_with("which lib.rs does not list"));
    }

    #[test]
    fn comments_and_strings_do_not_count() {
        let text = "// crate::plan\n/* crate::plan /* nested */ crate::plan */\nlet a = \"crate::plan\";\nlet b = r#\"\"crate::plan\"#;\nlet c = '\"'; // \"\n/// [`crate::plan`]\nfn f<'a>() {}";
        assert!(found("rules", text).is_empty());
    }

    #[test]
    fn code_after_a_character_literal_counts() {
        assert_eq!(found("rules", "let c = '\"'; crate::plan::f(); let d = '\\''; crate::plan::g();").len(), 2);
    }

    #[test]
    fn foreign_words_are_named() {
        let strangers = |module: &str, text: &str| importers::strangers(&Source::new("src/x.rs", module, text)).len();
        assert_eq!(strangers("plan", "use sqlparser::ast::Query;"), 1);
        assert_eq!(strangers("sql", "use sqlparser::ast::Query;"), 0);
        assert_eq!(strangers("plan", "let socket = tokio::net::TcpStream::connect(a);"), 1);
        assert_eq!(strangers("plan", "use std::net::TcpListener;\nuse std::net::IpAddr;"), 1);
        assert_eq!(strangers("backend", "let socket = tokio::net::TcpStream::connect(a);"), 0);
        assert_eq!(strangers("plan", "struct MyTcpStreams; // TcpStream"), 0);
    }
}
