//! Which statements the server executes differently on the two sides of a comparison.

use std::collections::{BTreeMap, BTreeSet};

use super::comparison::Course;
use crate::model::{PlanDifference, PlanName, Stage, StatementInfo};

/// The statements whose plans differ between the sides, class by class. What one side never saw is not compared.
#[must_use]
pub fn differences(course: &Course<'_>) -> Vec<PlanDifference> {
    let Some(first) = course.sides.first() else { return Vec::new() };
    let mut differences = Vec::new();
    for of in &first.a.statements {
        let classes: BTreeSet<&str> = course.sides.iter().flat_map(|sides| classes(sides.a, of)).collect();
        for class in classes {
            let mut a = BTreeMap::new();
            let mut b = BTreeMap::new();
            for sides in &course.sides {
                a.extend(plans(sides.a, of, class));
                b.extend(plans(sides.b, of, class));
            }
            if !b.is_empty() && !a.keys().eq(b.keys()) {
                let (a, b) = (a.into_values().collect(), b.into_values().collect());
                differences.push(PlanDifference {
                    stage: course.stage.map(str::to_owned),
                    statement: format!("{}.{}", of.transaction, of.name),
                    class: class.to_owned(),
                    a,
                    b,
                });
            }
        }
    }
    differences
}

fn same<'a>(stage: &'a Stage, of: &StatementInfo) -> Option<&'a StatementInfo> {
    stage.statements.iter().find(|other| other.name == of.name && other.transaction == of.transaction)
}

fn classes<'a>(stage: &'a Stage, of: &StatementInfo) -> Vec<&'a str> {
    let plans = same(stage, of).map_or(&[][..], |statement| &statement.plans);
    plans.iter().flat_map(|plan| &plan.classes).map(String::as_str).collect()
}

/// The plans of a class by their kind: which partitions they read is no difference.
fn plans<'a>(
    stage: &'a Stage,
    of: &StatementInfo,
    class: &'a str,
) -> impl Iterator<Item = (&'a str, PlanName)> {
    let plans = same(stage, of).map_or(&[][..], |statement| &statement.plans);
    plans
        .iter()
        .filter(move |plan| plan.classes.iter().any(|known| known == class))
        .map(|plan| (plan.kind(), PlanName { shape: plan.shape.clone(), summary: plan.summary.clone() }))
}
