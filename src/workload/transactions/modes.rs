//! How a transaction begins and how it is sent: read only, deferrable, with settings, as one pipeline.

use std::ops::Range;

use super::super::document::{IsolationDoc, TransactionNode};
use super::super::{Modes, Setting};
use super::{Compiler, Query, times};
use crate::sql::statement::StatementKind;
use crate::units::Protocol;

impl Compiler<'_> {
    /// What BEGIN asks for besides the isolation.
    pub(super) fn modes(&mut self, node: &TransactionNode, queries: &[Option<&Query>]) -> Modes {
        let is_set = |key: &Option<super::Located<bool>>| key.as_ref().is_some_and(|key| key.value);
        let modes = Modes {
            read_only: is_set(&node.read_only),
            deferrable: is_set(&node.deferrable),
            set: self.settings(node),
        };
        if modes.read_only {
            self.blame_writes(node, queries);
        }
        let waits_in_vain = !(modes.read_only && matches!(node.isolation, Some(IsolationDoc::Serializable)));
        if let Some(key) = node.deferrable.as_ref().filter(|key| key.value && waits_in_vain) {
            let message = "`deferrable` is for transactions that are serializable and read only";
            let help =
                "add `isolation = \"serializable\"` and `read_only = true`, or take it away".to_owned();
            self.blame(&key.span, message.to_owned(), "does nothing in this one", Some(help));
        }
        modes
    }

    fn settings(&mut self, node: &TransactionNode) -> Vec<Setting> {
        let mut settings = Vec::new();
        for (name, value) in node.set.iter().flat_map(|set| &set.0) {
            let is_word = |part: &str| {
                !part.is_empty()
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
            };
            if !name.split('.').all(is_word) {
                let message = format!("`{name}` cannot be the name of a setting");
                let help = "letters, digits and `_`, and for a setting of your own a point: `\"app.tenant\"`";
                self.blame(&value.span, message, "of this value", Some(help.to_owned()));
            }
            settings.push(Setting {
                name: name.clone(),
                value: value.value.0.clone(),
                span: value.span.clone(),
            });
        }
        settings
    }

    fn blame_writes(&mut self, node: &TransactionNode, queries: &[Option<&Query>]) {
        for (step, query) in node.steps.iter().zip(queries) {
            let Some(query) = query else { continue };
            let kind = query.kind;
            if kind.writes() || kind == StatementKind::SelectForUpdate {
                let message = format!("`{}` cannot run in a read-only transaction", query.name);
                let what = if kind.writes() { "changes rows" } else { "locks rows" };
                let help = "take `read_only` away, or the statement".to_owned();
                self.blame(&step.statement.span, message, what, Some(help));
            }
        }
    }

    /// Blames what keeps the statements of a pipeline from being sent before any of them is answered.
    pub(super) fn blame_pipeline(
        &mut self,
        node: &TransactionNode,
        queries: &[Option<&Query>],
        first: usize,
    ) {
        let Some(key) = node.pipeline.as_ref().filter(|key| key.value) else { return };
        if self.document.protocol == Some(Protocol::Simple) {
            let message = "the simple protocol has no pipelines".to_owned();
            let help = "take `pipeline` away, or choose the protocol `extended` or `prepared`".to_owned();
            self.blame(&key.span, message, "`protocol` is `simple`", Some(help));
        }
        for step in node.steps.iter().filter(|step| !step.hold.is_zero()) {
            let message =
                format!("a pipeline is sent at once, and `{}` waits before it", step.statement.value);
            let help = "take `hold` away, or `pipeline`".to_owned();
            self.blame(&step.statement.span, message, "this step has a `hold`", Some(help));
        }
        for (step, query) in node.steps.iter().zip(queries) {
            let Some(query) = query else { continue };
            let runs = node.steps.iter().filter(|other| other.statement.value == query.name).map(times);
            let kept = self.statements[first..]
                .iter()
                .any(|statement| statement.name == query.name && !statement.kept.is_empty());
            if kept && runs.map(|times| times.max).sum::<u32>() > 1 {
                let message = format!("`{}` may run more than once, and what it returns is kept", query.name);
                let help = "of a pipeline only the last row of a statement is kept: take `pipeline` away, or let it run once";
                self.blame(&step.statement.span, message, "in a pipeline", Some(help.to_owned()));
            }
        }
    }

    /// Blames a step of a pipeline that needs what another step of it returns.
    pub(super) fn blame_dependence(&mut self, node: &TransactionNode, at: usize, from: usize, name: &str) {
        if !node.pipeline.as_ref().is_some_and(|key| key.value) {
            return;
        }
        let (step, giver) = (&node.steps[at].statement, &node.steps[from].statement.value);
        let span: &Range<usize> = &step.span;
        let message =
            format!("`{}` needs `:{name}`, which `{giver}` returns in the same pipeline", step.value);
        let help = "take `pipeline` away, or join the two in one statement (WITH … RETURNING)".to_owned();
        self.blame(span, message, "is sent before that is known", Some(help));
    }
}
