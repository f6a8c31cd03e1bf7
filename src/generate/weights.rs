//! One of several categories by weight, in constant time (Walker's alias method as Vose built it, "A Linear Algorithm for
//! Generating Random Numbers with a Given Distribution", 1991).

use super::Stream;
use super::spec::{Refusal, Weights};

/// The table of the method: a column is kept below its threshold, else its alias is taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alias {
    columns: Vec<(f64, usize)>,
}

impl Alias {
    pub(super) fn new(weights: &Weights) -> Result<Self, Refusal> {
        if weights.0.is_empty() {
            return Err(Refusal::new("no categories", "at least one is wanted"));
        }
        if let Some((name, weight)) =
            weights.0.iter().find(|(_, weight)| !(weight.is_normal() && *weight > 0.0))
        {
            return Err(Refusal::new(format!("the weight of `{name}` is {weight}"), "must be above zero"));
        }
        let total: f64 = weights.0.iter().map(|(_, weight)| weight).sum();
        let count = weights.0.len();
        let mut heights: Vec<f64> =
            weights.0.iter().map(|(_, weight)| weight / total * count as f64).collect();
        let mut columns: Vec<(f64, usize)> = (0..count).map(|index| (1.0, index)).collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&index| heights[index] < 1.0);
        while let (Some(&small), Some(&large)) = (low.last(), high.last()) {
            low.pop();
            columns[small] = (heights[small], large);
            heights[large] -= 1.0 - heights[small];
            if heights[large] < 1.0 {
                high.pop();
                low.push(large);
            }
        }
        Ok(Self { columns })
    }

    /// The index of one category.
    pub(super) fn draw(&self, stream: &mut Stream) -> usize {
        // Both indexes lie below the number of categories.
        let index = usize::try_from(stream.below(self.columns.len() as u64)).unwrap_or(0);
        let (threshold, alias) = self.columns[index];
        if stream.unit() < threshold { index } else { alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Key;
    use crate::units::Seed;

    #[test]
    fn categories_come_as_often_as_their_weights_say() {
        let weights = [("a", 50.0), ("b", 30.0), ("c", 15.0), ("d", 4.9), ("e", 0.1)];
        let alias = Alias::new(&Weights(weights.map(|(name, weight)| (name.to_owned(), weight)).into()))
            .expect("valid weights");
        let mut stream = Key::root(Seed(9)).at(0, 0);
        let mut counts = [0_u32; 5];
        for _ in 0..100_000 {
            counts[alias.draw(&mut stream)] += 1;
        }
        for ((name, weight), count) in weights.iter().zip(counts) {
            let share = weight / 100.0;
            // Five standard deviations of a binomial count.
            let deviation = (100_000.0 * share * (1.0 - share)).sqrt();
            assert!((f64::from(count) - 100_000.0 * share).abs() < 5.0 * deviation, "{name}: {count}");
        }
    }

    #[test]
    fn nothing_to_choose_from_is_refused() {
        assert!(Alias::new(&Weights(vec![])).is_err());
        assert!(Alias::new(&Weights(vec![("a".into(), 1.0), ("b".into(), 0.0)])).is_err());
    }
}
