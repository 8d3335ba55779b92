//! The tree as lines, indented as PostgreSQL indents its plans.

use super::tree::{PartPlan, Tree};

/// Returns the lines of the whole tree.
pub(super) fn lines(tree: &Tree) -> Vec<String> {
    let facts: Vec<String> = tree.facts.iter().map(|(name, text)| format!("{}: {text}", name.to_lowercase())).collect();
    let mut lines = vec![format!("{}  ({})", tree.node, facts.join(", "))];
    for part in &tree.parts {
        lines.extend(part_lines(part));
    }
    lines
}

fn part_lines(part: &PartPlan) -> Vec<String> {
    let tables = if part.tables.is_empty() { String::new() } else { format!(" ({})", part.tables.join(", ")) };
    let mut lines = vec![format!("  ->  {} {}{tables}", part.node, part.shard)];
    lines.extend(part.note.map(|note| format!("        {note}")));
    let mut in_summary = false;
    for (at, line) in part.lines.iter().enumerate() {
        // What stands at the margin behind the plan speaks of the whole statement: times, triggers, settings.
        in_summary |= at > 0 && !line.starts_with(' ');
        lines.push(match (at, in_summary) {
            (0, _) => format!("        ->  {line}"),
            (_, true) => format!("        {line}"),
            (_, false) => format!("            {line}"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_hang_below_their_shards_and_times_beside_them() {
        let plan = [
            "Sort",
            "  Sort Key: a",
            "  ->  Seq Scan on t",
            "Planning:",
            "  Buffers: shared hit=1",
            "Planning Time: 1 ms",
        ];
        let part = |shard: &str, lines: &[&str], note| PartPlan {
            node: "Shard",
            shard: shard.to_owned(),
            tables: vec!["t".to_owned()],
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            note,
        };
        let facts = vec![("Shards", "2".to_owned()), ("Merge", "order by column 1".to_owned())];
        let parts = vec![part("s0", &plan, None), part("s1", &[], Some("not known"))];
        let expected = "\
Shardloom Scatter  (shards: 2, merge: order by column 1)
  ->  Shard s0 (t)
        ->  Sort
              Sort Key: a
              ->  Seq Scan on t
        Planning:
          Buffers: shared hit=1
        Planning Time: 1 ms
  ->  Shard s1 (t)
        not known";
        assert_eq!(lines(&Tree { node: "Shardloom Scatter", facts, parts }).join("\n"), expected);
    }
}
