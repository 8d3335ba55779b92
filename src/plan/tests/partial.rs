//! What the shards fold and what home finishes.

use super::*;

#[test]
fn aggregates_in_expressions_are_made_of_parts() {
    check(
        "
        select count(*) + 1 from orders => gather s0 orders() s0+s1+s2 | parts SELECT count(*) from orders | SELECT coalesce(sum(shardloom_c0), 0)::int8 + 1 FROM pg_temp.shardloom_rows
        select region, count(*) + 1 from orders group by region => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select region, round(avg(total), 2), sum(total) / sum(user_id) from orders group by region having count(*) > 1 order by avg(total) desc, 1 limit 3 offset 1 => gather s0 orders() s0+s1+s2 | parts SELECT region, sum(total), count(total), sum(user_id), count(*) from orders GROUP BY 1 | SELECT shardloom_c0, round(shardloom_a1_2, 2), shardloom_s1 / shardloom_s3 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 HAVING coalesce(sum(shardloom_c4), 0)::int8 > 1 ORDER BY shardloom_a1_2 desc, 1 limit 3 offset 1
        select region, count(distinct total) from orders group by region order by 2 desc => gather s0 orders() s0+s1+s2 | parts SELECT region, total from orders GROUP BY 1, 2 | SELECT shardloom_c0, count(DISTINCT shardloom_c1) FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY 2 desc
        select count(distinct total), sum(distinct user_id), count(*) from orders => gather s0 orders() s0+s1+s2 | parts SELECT total, user_id, count(*) from orders GROUP BY 1, 2 | SELECT count(DISTINCT shardloom_c0), sum(DISTINCT shardloom_c1), coalesce(sum(shardloom_c2), 0)::int8 FROM pg_temp.shardloom_rows
        select count(distinct total) filter (where region > 3) from orders => gather s0 orders() s0+s1+s2 | parts SELECT CASE WHEN region > 3 THEN total END from orders GROUP BY 1 | SELECT count(DISTINCT shardloom_c0) FROM pg_temp.shardloom_rows
        select region as r, count(*) filter (where total > $1) * 2 as n from orders where total < $2 group by region order by n, r => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) FILTER (WHERE total > $1) from orders where total < $2 GROUP BY 1 [Client(0), Client(1)] | SELECT shardloom_c0 as r, coalesce(sum(shardloom_c1), 0)::int8 * 2 as n FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY n, r
        select upper(note), count(*) + 1 from orders group by upper(note) order by upper(note) => gather s0 orders() s0+s1+s2 | parts SELECT upper(note), count(*) from orders GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY shardloom_c0
        select upper(note) || 'x', count(*) from orders group by upper(note) => gather s0 orders() s0+s1+s2 | parts SELECT upper(note), count(*) from orders GROUP BY 1 | SELECT shardloom_c0 || 'x', coalesce(sum(shardloom_c1), 0)::int8 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select total + region, count(*) + 1 from orders group by total + region => gather s0 orders() s0+s1+s2 | parts SELECT total + region, count(*) from orders GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select count(*) from orders group by region having max(total) > 5 => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*), max(total) from orders GROUP BY 1 | SELECT coalesce(sum(shardloom_c1), 0)::int8 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 HAVING max(shardloom_c2) > 5
        select distinct count(*) from orders group by region => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT DISTINCT coalesce(sum(shardloom_c1), 0)::int8 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select region + 1 as total, count(*) + 1 from orders group by region order by total => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT shardloom_c0 + 1 as total, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY total
        select o.region, count(*) + 1 from orders o group by region order by o.region => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders o GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY shardloom_c0
        select region, count(*) + 1 from orders group by 1 order by 1 => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY 1
        select case when count(*) > 3 then 'many' else 'few' end, extract(year from max(created)) from orders => gather s0 orders() s0+s1+s2 | parts SELECT count(*), max(created) from orders | SELECT case when coalesce(sum(shardloom_c0), 0)::int8 > 3 then 'many' else 'few' end, extract(year from max(shardloom_c1)) FROM pg_temp.shardloom_rows
        select o.region, count(*) + sum(i.sku) from orders o join order_items i on i.buyer = o.user_id group by o.region => gather s0 order_items() s0+s1+s2 orders() s0+s1+s2 | parts SELECT o.region, count(*), sum(i.sku) from orders o join order_items i on i.buyer = o.user_id GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + shardloom_s2 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select -sum(total)::int, avg(total) + avg(total) filter (where region = 1) from orders => gather s0 orders() s0+s1+s2 | parts SELECT sum(total), count(total), sum(total) FILTER (WHERE region = 1), count(total) FILTER (WHERE region = 1) from orders | SELECT -shardloom_s0::int, shardloom_a0_1 + shardloom_a2_3 FROM pg_temp.shardloom_rows
        select 1 from orders having count(*) > 2 => gather s0 orders() s0+s1+s2 | parts SELECT count(*) from orders | SELECT 1 FROM pg_temp.shardloom_rows HAVING coalesce(sum(shardloom_c0), 0)::int8 > 2
        select sum(all total) + 1 from orders => gather s0 orders() s0+s1+s2 | parts SELECT sum(total) from orders | SELECT shardloom_s0 + 1 FROM pg_temp.shardloom_rows
        select coalesce(sum(total), 0), bool_and(total > 1) or every(region > 2), min(total) - max(region) from orders where user_id in (1, 2, 3) => gather s0 orders() s0+s1+s2 | parts SELECT sum(total), bool_and(total > 1), every(region > 2), min(total), max(region) from orders where user_id in (1, 2, 3) | SELECT coalesce(shardloom_s0, 0), bool_and(shardloom_c1) or every(shardloom_c2), min(shardloom_c3) - max(shardloom_c4) FROM pg_temp.shardloom_rows
        ",
    );
}

#[test]
fn what_is_not_understood_needs_the_rows() {
    check(
        "
        select (total + region) * 2, count(*) from orders group by total + region => gather s0 orders() s0+s1+s2
        select total + region * 2, count(*) + 1 from orders group by total + region => gather s0 orders() s0+s1+s2
        select region as k, count(*) + 1 from orders group by k => gather s0 orders() s0+s1+s2
        select note as region, count(*) + 1 from orders group by region => gather s0 orders() s0+s1+s2
        select region, array_agg(total) from orders group by region => refused unknown_function
        select region, sum(total order by total) from orders group by region => gather s0 orders() s0+s1+s2
        select region, count(*) + (select 1) from orders group by region => gather s0 orders() s0+s1+s2
        select region, count(*) + 1 from orders group by rollup(region) => gather s0 orders() s0+s1+s2
        select total, count(*) + 1 from orders group by region => gather s0 orders() s0+s1+s2
        select *, count(*) + 1 from orders group by region => gather s0 orders() s0+s1+s2
        select now(), count(*) + 1 from orders => gather s0 orders() s0+s1+s2
        select region, count(*) + 1 from orders group by region order by count => gather s0 orders() s0+s1+s2
        select shardloom_x, count(*) + 1 from orders group by shardloom_x => gather s0 orders() s0+s1+s2
        select max(count) + 1 from orders => gather s0 orders() s0+s1+s2
        select pg_catalog.count(*) + 1 from orders => gather s0 orders() s0+s1+s2
        ",
    );
}

fn partial(text: &str) -> Partial {
    let rules = rules();
    match plan_of(text, Parameters::default(), &rules) {
        Ok(Plan::Gather(Gather { partial: Some(partial), .. })) => *partial,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sums_are_finished_by_their_types() {
    let plan = partial("select region, sum(total) + 1, avg(total), sum(distinct user_id) from orders group by region");
    let sql = |types: &[u32]| match plan.finished(types) {
        Some(Statement::Rewritten { sql, .. }) => Some(sql),
        Some(Statement::Original) | None => None,
    };
    // Group key, what DISTINCT looks at, sum and count.
    let finished = "SELECT shardloom_rows.c0, sum(c2)::int8 + 1, (sum(c2) / nullif(sum(c3), 0)), \
                    sum(DISTINCT shardloom_rows.c1) FROM pg_temp.shardloom_rows GROUP BY shardloom_rows.c0";
    assert_eq!(sql(&[20, 23, 20, 20]).as_deref(), Some(finished));
    assert_eq!(sql(&[20, 1700, 1700, 20]), Some(finished.replace("sum(c2)::int8", "sum(c2)")));
    for types in [[20, 23, 701, 20], [20, 23, 700, 20], [20, 701, 20, 20], [20, 23, 1186, 20], [20, 23, 790, 20]] {
        assert_eq!(sql(&types), None, "{types:?}");
    }
    let spans = partial("select sum(total) + sum(total) from orders");
    assert!(spans.finished(&[1186]).is_some() && spans.finished(&[790]).is_some() && spans.finished(&[701]).is_none());
    assert_eq!(
        plan.shown(),
        "SELECT c0, sum(c2) + 1, sum(c2) / sum(c3), sum(DISTINCT c1) FROM pg_temp.shardloom_rows GROUP BY c0"
    );
}

#[test]
fn a_comment_does_not_swallow_what_is_put_behind_it() {
    let plan = partial("select region, count(*) + 1 from orders -- all of them\n group by region");
    let Statement::Rewritten { sql, .. } = &plan.parts.statement else { panic!("no text") };
    assert_eq!(sql, "SELECT region, count(*) from orders -- all of them\n GROUP BY 1");
}

#[test]
fn a_bare_name_in_order_by_is_that_of_a_column_of_the_result() {
    check(
        "
        select region::text, count(*) + 1 from orders group by region order by region => gather s0 orders() s0+s1+s2
        select region::text, count(*) + 1 from orders group by region order by (region) => gather s0 orders() s0+s1+s2
        select case when count(*) > 1 then 2 else region end, count(*) + 1 from orders group by region order by region => gather s0 orders() s0+s1+s2
        select region, count(*) + 1 as region from orders group by region order by region => gather s0 orders() s0+s1+s2
        select region::text, region, count(*) + 1 from orders group by region order by region => gather s0 orders() s0+s1+s2
        select o.region::text, count(*) + 1 from orders o group by o.region order by o.region => gather s0 orders() s0+s1+s2 | parts SELECT o.region, count(*) from orders o GROUP BY 1 | SELECT shardloom_c0::text, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY shardloom_c0
        select region::text, count(*) + 1 from orders group by region order by region + 0 => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT shardloom_c0::text, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY shardloom_c0 + 0
        select o.region, count(*) + 1 from orders o group by region order by region => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders o GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY shardloom_c0
        select region::text as label, count(*) + 1 from orders group by region order by region => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT shardloom_c0::text as label, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY shardloom_c0
        ",
    );
    let plan = partial("select o.region::text, count(*) + 1 from orders o group by o.region order by o.region desc");
    let Some(Statement::Rewritten { sql, .. }) = plan.finished(&[23, 20]) else { panic!("not finished") };
    assert!(sql.ends_with(" ORDER BY shardloom_rows.c0 desc"), "{sql}");
}

#[test]
fn an_alias_is_no_column_of_the_parts() {
    check(
        "
        select -region as c0, count(*) + 1 from orders group by region order by region => gather s0 orders() s0+s1+s2
        select -region as C12, count(*) + 1 from orders group by region order by c12 => gather s0 orders() s0+s1+s2
        select -region as c, count(*) + 1 from orders group by region order by c => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT -shardloom_c0 as c, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY c
        ",
    );
}

#[test]
fn words_that_are_no_columns_are_no_keys() {
    check(
        "
        select day, max(at) + interval '1' day from orders group by day => gather s0 orders() s0+s1+s2 | parts SELECT day, max(at) from orders GROUP BY 1 | SELECT shardloom_c0, max(shardloom_c1) + interval '1' day FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select year, extract(year from max(at)) from orders group by year => gather s0 orders() s0+s1+s2 | parts SELECT year, max(at) from orders GROUP BY 1 | SELECT shardloom_c0, extract(year from max(shardloom_c1)) FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select date, max(at)::date from orders group by date => gather s0 orders() s0+s1+s2 | parts SELECT date, max(at) from orders GROUP BY 1 | SELECT shardloom_c0, max(shardloom_c1)::date FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        ",
    );
    let plan = partial("select day, max(at)::interval day + (1 + day) from orders group by day");
    assert_eq!(plan.shown(), "SELECT c0, max(c1)::interval day + (1 + c0) FROM pg_temp.shardloom_rows GROUP BY c0");
}

#[test]
fn collations_inside_of_aggregates_need_the_rows() {
    check(
        "
        select max(note collate \"C\") || 'x' from orders => gather s0 orders() s0+s1+s2
        select count(distinct note collate \"C\") + 1 from orders => gather s0 orders() s0+s1+s2
        ",
    );
}
