//! Victims against culprits: how long each transaction waited for locks because of whom. Pure.

use std::collections::BTreeMap;

use crate::model::{LockMatrix, LockMatrixRow};

/// Culprits that have a column of their own; the others share one.
const CULPRITS_MAX: usize = 20;
/// What the shared column is called.
const OTHERS: &str = "(others)";

/// A matrix in the making.
#[derive(Default)]
pub(super) struct Charges {
    wait_us: BTreeMap<(String, String), u64>,
}

impl Charges {
    /// Charges one wait of `victim` to `culprit`.
    pub(super) fn add(&mut self, victim: String, culprit: String, wait_us: u64) {
        *self.wait_us.entry((victim, culprit)).or_default() += wait_us;
    }

    /// The matrix; nothing where nobody waited.
    pub(super) fn matrix(self) -> Option<LockMatrix> {
        if self.wait_us.is_empty() {
            return None;
        }
        let culprits = largest_first(self.wait_us.iter().map(|((_, culprit), us)| (culprit.as_str(), *us)));
        let shown = if culprits.len() > CULPRITS_MAX { CULPRITS_MAX - 1 } else { culprits.len() };
        let mut names: Vec<String> = culprits[..shown].iter().map(|(name, _)| (*name).to_owned()).collect();
        if shown < culprits.len() {
            names.push(OTHERS.to_owned());
        }
        let column = |culprit: &str| names.iter().position(|name| name == culprit).unwrap_or(shown);
        let victims = largest_first(self.wait_us.iter().map(|((victim, _), us)| (victim.as_str(), *us)));
        let mut rows: Vec<LockMatrixRow> = victims
            .iter()
            .map(|(victim, total)| LockMatrixRow {
                victim: (*victim).to_owned(),
                wait_us: vec![0; names.len()],
                wait_us_total: *total,
            })
            .collect();
        let mut by_culprit = vec![0; names.len()];
        for ((victim, culprit), us) in &self.wait_us {
            let column = column(culprit);
            by_culprit[column] += us;
            if let Some(row) = rows.iter_mut().find(|row| row.victim == *victim) {
                row.wait_us[column] += us;
            }
        }
        Some(LockMatrix {
            wait_us_total: by_culprit.iter().sum(),
            culprits: names,
            wait_us_by_culprit: by_culprit,
            victims: rows,
        })
    }
}

fn largest_first<'a>(waits: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, us) in waits {
        *sums.entry(name).or_default() += us;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, us)| std::cmp::Reverse(*us));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_add_up_and_the_costliest_stand_first() {
        let mut charges = Charges::default();
        charges.add("browse".into(), "checkout".into(), 10);
        charges.add("checkout".into(), "checkout".into(), 200);
        charges.add("checkout".into(), "psql (foreign)".into(), 300);
        charges.add("checkout".into(), "psql (foreign)".into(), 5);
        let matrix = charges.matrix().expect("somebody waited");
        assert_eq!(matrix.culprits, ["psql (foreign)", "checkout"]);
        assert_eq!(matrix.wait_us_by_culprit, [305, 210]);
        assert_eq!(matrix.wait_us_total, 515);
        let rows: Vec<_> =
            matrix.victims.iter().map(|row| (&*row.victim, &*row.wait_us, row.wait_us_total)).collect();
        assert_eq!(rows, [("checkout", &[305, 200][..], 505), ("browse", &[0, 10][..], 10)]);
    }

    #[test]
    fn many_culprits_share_the_last_column() {
        let mut charges = Charges::default();
        for number in 0..30 {
            charges.add("checkout".into(), format!("tool {number} (foreign)"), 100 - number);
        }
        let matrix = charges.matrix().expect("somebody waited");
        assert_eq!(
            (matrix.culprits.len(), matrix.culprits[CULPRITS_MAX - 1].as_str()),
            (CULPRITS_MAX, OTHERS)
        );
        assert_eq!(matrix.wait_us_by_culprit.iter().sum::<u64>(), (71..=100).sum::<u64>());
        assert_eq!(matrix.victims[0].wait_us.iter().sum::<u64>(), matrix.victims[0].wait_us_total);
    }

    #[test]
    fn without_waits_there_is_no_matrix() {
        assert_eq!(Charges::default().matrix(), None);
    }
}
