//! Another mix of a workload's transactions: a part of them, or other weights.

use std::str::FromStr;

use super::fingerprint::fingerprint;
use super::{Work, Workload};
use crate::diagnostic::likely;
use crate::units::{StatementId, TransactionId};

/// Transactions and their weights, as `browse=3,checkout` says them: 1 where there is none. What is not named is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Not empty; different names, each with a weight above 0.
    shares: Vec<(String, f64)>,
}

/// A mix that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// Neither a name nor a name and a weight.
    #[error("`{0}` is not NAME or NAME=WEIGHT, such as browse=3,checkout")]
    Form(String),
    /// A weight that is no share.
    #[error("`{0}`: a weight is a number above zero; what is not named is left out")]
    Weight(String),
    /// Named more than once.
    #[error("transaction `{0}` is named twice")]
    Twice(String),
    /// Not one of the workload's.
    #[error("the workload has no transaction `{name}`{hint}")]
    Unknown {
        /// What was named.
        name: String,
        /// `; did you mean …?`, or which there are.
        hint: String,
    },
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let mut shares: Vec<(String, f64)> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (name, weight) = match part.split_once('=') {
                Some((name, weight)) => {
                    let number = weight.trim().parse().ok();
                    let weight = number.filter(|number: &f64| number.is_finite() && *number > 0.0);
                    (name.trim(), weight.ok_or_else(|| MixError::Weight(part.to_owned()))?)
                }
                None => (part, 1.0),
            };
            if name.is_empty() {
                return Err(MixError::Form(part.to_owned()));
            }
            if shares.iter().any(|(known, _)| known == name) {
                return Err(MixError::Twice(name.to_owned()));
            }
            shares.push((name.to_owned(), weight));
        }
        Ok(Self { shares })
    }
}

impl Workload {
    /// The same with these transactions alone, in the order of the document, and with these weights. Budgets on what is left out do
    /// not hold. It has a fingerprint of its own, since it does another work.
    pub fn with_mix(&self, mix: &Mix) -> Result<Self, MixError> {
        let names = || self.transactions.iter().map(|transaction| transaction.name.as_str());
        for (name, _) in &mix.shares {
            if !names().any(|known| known == name) {
                let hint = match likely(name, names()) {
                    Some(meant) => format!("; did you mean `{meant}`?"),
                    None => format!("; there are {}", names().collect::<Vec<_>>().join(", ")),
                };
                return Err(MixError::Unknown { name: name.clone(), hint });
            }
        }
        let weight = |name: &str| mix.shares.iter().find(|(of, _)| of == name).map(|(_, weight)| *weight);
        let mut workload = self.clone();
        workload.transactions.retain_mut(|transaction| {
            let weight = weight(&transaction.name);
            transaction.weight = weight.unwrap_or_default();
            weight.is_some()
        });
        let of_mix: Vec<bool> = self.transactions.iter().map(|of| weight(&of.name).is_some()).collect();
        let executed: Vec<bool> = self.statements.iter().map(|of| of_mix[of.transaction.index()]).collect();
        let mut is_executed = executed.iter();
        workload.statements.retain(|_| is_executed.next() == Some(&true));
        for statement in &mut workload.statements {
            let index = position(&of_mix, statement.transaction.index());
            statement.transaction = TransactionId::from_index(index);
        }
        for transaction in &mut workload.transactions {
            let Work::Steps(steps) = &mut transaction.work else { continue };
            for step in steps {
                step.statement = StatementId::from_index(position(&executed, step.statement.index()));
            }
        }
        let is_left = |transaction: Option<&str>| transaction.is_none_or(|name| weight(name).is_some());
        workload.budgets.retain(|budget| is_left(budget.metric.transaction()));
        workload.changes.retain(|budget| is_left(budget.limit.metric.transaction()));
        let shares = workload.transactions.iter().map(|of| format!("{}={}", of.name, of.weight));
        let shares = shares.collect::<Vec<_>>().join(",");
        workload.fingerprint =
            fingerprint(&[("workload", self.fingerprint.as_bytes()), ("mix", shares.as_bytes())]);
        Ok(workload)
    }
}

/// The position of one among those that stay.
fn position(stays: &[bool], index: usize) -> usize {
    stays[..index].iter().filter(|stays| **stays).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::load;

    fn shop() -> Workload {
        load(concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/shop").as_ref()).expect("it ships")
    }

    fn mix(text: &str) -> Mix {
        text.parse().expect(text)
    }

    #[test]
    fn what_is_not_named_is_left_out_and_every_step_finds_its_statement() {
        let whole = shop();
        let names: Vec<&str> = whole.transactions.iter().map(|of| of.name.as_str()).collect();
        let [first, .., last] = names[..] else { panic!("the shop has several transactions") };
        let part = whole.with_mix(&mix(&format!("{last}=3, {first}"))).expect("both are there");
        let shares: Vec<(&str, f64)> =
            part.transactions.iter().map(|of| (of.name.as_str(), of.weight)).collect();
        assert_eq!(shares, [(first, 1.0), (last, 3.0)], "in the order of the document");
        for (index, transaction) in part.transactions.iter().enumerate() {
            let before =
                whole.transactions.iter().find(|of| of.name == transaction.name).expect("it is of the shop");
            let tags = |of: &Workload, steps: &[crate::workload::Step]| -> Vec<String> {
                steps.iter().map(|step| of.statements[step.statement.index()].tag.clone()).collect()
            };
            assert_eq!(tags(&part, transaction.steps()), tags(&whole, before.steps()));
            let statements = transaction.steps().iter().map(|step| &part.statements[step.statement.index()]);
            assert!(statements.into_iter().all(|of| of.transaction.index() == index));
        }
        let of_part = whole.statements.iter().filter(|of| {
            let name = &whole.transactions[of.transaction.index()].name;
            [first, last].contains(&name.as_str())
        });
        assert_eq!(part.statements.len(), of_part.count());
    }

    #[test]
    fn other_work_has_another_fingerprint_and_the_same_data() {
        let whole = shop();
        let name = whole.transactions[0].name.clone();
        let [one, again, more] = [name.clone(), format!("{name}=1"), format!("{name}=2")]
            .map(|text| whole.with_mix(&mix(&text)).expect("it is there"));
        assert_ne!(one.fingerprint, whole.fingerprint);
        assert_eq!(one.fingerprint, again.fingerprint);
        assert_ne!(one.fingerprint, more.fingerprint);
        assert_eq!(one.data_fingerprint, whole.data_fingerprint);
    }

    #[test]
    fn a_mix_that_cannot_be_says_why() {
        let said = |text: &str| match text.parse::<Mix>().and_then(|mix| shop().with_mix(&mix)) {
            Ok(_) => panic!("`{text}` is no mix of the shop"),
            Err(error) => error.to_string(),
        };
        assert_eq!(said("a,,b"), "`` is not NAME or NAME=WEIGHT, such as browse=3,checkout");
        for weight in ["0", "-1", "many", "inf", "NaN"] {
            assert!(
                said(&format!("browse={weight}")).contains("a weight is a number above zero"),
                "{weight}"
            );
        }
        assert_eq!(said("browse=2, browse"), "transaction `browse` is named twice");
        let near = "the workload has no transaction `product_pag`; did you mean `product_page`?";
        assert_eq!(said("product_pag"), near);
        let far = said("nothing_like_it");
        assert!(far.contains("; there are product_page, category_page"), "{far}");
    }
}
