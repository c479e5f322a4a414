//! The one place of the workspace with `unsafe`: compiled code is mapped and will be executed as it
//! is.
//!
//! Only bytes that [`crate::cache`] vouches for come here: written by this host's own compiler, and
//! sealed with a key that only this host's user can read.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Vouched;

/// Makes a component of vouched-for compiled code. Fails for code of another engine.
pub(crate) fn component(engine: &Engine, code: &Vouched) -> wasmtime::Result<Component> {
    #[expect(
        unsafe_code,
        reason = "compiled code cannot be validated; `Vouched` is only made by the cache, of bytes \
                  that this host compiled or whose HMAC it checked, and wasmtime checks version \
                  and settings of the engine"
    )]
    // SAFETY: `Vouched` holds the unmodified output of `Engine::precompile_component`: it has
    // private fields and two constructors, one after a compilation (by this process, or by a child
    // of it that runs a program of the same build and answers over a pipe of its own) and one after
    // an HMAC check with a key that only this host's user can read. The bytes are copied out of this buffer
    // before use, so nobody can change them afterwards.
    unsafe {
        Component::deserialize(engine, code.bytes())
    }
}
