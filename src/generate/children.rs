//! So many parents with so many children each, exactly, in no order: a pure function of the child's row, without a list.

use super::Key;
use super::exact::exp;
use super::fan_out::Place;
use super::permute::permute_keyed;
use super::placement::share_of;
use super::spec::{NormalFanOut, Refusal, Weights};

/// Most children of one parent.
const CHILDREN_MAX: u64 = 1_000_000_000;
/// Standard deviations on each side of a bell curve that are looked at: one parent of 10¹⁵ lies beyond.
const DEVIATIONS: f64 = 8.0;
/// The widest bell curve: every number of children under it is a class of its own.
const SD_MAX: f64 = 5_000.0;

/// How the numbers of children are spread over the parents.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spread {
    /// Numbers of children with the weights of their parents, in ascending order.
    Histogram(Vec<(u64, f64)>),
    /// A bell curve around the mean that the sizes of the tables give.
    Normal { sd: f64 },
}

/// The same for tables of known sizes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Children {
    parents: u64,
    rows: u64,
    /// Children that the classes have; a scale that breaks their proportions leaves a few more or fewer.
    counted: u64,
    classes: Vec<Class>,
    key: Key,
}

/// Parents that have the same number of children, at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Class {
    each: u64,
    first_parent: u64,
    first_child: u64,
}

impl Spread {
    pub(super) fn histogram(weights: &Weights) -> Result<Self, Refusal> {
        let mut classes = Vec::with_capacity(weights.0.len());
        for (name, weight) in &weights.0 {
            let number = name.parse::<u64>().ok().filter(|number| *number <= CHILDREN_MAX);
            let Some(number) = number else {
                return Err(Refusal::new(
                    format!("`{name}` is not a number of children"),
                    format!("a whole number from 0 to {CHILDREN_MAX} is wanted"),
                ));
            };
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(Refusal::new(
                    format!("{weight} parents have {name} children"),
                    "the number or share of parents must be above zero",
                ));
            }
            if classes.iter().any(|(other, _)| *other == number) {
                return Err(Refusal::new(
                    format!("`{name}` comes twice"),
                    "each number of children stands there once",
                ));
            }
            classes.push((number, *weight));
        }
        if classes.iter().all(|(number, _)| *number == 0) {
            return Err(Refusal::new("no parent has children", "at least one number above 0 is wanted"));
        }
        classes.sort_by_key(|(number, _)| *number);
        Ok(Self::Histogram(classes))
    }

    pub(super) fn normal(spec: &NormalFanOut) -> Result<Self, Refusal> {
        if !(spec.sd.is_normal() && spec.sd > 0.0 && spec.sd <= SD_MAX) {
            return Err(Refusal::new(
                format!("`sd` is {}", spec.sd),
                format!("above 0 and at most {SD_MAX}"),
            ));
        }
        Ok(Self::Normal { sd: spec.sd })
    }

    /// Numbers of children and weights of parents.
    fn classes(&self, mean: f64) -> Vec<(u64, f64)> {
        match self {
            Self::Histogram(classes) => classes.clone(),
            Self::Normal { sd } => bell(mean, *sd),
        }
    }

    /// Refuses tables whose sizes do not have these proportions.
    pub(super) fn check(&self, parents: u64, children: u64, table: &str) -> Result<(), Refusal> {
        let counted = Children::new(self, parents, children, Key::root(crate::units::Seed(0))).counted;
        // Parents are whole: a class may have half a parent too many or too few.
        let halves: u64 = match self {
            Self::Histogram(classes) => classes.iter().map(|(number, _)| number).sum::<u64>().div_ceil(2),
            // The errors of one class are made good by the next, so that what is left is half of the widest.
            Self::Normal { .. } => {
                let classes = self.classes(children as f64 / parents as f64);
                classes.last().map_or(0, |(number, _)| number.div_ceil(2))
            }
        };
        if counted.abs_diff(children) > halves.max(children / 100) {
            return Err(Refusal::new(
                format!("{children} rows cannot be spread so over the {parents} rows of `{table}`"),
                "does not match the `rows` of the two tables",
            )
            .help(format!("set `rows` to {counted}")));
        }
        Ok(())
    }

    /// The most children that one of `parents` has.
    pub(super) fn most(&self, parents: u64, children: u64) -> u64 {
        Children::new(self, parents, children, Key::root(crate::units::Seed(0))).most()
    }
}

impl Children {
    pub(super) fn new(spread: &Spread, parents: u64, children: u64, key: Key) -> Self {
        let numbers = spread.classes(children as f64 / parents as f64);
        let total: f64 = numbers.iter().map(|(_, weight)| weight).sum();
        let (mut sum, mut first_parent, mut first_child) = (0.0, 0, 0_u64);
        let mut classes = Vec::with_capacity(numbers.len());
        for (each, weight) in numbers {
            sum += weight;
            let behind = share_of(parents, (sum / total).min(1.0)).max(first_parent);
            if each > 0 && behind > first_parent {
                classes.push(Class { each, first_parent, first_child });
                first_child = first_child.saturating_add(each.saturating_mul(behind - first_parent));
            }
            first_parent = behind;
        }
        Self { parents, rows: children, counted: first_child, classes, key }
    }

    /// The place of child `row`.
    pub(super) fn place(&self, row: u64) -> Place {
        let key = self.key.bits();
        let child = permute_keyed(row, self.rows, key);
        let behind = self.classes.partition_point(|class| class.first_child <= child);
        let (number, ordinal) = match behind.checked_sub(1) {
            Some(index) if child < self.counted => {
                let class = self.classes[index];
                let within = child - class.first_child;
                (class.first_parent + within / class.each, within % class.each + 1)
            }
            // One more child for as many parents as it takes.
            _ => {
                let more = child - self.counted;
                let (number, round) = (more % self.parents, more / self.parents);
                (number, self.each(number) + round + 1)
            }
        };
        let children = self.children_of(number);
        Place { parent: permute_keyed(number, self.parents, !key), ordinal, children }
    }

    /// The most children that a parent has.
    pub(super) fn most(&self) -> u64 {
        let most = self.classes.last().map_or(0, |class| class.each);
        most + self.rows.saturating_sub(self.counted).div_ceil(self.parents)
    }

    /// Children of a parent, with those that it takes beyond its class: all of its children must be told the same.
    fn children_of(&self, number: u64) -> u64 {
        let over = self.rows.saturating_sub(self.counted);
        self.each(number) + over / self.parents + u64::from(number < over % self.parents)
    }

    fn each(&self, number: u64) -> u64 {
        let behind = self.classes.partition_point(|class| class.first_parent <= number);
        let class = behind.checked_sub(1).map(|index| self.classes[index]);
        class.map_or(0, |class| {
            let end = self.classes.get(behind).map_or(self.parents, |next| next.first_parent);
            if number < end { class.each } else { 0 }
        })
    }
}

/// Whole numbers from zero under a bell curve whose mean, cut at zero, is `mean`.
fn bell(mean: f64, sd: f64) -> Vec<(u64, f64)> {
    let weights = |middle: f64| {
        // Both ends are small numbers.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (first, last) =
            ((middle - DEVIATIONS * sd).max(0.0) as u64, (middle + DEVIATIONS * sd).max(1.0) as u64 + 1);
        (first..=last).map(move |number| {
            let deviation = (number as f64 - middle) / sd;
            (number, exp(-deviation * deviation / 2.0))
        })
    };
    let mean_at = |middle: f64| {
        let (sum, of) = weights(middle)
            .fold((0.0, 0.0), |(sum, of), (number, weight)| (sum + weight, of + weight * number as f64));
        if sum > 0.0 { of / sum } else { 0.0 }
    };
    // The cut moves the mean up, so that the curve's own middle lies below.
    let (mut low, mut high) = (mean - DEVIATIONS * sd, mean);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if mean_at(middle) < mean {
            low = middle;
        } else {
            high = middle;
        }
    }
    weights(high).filter(|(_, weight)| *weight > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    fn counts(spread: &Spread, parents: u64, children: u64) -> Vec<u64> {
        let children = Children::new(spread, parents, children, Key::root(Seed(1)));
        let mut counts = vec![0; usize::try_from(parents).expect("small")];
        let mut seen = std::collections::BTreeSet::new();
        let mut told = vec![];
        for row in 0..children.rows {
            let place = children.place(row);
            assert!(seen.insert((place.parent, place.ordinal)), "a child stands in one place");
            assert!(place.ordinal <= place.children && place.children <= children.most());
            told.push((place.parent, place.children));
            counts[usize::try_from(place.parent).expect("small")] += 1;
        }
        if children.counted <= children.rows {
            // All children of a parent are told the same, and the truth: pairs without duplicates rest on it.
            for (parent, told) in told {
                assert_eq!(told, counts[usize::try_from(parent).expect("small")]);
            }
        }
        counts
    }

    fn histogram(classes: &[(&str, f64)]) -> Spread {
        let weights = classes.iter().map(|(number, weight)| ((*number).to_owned(), *weight)).collect();
        Spread::histogram(&Weights(weights)).expect("valid")
    }

    #[test]
    fn so_many_parents_have_so_many_children() {
        let spread = histogram(&[("0", 500.0), ("1", 300.0), ("50", 20.0), ("3", 180.0)]);
        let counts = counts(&spread, 1000, 300 + 540 + 1000);
        let with = |number: u64| counts.iter().filter(|&&count| count == number).count();
        assert_eq!((with(0), with(1), with(3), with(50)), (500, 300, 180, 20));
        assert_eq!(spread.check(1000, 1840, "parents"), Ok(()));
        let refusal = spread.check(1000, 5000, "parents").expect_err("too many");
        assert_eq!(refusal.help.as_deref(), Some("set `rows` to 1840"));
    }

    #[test]
    fn a_scale_that_breaks_the_proportions_keeps_every_row() {
        let spread = histogram(&[("0", 500.0), ("1", 300.0), ("50", 1.0)]);
        for (parents, children) in [(10, 4), (10, 35), (801, 350), (3, 100)] {
            assert_eq!(counts(&spread, parents, children).iter().sum::<u64>(), children);
        }
    }

    #[test]
    fn a_bell_that_is_too_wide_for_its_mean_is_refused() {
        let spread = Spread::normal(&NormalFanOut { sd: 50.0, mean: None }).expect("valid");
        assert!(spread.check(1000, 50, "parents").is_err());
        let spread = Spread::normal(&NormalFanOut { sd: 2.0, mean: None }).expect("valid");
        assert_eq!(spread.check(1000, 5_000, "parents"), Ok(()));
        assert_eq!(spread.check(60, 400, "parents"), Ok(()));
    }

    #[test]
    fn a_bell_has_its_mean_and_its_width() {
        let spread = Spread::normal(&NormalFanOut { sd: 2.0, mean: None }).expect("valid");
        let counts = counts(&spread, 10_000, 100_000);
        let variance = counts.iter().map(|&count| (count as f64 - 10.0).powi(2)).sum::<f64>() / 10_000.0;
        assert!((variance.sqrt() - 2.0).abs() < 0.02, "{variance}");
        let ten = counts.iter().filter(|&&count| count == 10).count();
        // The density at the middle, 1 ÷ (2 √2π).
        assert!(ten.abs_diff(1995) < 10, "{ten}");
    }

    #[test]
    fn a_bell_that_is_cut_keeps_its_mean() {
        let spread = Spread::normal(&NormalFanOut { sd: 3.0, mean: None }).expect("valid");
        assert_eq!(counts(&spread, 1000, 1000).iter().sum::<u64>(), 1000);
        assert_eq!(spread.check(1000, 1000, "parents"), Ok(()));
    }

    #[test]
    fn what_is_no_number_of_children_is_refused() {
        for name in ["-1", "many", "1.5"] {
            assert!(Spread::histogram(&Weights(vec![(name.to_owned(), 1.0)])).is_err());
        }
        assert!(Spread::histogram(&Weights(vec![("0".to_owned(), 1.0)])).is_err());
        assert!(Spread::normal(&NormalFanOut { sd: 0.0, mean: None }).is_err());
    }
}
