//! What plans are asked for, and when: handed to the probe of the plans by whoever runs a measurement.

use tokio::sync::oneshot;

use super::Stop;
use crate::record::plan::{PlanClass, PlanEdge};
use crate::sql::named::Place;
use crate::sql::values::Frame;
use crate::units::StatementId;

/// The statements whose plans are asked for. Without any nobody asks.
#[derive(Clone, Debug, Default)]
pub struct PlanCapture {
    /// In any order.
    pub statements: Vec<PlannedStatement>,
}

/// A statement whose plans are asked for.
#[derive(Clone, Debug)]
pub struct PlannedStatement {
    /// Which.
    pub statement: StatementId,
    /// The text that is sent, tag included.
    pub text: String,
    /// Where `$1`, `$2`, … stand in it.
    pub places: Vec<Place>,
    /// Values for it; none where they are known only while it is executed.
    pub values: Vec<PlanValues>,
    /// Whether the plan that does not look at values is asked for as well.
    pub generic: bool,
    /// What its transaction sets, name and value.
    pub set: Vec<(String, String)>,
}

/// Values of one class.
#[derive(Clone, Debug)]
pub struct PlanValues {
    /// Which class.
    pub class: PlanClass,
    /// The values of `$1`, `$2`, … in its slots.
    pub frame: Frame,
}

/// An order to ask for the plans of all statements.
#[derive(Debug)]
pub struct PlanOrder {
    /// The edges at which it is given.
    pub edges: Vec<PlanEdge>,
    /// What measured sessions begin with from here on, name and value, where they are made anew; absent where they go on.
    pub sessions: Option<Vec<(String, String)>>,
    /// Told when the plans are there.
    pub done: Option<oneshot::Sender<()>>,
}

/// What the probe of the plans is told while it runs.
pub enum PlanCommand {
    /// A stage begins or ends.
    Survey(PlanOrder),
    /// The run is over.
    Stop(Stop),
}
