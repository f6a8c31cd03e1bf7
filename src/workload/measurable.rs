//! Which metrics a workload has: what a budget may name, and in what its limit must be counted.

use super::{Gauge, Measure, Workload};
use crate::diagnostic::likely;
use crate::model::metric::{Limit, MeasureStatistic, MetricPath, Unit};
use crate::units::{BaseUnit, ValueUnit};

/// Everything that a metric can be about.
pub struct Measurable<'a> {
    /// Names of the transactions.
    pub transactions: Vec<&'a str>,
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
        Measurable { transactions, measures: &self.measures, gauges: &self.gauges }
    }
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
            _ => match metric.transaction() {
                Some(name) if !self.transactions.contains(&name) => {
                    Err(unknown("transaction", name, self.transactions.iter().copied()))
                }
                _ => Ok(()),
            },
        }
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
