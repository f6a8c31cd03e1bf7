//! The order in which objects can be made: each behind those that it needs, and otherwise by their kind. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// An object of the catalog: the table that it is listed in, and its number there.
pub(super) type Id = (u32, u32);

/// What depends on what.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Objects that are made with another one: the default of a column with its table, the rule of a view with the view.
    pub(super) part_of: BTreeMap<Id, Id>,
    /// For each object, those that it needs.
    needs: BTreeMap<Id, BTreeSet<Id>>,
}

impl Needs {
    /// Notes that `object` needs `other`.
    pub(super) fn note(&mut self, object: Id, other: Id) {
        let (object, other) = (self.whole(object), self.whole(other));
        if object != other {
            self.needs.entry(object).or_default().insert(other);
        }
    }

    /// What an object is made with; itself where it is made alone.
    pub(super) fn whole(&self, id: Id) -> Id {
        let mut at = id;
        // An array of the row type of a table is three steps away from it.
        for _ in 0..8 {
            match self.part_of.get(&at) {
                Some(whole) if *whole != at => at = *whole,
                _ => break,
            }
        }
        at
    }

    /// All that an object needs by itself.
    pub(super) fn of(&self, id: Id) -> impl Iterator<Item = Id> {
        self.needs.get(&id).into_iter().flatten().copied()
    }

    /// Brings objects, given in the order that they would have, into one in which they can be made. Where they need each other in a
    /// circle, they keep the given one.
    pub(super) fn sorted(&self, objects: &[Id]) -> Vec<usize> {
        let place: BTreeMap<Id, usize> = objects.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut order = Vec::with_capacity(objects.len());
        let mut seen = vec![false; objects.len()];
        for at in 0..objects.len() {
            self.visit(at, objects, &place, &mut seen, &mut order);
        }
        order
    }

    fn visit(
        &self,
        at: usize,
        objects: &[Id],
        place: &BTreeMap<Id, usize>,
        seen: &mut [bool],
        order: &mut Vec<usize>,
    ) {
        if std::mem::replace(&mut seen[at], true) {
            return;
        }
        let mut first: Vec<usize> = self.of(objects[at]).filter_map(|id| place.get(&id).copied()).collect();
        first.sort_unstable();
        for other in first {
            self.visit(other, objects, place, seen, order);
        }
        order.push(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_behind_what_it_needs_and_otherwise_in_its_place() {
        let mut needs = Needs::default();
        // The default (9) of table 1 calls function 3; view 4 reads table 2 by its rule (8).
        needs.part_of.insert((0, 9), (0, 1));
        needs.part_of.insert((0, 8), (0, 4));
        needs.note((0, 9), (0, 3));
        needs.note((0, 8), (0, 2));
        assert_eq!(needs.sorted(&[(0, 1), (0, 2), (0, 3), (0, 4)]), [2, 0, 1, 3]);
        assert_eq!(needs.sorted(&[(0, 4), (0, 2), (0, 3), (0, 1)]), [1, 0, 2, 3]);
    }

    #[test]
    fn a_circle_ends_and_leaves_nobody_out() {
        let mut needs = Needs::default();
        needs.note((0, 1), (0, 2));
        needs.note((0, 2), (0, 1));
        assert_eq!(needs.sorted(&[(0, 1), (0, 2)]), [1, 0]);
    }
}
