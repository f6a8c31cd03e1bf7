//! `\if … \elif … \else … \endif` as jumps.

use std::ops::Range;

use super::Operation;
use super::expression::Expression;
use super::parse::Wrong;

/// The conditions that are open, the innermost last.
#[derive(Default)]
pub(super) struct Conditions {
    open: Vec<Condition>,
}

struct Condition {
    /// Bytes of its `\if`.
    span: Range<usize>,
    /// The operation that leaves the branch at hand when its condition does not hold.
    leaves: Option<usize>,
    /// The jumps at the ends of branches.
    ends: Vec<usize>,
    has_else: bool,
}

impl Conditions {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// `\if`
    pub(super) fn open(&mut self, span: Range<usize>, condition: Expression, to: &mut Vec<Operation>) {
        let leaves = Some(to.len());
        to.push(Operation::JumpUnless { condition, to: usize::MAX });
        self.open.push(Condition { span, leaves, ends: Vec::new(), has_else: false });
    }

    /// `\elif` with its condition, `\else` without one.
    pub(super) fn otherwise(
        &mut self,
        span: &Range<usize>,
        condition: Option<Expression>,
        to: &mut Vec<Operation>,
    ) -> Option<Wrong> {
        let word = if condition.is_some() { "\\elif" } else { "\\else" };
        let Some(open) = self.open.last_mut() else {
            return Some(Wrong::new(span.clone(), format!("`{word}` without an `\\if`"), "nothing is open"));
        };
        if open.has_else {
            return Some(Wrong::new(span.clone(), format!("`{word}` behind an `\\else`"), "never reached"));
        }
        open.ends.push(to.len());
        to.push(Operation::Jump { to: usize::MAX });
        open.leave_here(to);
        match condition {
            Some(condition) => {
                open.leaves = Some(to.len());
                to.push(Operation::JumpUnless { condition, to: usize::MAX });
            }
            None => open.has_else = true,
        }
        None
    }

    /// `\endif`
    pub(super) fn close(&mut self, span: &Range<usize>, to: &mut [Operation]) -> Option<Wrong> {
        let Some(mut open) = self.open.pop() else {
            return Some(Wrong::new(span.clone(), "`\\endif` without an `\\if`", "nothing is open"));
        };
        open.leave_here(to);
        let here = to.len();
        for end in open.ends {
            to[end] = Operation::Jump { to: here };
        }
        None
    }

    /// Those that the script ends in.
    pub(super) fn unclosed(&self) -> impl Iterator<Item = Wrong> {
        self.open.iter().map(|open| {
            let wrong = Wrong::new(open.span.clone(), "this `\\if` has no `\\endif`", "opened here");
            wrong.help("write `\\endif` behind the last command of its branches")
        })
    }
}

impl Condition {
    /// The branch at hand is left for what comes next.
    fn leave_here(&mut self, operations: &mut [Operation]) {
        let here = operations.len();
        if let Some(Operation::JumpUnless { to, .. }) = self.leaves.take().map(|at| &mut operations[at]) {
            *to = here;
        }
    }
}
