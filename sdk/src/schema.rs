//! JSON Schemas (2020-12) of Rust types, for the descriptor.

use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::Value;

/// The schema of what serde accepts for `T`.
pub fn of_input<T: JsonSchema>() -> Value {
    schema::<T>(Contract::Deserialize)
}

/// The schema of what serde writes for `T`.
pub fn of_output<T: JsonSchema>() -> Value {
    schema::<T>(Contract::Serialize)
}

fn schema<T: JsonSchema>(contract: Contract) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.contract = contract;
    // The contract fixes the draft; repeating it in every schema only makes descriptors longer.
    settings.meta_schema = None;
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
