//! jq programs: compiled, cached, run, with strict JSON on both sides. For plugins; the host never
//! links it.
//!
//! What would reach out of the sandbox or end the instance is left out: `env`, `input`, `halt`.

mod compile;
mod definitions;
mod text;

use std::cell::RefCell;
use std::collections::HashMap;

pub use compile::Program;
pub use jaq_json::{Rc, Val};
pub use text::{NotJson, append, read, write};

/// How many compiled programs an instance keeps; when there are more, it starts over.
pub const MAX_CACHED_PROGRAMS: usize = 256;

/// Longest message of an error, in characters: jq quotes the values it fails on, whole.
pub const MAX_MESSAGE_CHARACTERS: usize = 300;

/// Why a program is no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// One sentence for people.
    pub message: String,
    /// Byte offset in the program, where known.
    pub position: Option<usize>,
}

/// Why a program gives no single value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// It raised an error.
    #[error("{0}")]
    Failed(String),
    /// It gave no value.
    #[error("it gives no value; add `// null` or another value for that case")]
    Empty,
    /// It gave more than one value.
    #[error("it gives more than one value; put it in `[ ]` for a list, or use `first(..)`")]
    Many,
}

thread_local! {
    static PROGRAMS: RefCell<HashMap<String, Rc<Program>>> = RefCell::default();
}

/// The program of this text, compiled at most once as long as it stays in the instance's cache.
pub fn program(text: &str) -> Result<Rc<Program>, CompileError> {
    let cached = PROGRAMS.with_borrow(|programs| programs.get(text).cloned());
    if let Some(program) = cached {
        return Ok(program);
    }
    let program = Rc::new(Program::compile(text)?);
    PROGRAMS.with_borrow_mut(|programs| {
        if programs.len() >= MAX_CACHED_PROGRAMS {
            programs.clear();
        }
        programs.insert(text.to_owned(), Rc::clone(&program));
    });
    Ok(program)
}

/// At most [`MAX_MESSAGE_CHARACTERS`] of a message.
fn shorten(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
