//! The lexical part: tokens, skeletons, splitting, splicing, hints.

use super::*;

fn tokens(text: &str) -> Vec<(TokenKind, &str)> {
    Scanner::new(text).map(|token| (token.kind, token.text(text))).collect()
}

fn skeleton(text: &str) -> String {
    let mut out = Skeleton::default();
    mask(text, &mut out);
    out.text
}

fn values(text: &str) -> Vec<Option<String>> {
    literals(text).iter().map(|literal| literal_value(text, literal).map(|value| value.into_owned())).collect()
}

#[test]
fn numbers_end_where_postgresql_ends_them() {
    use TokenKind::{Number, Punctuation, Word};
    assert_eq!(tokens("1.5e3"), [(Number, "1.5e3")]);
    assert_eq!(tokens("1_000"), [(Number, "1_000")]);
    assert_eq!(tokens(".5"), [(Number, ".5")]);
    assert_eq!(tokens("0xFF"), [(Number, "0xFF")]);
    assert_eq!(tokens("1..2"), [(Number, "1"), (Punctuation, ".."), (Number, "2")]);
    assert_eq!(tokens("1 e"), [(Number, "1"), (Word, "e")]);
}

#[test]
fn operators_end_before_comments_and_signs() {
    use TokenKind::{Number, Operator, Word};
    assert_eq!(tokens("a=-1"), [(Word, "a"), (Operator, "="), (Operator, "-"), (Number, "1")]);
    assert_eq!(tokens("a@-1"), [(Word, "a"), (Operator, "@-"), (Number, "1")]);
    assert_eq!(tokens("a</*x*/1"), [(Word, "a"), (Operator, "<"), (Number, "1")]);
    assert_eq!(tokens("a-- x\n"), [(Word, "a")]);
    assert_eq!(tokens("a::b"), [(Word, "a"), (TokenKind::Cast, "::"), (Word, "b")]);
}

#[test]
fn quotes_of_all_sorts_are_one_token() {
    for text in ["'a''b'", "E'a\\'b'", "U&'\\0041'", "$$a'b$$", "$x$ $$ $x$", "B'01'", "x'ff'", "'a'\n 'b'", "n'x'"] {
        assert_eq!(tokens(text).len(), 1, "{text}");
        assert_eq!(literals(text).len(), 1, "{text}");
    }
    assert_eq!(tokens("'a' 'b'").len(), 2);
    assert_eq!(tokens("\"a\"\"b\""), [(TokenKind::QuotedIdentifier, "\"a\"\"b\"")]);
}

#[test]
fn what_never_ends_is_unterminated() {
    for text in ["'a", "E'a\\'", "$$a", "\"a", "/* a", "/* /* */"] {
        assert_eq!(tokens(text).last().expect("one token").0, TokenKind::Unterminated, "{text}");
    }
}

#[test]
fn constants_have_the_values_that_the_server_reads() {
    assert_eq!(values("'a''b'"), [Some("a'b".to_owned())]);
    assert_eq!(values("'a\\'"), [Some("a\\".to_owned())]);
    assert_eq!(values("E'\\x41\\101\\n\\'\\u00e9'"), [Some("AA\n'é".to_owned())]);
    assert_eq!(values("E'\\xff'"), [None]);
    assert_eq!(values("U&'d\\0061t\\+000061'"), [Some("data".to_owned())]);
    assert_eq!(values("$a$x$$y$a$"), [Some("x$$y".to_owned())]);
    assert_eq!(values("'a'\n'b'"), [Some("ab".to_owned())]);
    assert_eq!(values("1.5"), [Some("1.5".to_owned())]);
}

#[test]
fn skeletons_differ_only_by_more_than_constants() {
    assert_eq!(skeleton("select  * from t where a = 1"), skeleton("select * from t  where a = 22 "));
    assert_eq!(skeleton("select /* x */ 1"), skeleton("select 2"));
    assert_ne!(skeleton("select 1"), skeleton("select '1'"));
    assert_ne!(skeleton("select 1"), skeleton("select \u{6}"));
    assert_ne!(skeleton("select \"a\""), skeleton("select a"));
    assert_ne!(skeleton("/* shardloom: shard=s1 */ select 1"), skeleton("/* shardloom: shard=s0 */ select 1"));
}

#[test]
fn statements_split_at_top_level_semicolons() {
    let parts = |text: &'static str| split(text).into_iter().map(|range| &text[range]).collect::<Vec<_>>();
    assert_eq!(parts("select 1; ;select ';' ;"), ["select 1", "select ';'"]);
    assert_eq!(parts("/* a;b */ select 1 -- ;\n"), ["/* a;b */ select 1"]);
    assert_eq!(parts(" ; "), Vec::<&str>::new());
    assert_eq!(parts("begin; commit"), ["begin", "commit"]);
    let body = "create function f() returns int begin atomic select 1; select case when true then 1 end; end";
    assert_eq!(split(&format!("{body}; select 2")).len(), 2);
}

#[test]
fn edits_apply_in_any_order() {
    let edits = [(4..5, "X".to_owned()), (0..1, String::new()), (5..5, "!".to_owned())];
    assert_eq!(splice("abcdef", &edits), "bcdX!f");
}

#[test]
fn hints_are_read_from_leading_comments_only() {
    assert_eq!(hints("/* shardloom: shard=s1 */ select 1").and_then(|hint| hint.shard), Some("s1".to_owned()));
    assert_eq!(hints("/* a */ /* shardloom: sharding_key=42 */ x").and_then(|h| h.sharding_key), Some("42".to_owned()));
    assert_eq!(hints("select 1 /* shardloom: shard=s1 */"), None);
    assert_eq!(hints("/* shardloom: typo=1 */ x").map(|hint| hint.unknown), Some(vec!["typo=1".to_owned()]));
}

proptest::proptest! {
    #[test]
    fn any_text_scans_masks_splits_and_reads(text in "[a-zA-Z0-9'\"$\\\\/*;\\-\\.:&é\\n ()_]{0,60}") {
        let end = Scanner::new(&text).last().map_or(0, |token| token.end);
        proptest::prop_assert!(end <= text.len());
        let _ = (skeleton(&text), split(&text), hints(&text), values(&text));
    }
}
