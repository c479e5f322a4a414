//! Who may: tokens, and the guard in front of every route.

mod guard;
mod token;

pub(crate) use guard::{Caller, authorize};
pub use token::hash as hash_token;
pub(crate) use token::issue_for;
pub use token::{IssueError, IssuedToken, NewToken, Randomness, issue_token};
