//! `/api/v1/dead-letters`: steps that wait for a person; one file per action.

mod canary;
pub(super) mod count;
pub(super) mod list;
mod page;
pub(super) mod redrive_many;
mod redriving;
mod select;
mod shape;
pub(super) mod show;
