//! Which metrics a workload has: what a budget may name, and in what its limit must be counted.

use super::{Gauge, Measure, Statement, Transaction, Workload};
use crate::diagnostic::likely;
use crate::model::ComparedMetric;
use crate::model::metric::{Limit, MeasureStatistic, MetricPath, Unit};
use crate::units::{BaseUnit, ValueUnit};

/// Everything that a metric can be about.
pub struct Measurable<'a> {
    /// Names of the transactions.
    pub transactions: Vec<&'a str>,
    /// Statements with the names of their transactions: `checkout.take_stock`.
    pub statements: Vec<String>,
    /// The measures.
    pub measures: &'a [Measure],
    /// The gauges.
    pub gauges: &'a [Gauge],
}

/// Why a metric or its limit does not belong to the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Workload {
    /// Everything that a metric of this workload can be about.
    #[must_use]
    pub fn measurable(&self) -> Measurable<'_> {
        let transactions = self.transactions.iter().map(|transaction| transaction.name.as_str()).collect();
        let statements = statement_names(&self.statements, &self.transactions);
        Measurable { transactions, statements, measures: &self.measures, gauges: &self.gauges }
    }
}

/// The name of each statement behind that of its transaction.
pub(super) fn statement_names(statements: &[Statement], transactions: &[Transaction]) -> Vec<String> {
    let owner = |of: &Statement| Some(transactions.get(of.transaction.index())?.name.as_str());
    statements.iter().filter_map(|of| Some(format!("{}.{}", owner(of)?, of.name))).collect()
}

impl Measurable<'_> {
    /// Whether the workload has the metric.
    pub fn has(&self, metric: &MetricPath) -> Result<(), Foreign> {
        match metric {
            MetricPath::Measure { name, statistic } => {
                let names = self.measures.iter().map(|measure| measure.name.as_str());
                let measure = find("measure", name, self.measures, |measure| &measure.name, names)?;
                match statistic {
                    MeasureStatistic::Value(_) if measure.unit.is_none() => {
                        Err(lacks(name, "no distribution", "unit = \"us\""))
                    }
                    MeasureStatistic::Inversions if measure.order.is_none() => {
                        Err(lacks(name, "no order", "order = \"ascending\""))
                    }
                    _ => Ok(()),
                }
            }
            MetricPath::Gauge { name, .. } => {
                let names = self.gauges.iter().map(|gauge| gauge.name.as_str());
                find("gauge", name, self.gauges, |gauge| &gauge.name, names).map(|_| ())
            }
            MetricPath::Figure(figure) if !self.has_statement(figure.statement()) => {
                let names = self.statements.iter().map(String::as_str);
                Err(unknown("statement", figure.statement().unwrap_or_default(), names))
            }
            _ => match metric.transaction() {
                Some(name) if !self.transactions.contains(&name) => {
                    Err(unknown("transaction", name, self.transactions.iter().copied()))
                }
                _ => Ok(()),
            },
        }
    }

    /// Whether the workload has what can be compared between runs.
    pub fn has_compared(&self, metric: &ComparedMetric) -> Result<(), Foreign> {
        match metric {
            ComparedMetric::Path(path) => self.has(path),
            ComparedMetric::Statement { transaction, statement, .. } => {
                let name = format!("{transaction}.{statement}");
                let names = || self.statements.iter().map(String::as_str);
                if names().any(|known| known == name) {
                    Ok(())
                } else {
                    Err(unknown("statement", &name, names()))
                }
            }
        }
    }

    fn has_statement(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| self.statements.iter().any(|known| known == name))
    }

    /// Whether the limit is counted in what the metric is.
    pub fn fits(&self, metric: &MetricPath, limit: &Limit) -> Result<(), Foreign> {
        let declared = match metric {
            MetricPath::Measure { name, statistic: MeasureStatistic::Value(_) } => {
                self.measures.iter().find(|measure| measure.name == *name).and_then(|measure| measure.unit)
            }
            MetricPath::Gauge { name, .. } => {
                self.gauges.iter().find(|gauge| gauge.name == *name).map(|gauge| gauge.unit)
            }
            _ => None,
        };
        match declared.map(counted_in) {
            Some(unit) if unit != limit.unit => Err(Foreign {
                message: format!(
                    "`{}` does not fit `{metric}`, which is {}",
                    limit.show(),
                    unit.measured_in()
                ),
                help: Some(format!("write for example `{}`", unit.example())),
            }),
            _ => Ok(()),
        }
    }
}

/// In what a limit on a value of that unit is counted.
fn counted_in(unit: ValueUnit) -> Unit {
    match unit.base() {
        BaseUnit::Us => Unit::Time,
        BaseUnit::Bytes => Unit::Bytes,
        BaseUnit::Count => Unit::Count,
    }
}

fn find<'a, T>(
    what: &str,
    name: &str,
    all: &'a [T],
    name_of: impl Fn(&T) -> &String,
    names: impl Iterator<Item = &'a str>,
) -> Result<&'a T, Foreign> {
    all.iter().find(|one| name_of(one) == name).ok_or_else(|| unknown(what, name, names))
}

fn unknown<'n>(what: &str, name: &str, names: impl Iterator<Item = &'n str>) -> Foreign {
    let help = likely(name, names).map(|likely| format!("did you mean `{likely}`?"));
    Foreign { message: format!("no {what} is called `{name}`"), help }
}

fn lacks(name: &str, what: &str, remedy: &str) -> Foreign {
    Foreign {
        message: format!("measure `{name}` has {what}"),
        help: Some(format!("give it one: `{remedy}`")),
    }
}
