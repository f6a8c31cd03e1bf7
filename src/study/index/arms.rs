//! The arms of an index experiment. Pure.

use super::IndexAsk;
use crate::record::index::{IndexArm, IndexEffect, IndexQuestion};

/// The arms, and which of them tell the effect of which index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arms {
    /// The arms.
    pub(super) all: Vec<IndexArm>,
    /// The arm that is as the target was.
    pub(super) baseline: usize,
    /// Of each index by itself, then of all together, where there are several.
    pub(super) effects: Vec<IndexEffect>,
    /// Of all together.
    pub(super) whole: IndexEffect,
    is_added: bool,
}

pub(super) fn question(ask: &IndexAsk) -> IndexQuestion {
    match ask {
        IndexAsk::Add(_) => IndexQuestion::Add,
        IndexAsk::Drop(_) => IndexQuestion::Drop,
        IndexAsk::DropUnused => IndexQuestion::DropUnused,
        IndexAsk::Suggest => IndexQuestion::Suggest,
    }
}

impl Arms {
    /// Arms for indexes of these labels, of which those that are `required` are never away and hidden in place of that. Where an index
    /// may be hidden from the planner, one more arm keeps all of them up without using them.
    pub(super) fn of(ask: &IndexAsk, labels: &[String], required: &[bool], may_hide: bool) -> Self {
        let stays = |place: &usize| required.get(*place).copied().unwrap_or(false);
        let all: Vec<usize> = (0..labels.len()).collect();
        let is_added = matches!(ask, IndexAsk::Add(_) | IndexAsk::Suggest);
        // Those that no statement uses are looked at together: what each costs shows in its size and in what it is written.
        let is_each = labels.len() > 1 && !matches!(ask, IndexAsk::DropUnused);
        let mut arms = Vec::new();
        let mut add = |name: &str, mut present: Vec<usize>, mut hidden: Vec<usize>| {
            let kept: Vec<usize> =
                all.iter().copied().filter(|of| stays(of) && !present.contains(of)).collect();
            hidden.extend(&kept);
            present.extend(kept);
            present.sort_unstable();
            arms.push(IndexArm { name: name.to_owned(), present, hidden });
            arms.len() - 1
        };
        let several = labels.len() > 1;
        let none = add(if several { "none" } else { "without" }, Vec::new(), Vec::new());
        let whole = add(if several { "all" } else { "with" }, all.clone(), Vec::new());
        // Where none can be away, the arm without them is the one that hides them.
        let differs = !all.iter().all(stays);
        let hidden = (may_hide && differs).then(|| add("hidden", all.clone(), all.clone()));
        let mut effects = Vec::new();
        if is_each {
            for (place, label) in labels.iter().enumerate() {
                let (name, present) = if is_added {
                    (format!("only {label}"), vec![place])
                } else {
                    (format!("not {label}"), all.iter().copied().filter(|other| *other != place).collect())
                };
                let arm = add(&name, present, Vec::new());
                let (without, with) = if is_added { (none, arm) } else { (arm, whole) };
                effects.push(IndexEffect { subject: Some(place), without, hidden: None, with });
            }
        }
        let whole = IndexEffect { subject: None, without: none, hidden, with: whole };
        match labels.len() {
            1 => effects.push(IndexEffect { subject: Some(0), ..whole }),
            _ => effects.push(whole),
        }
        let baseline = if is_added { whole.without } else { whole.with };
        Self { all: arms, baseline, effects, whole, is_added }
    }

    /// What an arm of the comparison is, for a person.
    pub(super) fn what(&self, arm: usize) -> String {
        let name = &self.all[arm].name;
        if arm == self.baseline {
            let state = if self.is_added { "without" } else { "with" };
            return format!("as it is ({state} {})", self.things());
        }
        let things = self.things();
        if name == "without" || name == "none" {
            format!("without {things}")
        } else {
            format!("with {things}")
        }
    }

    fn things(&self) -> String {
        match self.all[self.whole.with].present.len() {
            1 => "the index".to_owned(),
            many => format!("the {many} indexes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::index::CreateIndex;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn add(count: usize) -> IndexAsk {
        IndexAsk::Add(vec![CreateIndex::parse("CREATE INDEX ON t (a)").expect("an index"); count])
    }

    #[test]
    fn one_index_has_three_arms_where_it_can_be_hidden() {
        let arms = Arms::of(&add(1), &labels(&["t (a)"]), &[], true);
        let names: Vec<&str> = arms.all.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["without", "with", "hidden"]);
        assert_eq!(arms.all[2].hidden, [0], "kept up and not used");
        assert_eq!(arms.effects, [IndexEffect { subject: Some(0), without: 0, hidden: Some(2), with: 1 }]);
        assert_eq!(arms.baseline, 0);
        assert_eq!(Arms::of(&add(1), &labels(&["t (a)"]), &[], false).all.len(), 2);
    }

    #[test]
    fn several_that_are_added_have_an_arm_each_and_one_together() {
        let arms = Arms::of(&add(2), &labels(&["t (a)", "t (b)"]), &[], false);
        let present: Vec<&[usize]> = arms.all.iter().map(|arm| arm.present.as_slice()).collect();
        assert_eq!(present, [&[][..], &[0, 1], &[0], &[1]]);
        let effects: Vec<_> = arms.effects.iter().map(|of| (of.subject, of.without, of.with)).collect();
        assert_eq!(effects, [(Some(0), 0, 2), (Some(1), 0, 3), (None, 0, 1)]);
    }

    #[test]
    fn of_several_that_are_dropped_each_is_missed_among_the_others() {
        let arms = Arms::of(&IndexAsk::Drop(labels(&["a", "b"])), &labels(&["a", "b"]), &[], false);
        let present: Vec<&[usize]> = arms.all.iter().map(|arm| arm.present.as_slice()).collect();
        assert_eq!(present, [&[][..], &[0, 1], &[1], &[0]]);
        let effects: Vec<_> = arms.effects.iter().map(|of| (of.subject, of.without, of.with)).collect();
        assert_eq!(effects, [(Some(0), 2, 1), (Some(1), 3, 1), (None, 0, 1)]);
        assert_eq!(arms.baseline, 1, "they are there");
        let unused = Arms::of(&IndexAsk::DropUnused, &labels(&["a", "b"]), &[], false);
        assert_eq!(unused.all.len(), 2, "those that nothing uses go together");
    }

    #[test]
    fn what_is_required_is_hidden_where_the_others_are_away() {
        let ask = IndexAsk::Drop(labels(&["a", "b"]));
        let arms = Arms::of(&ask, &labels(&["a", "b"]), &[true, false], true);
        let of: Vec<(&str, &[usize], &[usize])> =
            arms.all.iter().map(|arm| (arm.name.as_str(), &arm.present[..], &arm.hidden[..])).collect();
        let expected: [(&str, &[usize], &[usize]); 5] = [
            ("none", &[0], &[0]),
            ("all", &[0, 1], &[]),
            ("hidden", &[0, 1], &[0, 1]),
            ("not a", &[0, 1], &[0]),
            ("not b", &[0], &[]),
        ];
        assert_eq!(of, expected);
        let alone = Arms::of(&IndexAsk::Drop(labels(&["a"])), &labels(&["a"]), &[true], true);
        assert_eq!(alone.all.len(), 2, "the arm without it hides it already: {:?}", alone.all);
        assert_eq!(alone.effects[0].hidden, None);
    }
}
