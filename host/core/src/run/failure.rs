//! What a failed run tells the workflows that take its failure: which steps failed, within bounds.

use serde_json::{Value, json};

use super::state::StepState;
use crate::error::StepError;
use crate::ports::store::StepRow;

/// Most failed steps that a failure lists.
pub const MAX_STEPS_TOLD: usize = 100;

/// Most bytes of JSON of the steps that a failure lists.
pub const MAX_STEPS_TOLD_BYTES: usize = 64 * 1024;

/// Most bytes of an error's message, as a failure tells it.
const MAX_MESSAGE_BYTES: usize = 2 * 1024;

/// Most bytes of an error's details as JSON; longer ones are left out.
const MAX_DETAILS_BYTES: usize = 4 * 1024;

/// The failed steps of a run: the first of them, and how many there are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FailedSteps {
    /// `{"node", "item", "state", "error", "attempts"}` each.
    pub told: Vec<Value>,
    /// All that are dead or unknown, told or not.
    pub count: usize,
}

/// Gathers them, in the order given.
pub fn failed_steps<'a>(rows: impl Iterator<Item = &'a StepRow>) -> FailedSteps {
    let (mut failed, mut bytes, mut full) = (FailedSteps::default(), 0, false);
    for row in rows.filter(|row| matches!(row.state, StepState::Dead | StepState::Unknown)) {
        failed.count += 1;
        if full {
            continue;
        }
        let step = json!({
            "node": row.node, "item": row.item, "state": row.state, "attempts": row.attempt,
            "error": row.error.as_ref().map(brief),
        });
        bytes += step.to_string().len();
        full = failed.told.len() == MAX_STEPS_TOLD || bytes > MAX_STEPS_TOLD_BYTES;
        if !full {
            failed.told.push(step);
        }
    }
    failed
}

/// The error with a message that is cut where it is too long, and without details that are. Whole it
/// stands with its step.
pub fn brief(error: &StepError) -> StepError {
    let mut error = error.clone();
    if error.message.len() > MAX_MESSAGE_BYTES {
        error.message.truncate(error.message.floor_char_boundary(MAX_MESSAGE_BYTES));
        error.message.push('…');
    }
    let short = |details: &Value| details.to_string().len() <= MAX_DETAILS_BYTES;
    error.details = error.details.filter(short);
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;

    fn dead(item: u32, message: String) -> StepRow {
        let error = StepError::new(ErrorClass::Permanent, "no", message);
        StepRow { state: StepState::Dead, error: Some(error), ..StepRow::pending("a", item) }
    }

    #[test]
    fn the_first_are_told_and_all_are_counted() {
        let mut rows: Vec<StepRow> = (1..=500).map(|item| dead(item, "no".into())).collect();
        rows[0].state = StepState::Succeeded;
        rows[1].state = StepState::Unknown;
        let failed = failed_steps(rows.iter());
        assert_eq!((failed.told.len(), failed.count), (MAX_STEPS_TOLD, 499));
        assert_eq!(
            (&failed.told[0]["item"], &failed.told[0]["state"]),
            (&json!(2), &json!("unknown"))
        );
    }

    #[test]
    fn long_errors_are_cut_and_fewer_are_told() {
        let rows: Vec<StepRow> = (1..=90).map(|item| dead(item, "é".repeat(40_000))).collect();
        let failed = failed_steps(rows.iter());
        let bytes: usize = failed.told.iter().map(|step| step.to_string().len()).sum();
        assert!(bytes <= MAX_STEPS_TOLD_BYTES, "{bytes}");
        assert!((20..90).contains(&failed.told.len()), "{}", failed.told.len());
        assert_eq!(failed.count, 90);
        let message = failed.told[0]["error"]["message"].as_str().unwrap();
        assert!(message.ends_with("é…") && message.len() <= MAX_MESSAGE_BYTES + 3);
    }

    #[test]
    fn details_are_told_if_they_are_short() {
        let error = StepError::new(ErrorClass::Permanent, "no", "no");
        let short = error.clone().with_details(json!({"status": 422}));
        assert_eq!(brief(&short), short);
        let long = error.clone().with_details(json!("x".repeat(MAX_DETAILS_BYTES)));
        assert_eq!(brief(&long), error);
    }
}
