//! Which runs have dead letters that match: each once, the newest first.

use serde::Deserialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{
    Letter, LetterBox, LetterCursor, LetterFilter, StepKey, StoreError,
};
use tombolo_core::run::StepState;
use utoipa::ToSchema;

/// Letters that are read at a time.
const PAGE: u32 = 200;

/// Sorts after every name of a node, which is made of lower-case letters, digits and `_`.
const AFTER_ALL_NODES: &str = "~";

/// Which dead letters. Every field narrows it; without any, all that wait.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FilterForm {
    /// Of the workflow of this name.
    workflow: Option<String>,
    /// Of this run.
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
    /// Of the node of this name.
    node: Option<String>,
    /// With an error of this class.
    #[schema(value_type = Option<String>)]
    class: Option<ErrorClass>,
    /// With this error code.
    code: Option<String>,
    /// Dead since this time or later (RFC 3339).
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Dead before this time (RFC 3339).
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl From<FilterForm> for LetterFilter {
    fn from(form: FilterForm) -> Self {
        Self {
            workflow: form.workflow,
            run: form.run,
            node: form.node,
            class: form.class,
            code: form.code,
            since: form.since,
            until: form.until,
            discarded: false,
        }
    }
}

/// A run with a dead letter that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub run: RunId,
    /// The workflow's name.
    pub workflow: String,
}

/// At most so many runs, and whether there are more.
pub(super) async fn runs(
    store: &(impl LetterBox + ?Sized),
    tenant: TenantId,
    filter: &LetterFilter,
    limit: usize,
) -> Result<(Vec<Found>, bool), StoreError> {
    let mut runs: Vec<Found> = Vec::new();
    let mut after = None;
    loop {
        let page = store.letters(tenant, filter, after, PAGE).await?;
        let last = page.len() < PAGE as usize;
        for letter in page {
            if runs.last().is_none_or(|found| found.run != letter.run) {
                runs.push(Found { run: letter.run, workflow: letter.workflow_name });
            }
        }
        if runs.len() > limit {
            runs.truncate(limit);
            return Ok((runs, true));
        }
        match runs.last() {
            // A run may have more letters than a page: the next page starts with the next run.
            Some(found) if !last => after = Some(end_of(found.run)),
            _ => return Ok((runs, false)),
        }
    }
}

fn end_of(run: RunId) -> LetterCursor {
    LetterCursor { run, step: StepKey { node: AFTER_ALL_NODES.to_owned(), item: u32::MAX } }
}

/// All letters of a run that wait, at most so many.
pub(super) async fn letters_of(
    store: &(impl LetterBox + ?Sized),
    tenant: TenantId,
    run: RunId,
    limit: u32,
) -> Result<Vec<Letter>, StoreError> {
    let filter = LetterFilter { run: Some(run), ..LetterFilter::default() };
    store.letters(tenant, &filter, None, limit).await
}

/// A node of a run of which nobody knows whether it took effect.
pub(super) async fn unknown_of(
    store: &(impl LetterBox + ?Sized),
    tenant: TenantId,
    run: RunId,
) -> Result<Option<String>, StoreError> {
    let class = Some(ErrorClass::UnknownOutcome);
    let filter = LetterFilter { run: Some(run), class, ..LetterFilter::default() };
    let letters = store.letters(tenant, &filter, None, PAGE).await?;
    let unknown = letters.into_iter().find(|letter| letter.state == StepState::Unknown);
    Ok(unknown.map(|letter| letter.step.node))
}
