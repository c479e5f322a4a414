//! What a node reads: only nodes upstream of it, others may not have run.

use super::{Compiler, Draft};
use crate::json::push_pointer;
use crate::workflow::expression::Expression;
use crate::workflow::issue::{Issue, did_you_mean};
use crate::workflow::plan::{NodeIndex, PlanNode};

impl Compiler<'_> {
    /// A node may only read nodes upstream of it: others may not have run.
    pub(super) fn check_reads(
        &mut self,
        draft: &Draft<'_>,
        upstream: &[NodeIndex],
        before: &[PlanNode],
    ) {
        let each = draft.each.iter().flat_map(|each| each.parameters.expressions());
        for located in draft.parameters.expressions().iter().chain(each) {
            let pointer = format!("{}{}", push_pointer("/nodes", draft.name), located.pointer);
            for root in ["steps", "errors"] {
                for name in located.expression.reads(root) {
                    self.check_read(
                        draft,
                        root,
                        &name,
                        &pointer,
                        upstream,
                        before,
                        &located.expression,
                    );
                }
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one read is checked in one place, with all it is checked against"
    )]
    fn check_read(
        &mut self,
        draft: &Draft<'_>,
        root: &str,
        name: &str,
        pointer: &str,
        upstream: &[NodeIndex],
        before: &[PlanNode],
        expression: &Expression,
    ) {
        if upstream.iter().any(|at| before[*at].name == name) {
            return;
        }
        if !self.definition.nodes.contains_key(name) {
            let suggestion = did_you_mean(name, self.definition.nodes.keys().map(String::as_str));
            let message = format!("`{root}.{name}`: no such node");
            self.add(Issue::new(pointer, "unknown-node", message).suggest(suggestion));
            return;
        }
        let message = format!(
            "`{}` reads `{root}.{name}`, but no edge leads from `{name}` to `{}`",
            expression.text, draft.name
        );
        let fix = format!("add \"{name}\" to /nodes/{}/after", draft.name);
        self.add(Issue::new(pointer, "not-upstream", message).suggest(Some(fix)));
    }
}
