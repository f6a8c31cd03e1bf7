//! Values that stand for those of a run, for whoever asks the server how it would execute a statement: drawn as the engine draws
//! them, at keys of their own, so that no draw of a run moves. Executes nothing.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::generate::Dataset;
use crate::record::plan::PlanClass;
use crate::sql::values::{Arena, Frame, QueryValues, Slot};
use crate::units::{Seed, StatementId, TransactionId};
use crate::workload::{Transaction, Work, Workload};

use super::draws::{Draws, Position};

/// Transactions of each kind that are drawn.
const TRANSACTIONS: u64 = 200;
/// Executions of one statement that are kept, whatever its repetitions.
const EXECUTIONS_MAX: usize = 400;
/// A stage that no run has.
const STAGE: usize = usize::MAX;
/// Logarithms of products of whole numbers that lie closer together are equal.
const EQUAL: f64 = 1e-9;

/// The values of one execution of a statement, and whom they stand for.
#[derive(Clone, Debug)]
pub struct SampledValues {
    /// How often the workload draws such values.
    pub class: PlanClass,
    /// The values of `$1`, `$2`, … in its slots.
    pub frame: Frame,
}

/// For each statement, by its id, values that are drawn often and values that are drawn rarely; one set where all are alike. None
/// for a statement whose values are known only while its transaction is executed, and for statements of scripts.
#[must_use]
pub fn sample_values(
    workload: &Arc<Workload>,
    dataset: &Arc<Dataset>,
    query_values: &Arc<QueryValues>,
    seed: Seed,
) -> Vec<Vec<SampledValues>> {
    let draws = Draws::new(Arc::clone(workload), Arc::clone(dataset), Arc::clone(query_values));
    let mut drawn: Vec<Vec<Frame>> = vec![Vec::new(); workload.statements.len()];
    for (index, kind) in workload.transactions.iter().enumerate() {
        if matches!(kind.work, Work::Steps(_)) {
            draw(workload, &draws, TransactionId::from_index(index), kind, seed, &mut drawn);
        }
    }
    drawn.iter().map(|frames| classes(frames)).collect()
}

/// Draws the values of one kind of transaction, execution by execution.
fn draw(
    workload: &Workload,
    draws: &Draws,
    transaction: TransactionId,
    kind: &Transaction,
    seed: Seed,
    drawn: &mut [Vec<Frame>],
) {
    let key = Draws::stage_key(seed, STAGE).number(transaction.index() as u64);
    let mut frame = Frame::default();
    for number in 0..TRANSACTIONS {
        let position = Position { key, number };
        draws.fill_once(transaction, position, &mut frame);
        let mut occurrence = 0;
        for (index, step) in kind.steps().iter().enumerate() {
            for _ in 0..Draws::times(step, index, position) {
                draws.fill_each(transaction, position, occurrence, &mut frame);
                occurrence += 1;
                let kept = &mut drawn[step.statement.index()];
                if kept.len() < EXECUTIONS_MAX
                    && let Some(inputs) = inputs(workload, kind, step.statement, &frame)
                {
                    kept.push(inputs);
                }
            }
        }
    }
}

/// What the statement takes; nothing where an earlier statement has to give some of it.
fn inputs(workload: &Workload, kind: &Transaction, statement: StatementId, frame: &Frame) -> Option<Frame> {
    let mut inputs = Frame::default();
    for input in &workload.statements[statement.index()].inputs {
        kind.draws.iter().find(|draw| draw.slot == *input)?;
        let slot = match frame.slots[input.index()] {
            Slot::Text(range) => inputs.arena.text(frame.arena.str(range)),
            Slot::Bytes(range) => inputs.arena.bytes(frame.arena.get(range)),
            slot => slot,
        };
        inputs.slots.push(slot);
    }
    Some(inputs)
}

/// The values that are drawn most and least often. With several parameters no two executions need be alike, and yet each of their
/// values may be a frequent one: an execution counts by how often each of its values was drawn in its place.
fn classes(frames: &[Frame]) -> Vec<SampledValues> {
    let mut counts: HashMap<(usize, String), u32> = HashMap::new();
    for frame in frames {
        for (place, slot) in frame.slots.iter().enumerate() {
            *counts.entry((place, written(*slot, &frame.arena))).or_default() += 1;
        }
    }
    let frequency = |frame: &Frame| -> f64 {
        let places = frame.slots.iter().enumerate();
        places.map(|(place, slot)| f64::from(counts[&(place, written(*slot, &frame.arena))]).ln()).sum()
    };
    let mut extremes: Option<[(f64, &Frame); 2]> = None;
    for frame in frames {
        let frequency = frequency(frame);
        let [common, rare] = extremes.get_or_insert([(frequency, frame); 2]);
        if frequency > common.0 + EQUAL {
            *common = (frequency, frame);
        }
        if frequency < rare.0 - EQUAL {
            *rare = (frequency, frame);
        }
    }
    let sampled = |class, frame: &Frame| SampledValues { class, frame: frame.clone() };
    match extremes {
        None => Vec::new(),
        Some([common, rare]) if common.0 - rare.0 < EQUAL => vec![sampled(PlanClass::Typical, common.1)],
        Some([common, rare]) => {
            vec![sampled(PlanClass::Common, common.1), sampled(PlanClass::Rare, rare.1)]
        }
    }
}

/// A value as a text that is equal for equal values.
fn written(slot: Slot, arena: &Arena) -> String {
    match slot {
        Slot::Text(range) => format!("text {}", arena.str(range)),
        Slot::Bytes(range) => arena.get(range).iter().fold("bytes ".to_owned(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        slot => format!("{slot:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status is skewed, the id is not; the last statement takes what the one before it gives.
    const DOCUMENT: &str = r#"
name = "two"
[[transaction]]
name = "look"
statements = ["by_status", "by_id", "nothing", "taken", "by_both"]
[transaction.parameter]
status = { weighted = { done = 95, new = 5 } }
id = { uniform = [1, 1000000000] }
"#;
    const QUERIES: &str = "\
-- name: by_status :many\nSELECT 1 WHERE 'a' = :status;\n\
-- name: by_id :many\nSELECT 1 WHERE 1 = :id;\n\
-- name: nothing :one\nSELECT 7 AS given;\n\
-- name: taken :many\nSELECT 1 WHERE 1 = :given AND 2 = :id;\n\
-- name: by_both :many\nSELECT 1 WHERE 'a' = :status AND 1 = :id;\n";

    fn sampled(seed: u64) -> Vec<Vec<SampledValues>> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("workload.toml"), DOCUMENT).expect("writable");
        std::fs::write(folder.path().join("queries.sql"), QUERIES).expect("writable");
        let workload = crate::workload::load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let dataset = Arc::new(workload.dataset(Seed(seed), 1.0));
        let query_values = Arc::new(vec![vec![Arc::from([]); 2]]);
        sample_values(&Arc::new(workload), &dataset, &query_values, Seed(seed))
    }

    fn told(values: &[SampledValues]) -> Vec<(&'static str, Vec<String>)> {
        let texts = |frame: &Frame| frame.slots.iter().map(|slot| written(*slot, &frame.arena)).collect();
        values.iter().map(|values| (values.class.as_str(), texts(&values.frame))).collect()
    }

    #[test]
    fn frequent_and_rare_values_are_those_of_the_workload() {
        for seed in [1, 2, 3] {
            let sampled = sampled(seed);
            let text = |text: &str| vec![format!("text {text}")];
            assert_eq!(told(&sampled[0]), [("common", text("done")), ("rare", text("new"))]);
            assert_eq!(told(&sampled[1]).iter().map(|(class, _)| *class).collect::<Vec<_>>(), ["typical"]);
            assert_eq!(told(&sampled[2]), [("typical", vec![])]);
            assert!(sampled[3].is_empty(), "what a statement gives is known only when it was executed");
            // No two executions are alike, and yet one of their values is frequent.
            let both = told(&sampled[4]);
            assert_eq!((both[0].0, both[0].1[0].as_str()), ("common", "text done"));
            assert_eq!((both[1].0, both[1].1[0].as_str()), ("rare", "text new"));
        }
        let again = |seed| format!("{:?}", told(&sampled(seed)[4]));
        assert_eq!(again(5), again(5));
        assert_ne!(again(5), again(6));
    }
}
