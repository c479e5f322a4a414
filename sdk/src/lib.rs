//! What a Tombolo plugin in Rust depends on.
//!
//! A plugin is a function that returns a [`Plugin`], and one line that exports it. Operations are
//! plain functions from typed parameters to a typed output; their JSON Schemas are derived.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use tombolo_sdk::{Effect, NodeError, Operation, Plugin};
//!
//! tombolo_sdk::export!(plugin);
//!
//! /// What this plugin offers.
//! pub fn plugin() -> Plugin {
//!     Plugin::transform("greet", env!("CARGO_PKG_VERSION"), "Greets people").operation(
//!         Operation::new("greet", "Makes a greeting", Effect::Pure, greet)
//!     )
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Person { name: String }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Greeting { text: String }
//!
//! fn greet(person: Person) -> Result<Greeting, NodeError> {
//!     Ok(Greeting { text: format!("Hello, {}!", person.name) })
//! }
//! # fn main() {
//! let called = tombolo_sdk::testing::invoke(&plugin(), "greet", serde_json::json!({"name": "Ada"}));
//! assert_eq!(called.unwrap().output["text"], "Hello, Ada!");
//! # }
//! ```
//!
//! Built with `cargo build --target wasm32-wasip2` it is a component. What it imports is what its
//! code calls: a plugin that uses [`http`], [`context`] or [`state`] is a connector, one that uses
//! none of them a transform. Natively the same code runs in `cargo test` against [`testing`].

pub mod context;
pub mod descriptor;
pub mod error;
pub mod http;
pub mod log;
pub mod operation;
pub mod params;
pub mod plugin;
pub mod schema;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;
#[doc(hidden)]
pub use wit_bindgen;

pub use error::{ErrorClass, NodeError};
pub use operation::{Effect, Operation, Outcome, Routed, Schemas};
pub use plugin::{Auth, Plugin, World};

// The generated code names the runtime by this crate's own name, here and in plugins.
#[cfg(target_family = "wasm")]
extern crate self as tombolo_sdk;

/// Makes the crate a component: `tombolo_sdk::export!(plugin);` with the path of a function that
/// returns the [`Plugin`]. Does nothing on other targets.
#[macro_export]
macro_rules! export {
    ($plugin:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;
            impl $crate::guest::Define for Component {
                fn with_plugin<T>(see: impl FnOnce(&$crate::Plugin) -> T) -> T {
                    ::std::thread_local! {
                        static PLUGIN: $crate::Plugin = $plugin();
                    }
                    PLUGIN.with(see)
                }
            }
    $crate::bindings::export_node!(Component with_types_in $crate::bindings);
        };
    };
}
