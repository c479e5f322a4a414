//! Diagnostic lines, stored with the step and bounded by the host. Never put a secret there.

#[cfg(target_family = "wasm")]
use crate::bindings::tombolo::node::log::{self as host, Level};
#[cfg(not(target_family = "wasm"))]
use crate::testing::log::{self as host, Level};

/// For who develops the plugin.
pub fn debug(message: impl AsRef<str>) {
    host::write(Level::Debug, message.as_ref());
}

/// For who reads the run.
pub fn info(message: impl AsRef<str>) {
    host::write(Level::Info, message.as_ref());
}

/// Something that the reader of the run should look at.
pub fn warn(message: impl AsRef<str>) {
    host::write(Level::Warn, message.as_ref());
}

/// Something that went wrong.
pub fn error(message: impl AsRef<str>) {
    host::write(Level::Error, message.as_ref());
}
