//! What a workload measures beside times: `[measure.NAME]` and `[gauge.NAME]`.

use std::time::Duration;

use super::super::document::{GaugeDoc, GaugeNode, Located, MeasureDoc, MeasureNode};
use super::super::node::{Name, Node};
use super::Walk;

/// How often a gauge is read unless it says so.
const EVERY: Duration = Duration::from_secs(1);
/// The most frequent reading: what is read more often is a load of its own.
const EVERY_MIN: Duration = Duration::from_millis(100);

impl Walk<'_> {
    pub(super) fn measure(&mut self, name: &Name<'_>, node: Node<'_>) -> Option<MeasureNode> {
        let place = format!("measure `{}`", name.get_ref());
        let read = self.node::<MeasureDoc>(node, &[], &place)?;
        let MeasureDoc { statement, column, unit, order } = read.value;
        self.require(&read.dropped, "statement", statement.is_some(), name.span(), &place);
        self.require(&read.dropped, "column", column.is_some(), name.span(), &place);
        let lost = read.dropped.iter().any(|key| key == "unit" || key == "order");
        if unit.is_none() && order.is_none() && !lost {
            let help = "write `unit = \"us\"` (or ms, s, bytes, count) for a distribution, or `order = \"ascending\"`";
            self.blame(
                name.span(),
                format!("{place} measures nothing"),
                "neither `unit` nor `order`",
                Some(help.into()),
            );
        }
        Some(MeasureNode { name: located(name), statement: statement?, column: column?, unit, order })
    }

    pub(super) fn gauge(&mut self, name: &Name<'_>, node: Node<'_>) -> Option<GaugeNode> {
        let place = format!("gauge `{}`", name.get_ref());
        let read = self.node::<GaugeDoc>(node, &[], &place)?;
        let GaugeDoc { query, every, unit } = read.value;
        self.require(&read.dropped, "query", query.is_some(), name.span(), &place);
        let every = match every {
            Some(every) if every.value < EVERY_MIN => {
                let help =
                    "a gauge is read beside the run; what is read all the time would be a load".to_owned();
                self.blame(
                    every.span,
                    format!("{place} is read too often"),
                    "expected at least 100ms",
                    Some(help),
                );
                EVERY
            }
            Some(every) => every.value,
            None => EVERY,
        };
        Some(GaugeNode { name: located(name), query: query?, every, unit })
    }
}

fn located(name: &Name<'_>) -> Located<String> {
    Located { value: name.get_ref().clone().into_owned(), span: name.span() }
}
