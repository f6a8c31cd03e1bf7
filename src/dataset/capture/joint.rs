//! Columns that go together: what `CREATE STATISTICS` had `ANALYZE` find of them becomes a column that is drawn by the value of
//! another one. What is not held is listed. Knows no server.

use std::collections::BTreeMap;

use super::column::{Description, Written, histogram, quoted};
use super::facts::{JointStatistics, Remark, TableFacts};

/// From this share of the rows on a column counts as determined by another one.
const DETERMINES: f64 = 0.95;
/// An estimate of the combinations may be above that of the values by this factor, and still say that they are as many.
const AS_MANY: f64 = 1.02;
/// Combinations that miss what the columns alone would give by less than this share of the rows say nothing.
const TOGETHER: f64 = 0.05;
/// A value is described where its combinations make up at least this share of its rows.
const KNOWN: f64 = 0.5;

/// A column of the table.
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    /// Its values as they are written; nothing of one that refers to another table.
    pub(super) written: &'a Written,
    /// Whether another column may decide its values: nothing else does.
    pub(super) is_free: bool,
    /// Whether it has another value in each row, and so says nothing of others.
    pub(super) is_unique: bool,
    /// Share of NULLs.
    pub(super) nulls: f64,
    /// How many different values it has.
    pub(super) distinct: f64,
}

/// One column by another one, by their places among the members.
struct Edge {
    on: usize,
    of: usize,
    how: How,
    statistics: usize,
}

enum How {
    /// Each value of the one has one value of the other.
    Determined,
    /// Some combinations come more often than the columns alone say, by this share of the rows.
    Common(f64),
}

/// The columns that are drawn by others, with how, and what is not held.
pub(super) fn together(
    table: &TableFacts,
    members: &[Member<'_>],
) -> (Vec<(String, Description)>, Vec<Remark>) {
    let mut edges: Vec<Edge> = vec![];
    for (number, joint) in table.joint.iter().enumerate() {
        edges.extend(edges_of(table, joint, number, members));
    }
    let rank = |edge: &Edge| match edge.how {
        // The nearest one decides: of street and postcode, which both determine a town, the postcode.
        How::Determined => (0, members[edge.on].distinct),
        How::Common(share) => (1, -share),
    };
    edges.sort_by(|one, other| {
        let (a, b) = (rank(one), rank(other));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then((one.on, one.of).cmp(&(other.on, other.of)))
    });
    let mut decided: BTreeMap<usize, usize> = BTreeMap::new();
    let mut made = vec![];
    for edge in &edges {
        let (on, of) = (&members[edge.on], &members[edge.of]);
        if decided.contains_key(&edge.of) || !of.is_free || root(&decided, edge.on) == edge.of {
            continue;
        }
        let pairs = pairs(&table.joint[edge.statistics], on.name, of.name);
        let description = match edge.how {
            How::Determined => Some(determined(table, on, of, &pairs)),
            How::Common(_) => common(table, on, of, &pairs),
        };
        if let Some(description) = description {
            decided.insert(edge.of, edge.on);
            made.push((of.name.to_owned(), description));
        }
    }
    let apart = |edge: &&Edge| root(&decided, edge.on) != root(&decided, edge.of);
    let mut remarks = vec![];
    for (number, joint) in table.joint.iter().enumerate() {
        let place = format!("{}.{}", table.name, joint.name);
        if joint.has_expressions {
            remarks.push(Remark::new(
                &place,
                "its statistics of expressions are not held",
                "make the columns go together by hand: expression = \"…\", conditional = { on = … }",
            ));
        }
        if let Some(edge) = edges.iter().filter(|edge| edge.statistics == number).find(apart) {
            let (on, of) = (members[edge.on].name, members[edge.of].name);
            remarks.push(Remark::new(
                place,
                format!("{on} and {of} go together there, and are made apart"),
                format!("describe one by the other: conditional = {{ on = {}, … }}", quoted(on)),
            ));
        }
    }
    (made, remarks)
}

/// The column at the end of those by which one is decided: itself, where nothing decides it.
fn root(decided: &BTreeMap<usize, usize>, member: usize) -> usize {
    let mut at = member;
    // No edge closes a circle.
    while let Some(on) = decided.get(&at) {
        at = *on;
    }
    at
}

fn edges_of(table: &TableFacts, joint: &JointStatistics, number: usize, members: &[Member<'_>]) -> Vec<Edge> {
    let place = |name: &String| members.iter().position(|member| member.name == name);
    let places: Vec<usize> = joint.columns.iter().filter_map(place).collect();
    let mut edges = vec![];
    for &on in &places {
        for &of in places.iter().filter(|of| **of != on) {
            let (decides, follows) = (&members[on], &members[of]);
            // A key determines all, and what is the same in all rows follows from anything.
            if decides.is_unique || follows.is_unique || decides.distinct.min(follows.distinct) < 1.5 {
                continue;
            }
            if degree(joint, decides, follows) >= DETERMINES {
                edges.push(Edge { on, of, how: How::Determined, statistics: number });
                continue;
            }
            let share = together_by(table, &pairs(joint, decides.name, follows.name), decides, follows);
            // The column with fewer values decides: each of them has more rows to be described by.
            if share >= TOGETHER && (decides.distinct, on) <= (follows.distinct, of) {
                edges.push(Edge { on, of, how: How::Common(share), statistics: number });
            }
        }
    }
    edges
}

/// In which share of the rows one column determines the other.
fn degree(joint: &JointStatistics, on: &Member<'_>, of: &Member<'_>) -> f64 {
    let is_of =
        |(from, to, _): &&(Vec<String>, String, f64)| from.len() == 1 && from[0] == on.name && to == of.name;
    let said = joint.dependencies.iter().find(is_of).map_or(0.0, |(.., degree)| *degree);
    let both = |(columns, _): &&(Vec<String>, f64)| {
        columns.len() == 2 && [on.name, of.name].iter().all(|name| columns.iter().any(|of| of == name))
    };
    let as_many = joint.distinct.iter().find(both).is_some_and(|(_, count)| *count <= AS_MANY * on.distinct);
    if as_many { 1.0 } else { said }
}

/// The combinations of two columns: values of the first and of the second, and their share of the rows. NULLs are left out.
fn pairs<'a>(joint: &'a JointStatistics, on: &str, of: &str) -> Vec<(&'a str, &'a str, f64)> {
    let place = |name: &str| joint.columns.iter().position(|column| column == name);
    let (Some(on), Some(of)) = (place(on), place(of)) else { return vec![] };
    let mut shares: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for (values, share) in &joint.common {
        if let (Some(Some(one)), Some(Some(other))) = (values.get(on), values.get(of)) {
            *shares.entry((one.as_str(), other.as_str())).or_default() += share;
        }
    }
    shares.into_iter().map(|((one, other), share)| (one, other, share)).collect()
}

/// The common values of a column at the source, and the share of the rows that each has.
fn alone<'a>(table: &'a TableFacts, member: &Member<'_>) -> Vec<(&'a str, f64)> {
    let known = table.column(member.name).and_then(|column| column.statistics.as_ref());
    let pairs = known.map(|known| known.common.iter().zip(&known.frequencies)).into_iter().flatten();
    pairs.map(|(value, share)| (value.as_str(), *share)).collect()
}

/// By which share of the rows the combinations miss those of two columns that know nothing of each other.
fn together_by(table: &TableFacts, pairs: &[(&str, &str, f64)], on: &Member<'_>, of: &Member<'_>) -> f64 {
    let (ones, others): (BTreeMap<&str, f64>, BTreeMap<&str, f64>) =
        (alone(table, on).into_iter().collect(), alone(table, of).into_iter().collect());
    let apart = |(one, other, share): &(&str, &str, f64)| {
        let by_chance = ones.get(one)? * others.get(other)?;
        Some((share - by_chance).abs())
    };
    pairs.iter().filter_map(apart).sum::<f64>() / 2.0
}

/// A column each of whose values follows from one of another column.
fn determined(
    table: &TableFacts,
    on: &Member<'_>,
    of: &Member<'_>,
    pairs: &[(&str, &str, f64)],
) -> Description {
    let mut left = of.written.common.clone();
    let (mut when, mut taken): (Vec<(String, String)>, f64) = (vec![], 0.0);
    let known = |value: &str| {
        let all = pairs.iter().filter(|(one, ..)| *one == value);
        let (_, other, _) = all.max_by(|a, b| a.2.total_cmp(&b.2))?;
        of.written.of.get(*other).cloned()
    };
    // Where nobody knows, the one that has most rows left when all others are given, if it has room for these.
    let mut values: Vec<(&str, f64, Option<String>)> =
        alone(table, on).into_iter().map(|(value, share)| (value, share, known(value))).collect();
    values.sort_by_key(|(.., known)| known.is_none());
    for (value, share, known) in values {
        let Some(key) = on.written.of.get(value) else { continue };
        let roomy = || {
            let most = left.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
            (most.1 > share / 2.0).then(|| most.0.clone())
        };
        let Some(literal) = known.or_else(roomy) else { continue };
        if let Some((_, room)) = left.iter_mut().find(|(value, _)| *value == literal) {
            *room -= share;
        }
        taken += share;
        when.push((key.clone(), histogram(of.written.type_name, &[(literal, 1.0)], &[], None)));
    }
    let before = left.len() as f64;
    left.retain(|(_, room)| *room > 1e-6);
    let gone = before - left.len() as f64;
    let values = of.distinct - gone;
    let distinct = distinct_of_draws((on.distinct - when.len() as f64).max(1.0), values.max(1.0));
    let rest = 1.0 - of.nulls - taken;
    Description::of(conditional(on, when, &otherwise(of, &left, rest, distinct), true), of.nulls)
}

/// A column whose common values are others for each common value of another column.
fn common(
    table: &TableFacts,
    on: &Member<'_>,
    of: &Member<'_>,
    pairs: &[(&str, &str, f64)],
) -> Option<Description> {
    let mut when = vec![];
    for (value, share) in alone(table, on) {
        let Some(key) = on.written.of.get(value) else { continue };
        let share = share * (1.0 - of.nulls);
        let shares: Vec<(String, f64)> = pairs
            .iter()
            .filter(|(one, ..)| *one == value)
            .filter_map(|(_, other, of_both)| Some((of.written.of.get(*other)?.clone(), of_both / share)))
            .collect();
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if sum < KNOWN {
            continue;
        }
        // Without bounds these are all that there is.
        let bounds = if sum < 1.0 { bounds(of) } else { &[] };
        let whole = if bounds.is_empty() { sum } else { 1.0 };
        let shares: Vec<(String, f64)> =
            shares.into_iter().map(|(value, share)| (value, share / whole)).collect();
        when.push((key.clone(), histogram(of.written.type_name, &shares, bounds, None)));
    }
    if when.is_empty() {
        return None;
    }
    let distinct = (of.distinct > of.written.common.len() as f64).then_some(of.distinct);
    let otherwise = otherwise(of, &of.written.common, 1.0 - of.nulls, distinct);
    Some(Description::of(conditional(on, when, &otherwise, false), of.nulls))
}

/// What the rows have that no branch speaks of: the given common values within a `rest` of all rows.
fn otherwise(of: &Member<'_>, left: &[(String, f64)], rest: f64, distinct: Option<f64>) -> String {
    let bounds = bounds(of);
    let left = if left.is_empty() && bounds.is_empty() { of.written.common.as_slice() } else { left };
    let sum: f64 = left.iter().map(|(_, share)| share).sum();
    let whole = if bounds.is_empty() { sum } else { rest.max(sum) };
    let left: Vec<(String, f64)> =
        left.iter().map(|(value, share)| (value.clone(), share / whole.max(f64::MIN_POSITIVE))).collect();
    let least = left.len() as f64 + 1.0;
    let distinct = distinct.filter(|_| !bounds.is_empty()).map(|distinct| distinct.max(least));
    histogram(of.written.type_name, &left, bounds, distinct)
}

/// A single bound says nothing of what lies between.
fn bounds<'a>(of: &Member<'a>) -> &'a [String] {
    if of.written.bounds.len() < 2 { &[] } else { &of.written.bounds }
}

/// Among how many values must be drawn so that so many different ones come out of so many draws: with d of them d·(1 − e^(−draws ÷ d))
/// do on average. Nothing where each draw is another value.
fn distinct_of_draws(draws: f64, wanted: f64) -> Option<f64> {
    if wanted >= 0.97 * draws {
        return None;
    }
    let (mut low, mut high) = (wanted, wanted * 40.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if middle * (1.0 - (-draws / middle).exp()) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low.round())
}

fn conditional(on: &Member<'_>, when: Vec<(String, String)>, otherwise: &str, once: bool) -> String {
    let branch =
        |(literal, generator): (String, String)| format!("{} = {{ {generator} }}", quoted(&plain(&literal)));
    let branches: Vec<String> = when.into_iter().map(branch).collect();
    let when =
        if branches.is_empty() { String::new() } else { format!(", when = {{ {} }}", branches.join(", ")) };
    let draw = if once { ", draw = \"once\"" } else { "" };
    format!("conditional = {{ on = {}{when}, else = {{ {otherwise} }}{draw} }}", quoted(on.name))
}

/// A value of the document as the generator that makes it writes it.
fn plain(literal: &str) -> String {
    let read = toml::from_str::<toml::Table>(&format!("x = {literal}")).ok();
    let text = read.as_ref().and_then(|read| read["x"].as_str());
    text.unwrap_or(literal).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::facts::{ColumnFacts, ColumnStatistics, TypeKind};
    use super::*;

    fn column(name: &str, values: &[(&str, f64)]) -> ColumnFacts {
        let statistics = ColumnStatistics {
            distinct: values.len() as f64,
            common: values.iter().map(|(value, _)| (*value).to_owned()).collect(),
            frequencies: values.iter().map(|(_, share)| *share).collect(),
            ..ColumnStatistics::default()
        };
        ColumnFacts { statistics: Some(statistics), ..ColumnFacts::plain(name, "text", TypeKind::Text) }
    }

    /// Every value is written in capitals.
    fn written(column: &ColumnFacts) -> Written {
        let known = column.statistics.as_ref().expect("it has some");
        let literal = |value: &String| quoted(&value.to_uppercase());
        let common = known.common.iter().map(literal).zip(known.frequencies.iter().copied()).collect();
        let of = known.common.iter().map(|value| (value.clone(), literal(value))).collect();
        Written { type_name: "text", common, bounds: vec![], of }
    }

    fn described(joint: JointStatistics, columns: &[ColumnFacts]) -> (Vec<(String, String)>, Vec<String>) {
        let table = TableFacts {
            name: "t".into(),
            rows: 1000.0,
            columns: columns.to_vec(),
            joint: vec![joint],
            ..TableFacts::default()
        };
        let all: Vec<Written> = columns.iter().map(written).collect();
        let member = |(column, written)| {
            let ColumnFacts { name, statistics, .. }: &ColumnFacts = column;
            let distinct = statistics.as_ref().map_or(0.0, |known| known.distinct);
            Member { name, written, is_free: name != "fixed", is_unique: false, nulls: 0.0, distinct }
        };
        let members: Vec<Member<'_>> = columns.iter().zip(&all).map(member).collect();
        let (made, remarks) = together(&table, &members);
        (
            made.into_iter().map(|(name, description)| (name, description.generator)).collect(),
            remarks.into_iter().map(|remark| remark.what).collect(),
        )
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_postcode_determines_its_town_and_not_the_other_way() {
        let zip = column("zip", &[("8001", 0.3), ("8002", 0.3), ("3000", 0.4)]);
        let town = column("town", &[("zurich", 0.6), ("bern", 0.4)]);
        let joint = JointStatistics {
            name: "s".into(),
            columns: owned(&["zip", "town"]),
            dependencies: vec![(owned(&["zip"]), "town".into(), 1.0), (owned(&["town"]), "zip".into(), 0.4)],
            common: vec![
                (vec![Some("3000".into()), Some("bern".into())], 0.4),
                (vec![Some("8001".into()), Some("zurich".into())], 0.3),
            ],
            ..JointStatistics::default()
        };
        let (made, remarks) = described(joint, &[zip, town]);
        assert!(remarks.is_empty(), "{remarks:?}");
        let [(name, generator)] = made.as_slice() else { panic!("{made:?}") };
        assert_eq!(name, "town");
        // 8002 is in no combination: it goes where there is room.
        for (zip, town) in [("3000", "BERN"), ("8001", "ZURICH"), ("8002", "ZURICH")] {
            let branch = format!("\"{zip}\" = {{ histogram = {{ common_values = [\"{town}\"]");
            assert!(generator.contains(&branch), "{branch} in {generator}");
        }
        assert!(generator.ends_with("draw = \"once\" }"), "{generator}");
        assert!(!generator.contains("bern"), "values are written as their column writes them: {generator}");
    }

    #[test]
    fn combinations_are_as_common_as_they_are() {
        let country = column("country", &[("ch", 0.5), ("de", 0.5)]);
        let money = column("money", &[("franc", 0.5), ("euro", 0.5)]);
        let combination = |a: &str, b: &str, share| (vec![Some(a.to_owned()), Some(b.to_owned())], share);
        let joint = JointStatistics {
            columns: owned(&["country", "money"]),
            common: vec![
                combination("ch", "franc", 0.4),
                combination("ch", "euro", 0.1),
                combination("de", "franc", 0.1),
                combination("de", "euro", 0.4),
            ],
            ..JointStatistics::default()
        };
        let (made, remarks) = described(joint.clone(), &[country.clone(), money.clone()]);
        assert!(remarks.is_empty(), "{remarks:?}");
        let branch = "\"CH\" = { histogram = { common_values = [\"EURO\", \"FRANC\"], common_frequencies = [0.2, 0.799999]";
        assert!(made[0].1.contains(branch), "{made:?}");
        // What is decided otherwise cannot be decided by another column: that is said.
        let fixed = ColumnFacts { name: "fixed".into(), ..money };
        let joint = JointStatistics { columns: owned(&["country", "fixed"]), ..joint };
        let (made, remarks) = described(joint, &[country, fixed]);
        assert!(
            made.is_empty() && remarks == ["country and fixed go together there, and are made apart"],
            "{remarks:?}"
        );
    }

    #[test]
    fn what_is_drawn_too_seldom_is_drawn_from_more() {
        assert_eq!(distinct_of_draws(100.0, 100.0), None);
        let among = distinct_of_draws(1000.0, 800.0).expect("fewer than draws");
        assert!((among * (1.0 - (-1000.0 / among).exp()) - 800.0).abs() < 1.0, "{among}");
        assert_eq!(distinct_of_draws(100_000.0, 10.0), Some(10.0));
    }
}
