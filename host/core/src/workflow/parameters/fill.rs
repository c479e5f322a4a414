//! Parameters as a value, for whoever looks inside at once.

use serde_json::{Map, Value};

use super::scope::Scope;
use super::{Constant, Parameters, Part, TextPart, Unresolved};
use crate::json::{Budget, MAX_DEPTH, TooMuch};
use crate::workflow::expression::Kind;

/// Parameters on the way to a value.
pub(super) struct Filling<'f, 'v> {
    pub(super) parameters: &'f Parameters,
    pub(super) scope: &'f dyn Scope,
    pub(super) evaluated: &'f dyn Fn(usize) -> Option<&'v Value>,
    pub(super) budget: Budget,
}

impl Filling<'_, '_> {
    pub(super) fn fill(&mut self, part: &Part, depth: usize) -> Result<Value, Unresolved> {
        match part {
            Part::Constant(Constant { value, .. }) => {
                self.budget.take(value, depth).map_err(|too_much| too_much.of(None))?;
                Ok(value.clone())
            }
            Part::Hole(number) => self.value(*number, depth),
            Part::Text(parts) => self.text(parts, depth),
            Part::Array(items) => {
                self.enter(depth)?;
                items.iter().map(|item| self.fill(item, depth + 1)).collect()
            }
            Part::Object(fields) => {
                self.enter(depth)?;
                let mut object = Map::with_capacity(fields.len());
                for (name, field) in fields {
                    object.insert(name.clone(), self.fill(field, depth + 1)?);
                }
                Ok(Value::Object(object))
            }
        }
    }

    fn text(&mut self, parts: &[TextPart], depth: usize) -> Result<Value, Unresolved> {
        let mut text = String::new();
        for piece in parts {
            match piece {
                TextPart::Text(literal) => text.push_str(literal),
                TextPart::Hole(number) => push_as_text(&mut text, &self.value(*number, depth)?),
            }
        }
        Ok(Value::String(text))
    }

    /// Into an array or object of the file.
    fn enter(&mut self, depth: usize) -> Result<(), Unresolved> {
        if depth < MAX_DEPTH { Ok(()) } else { Err(TooMuch::Deep.of(None)) }
    }

    fn value(&mut self, number: usize, depth: usize) -> Result<Value, Unresolved> {
        let located = &self.parameters.expressions[number];
        let value = match &located.expression.kind {
            Kind::Path(path) => {
                let found = path.find(self.scope).map_err(|message| located.failed(message))?;
                found.into_value().into_owned()
            }
            Kind::Jq => (self.evaluated)(number).unwrap_or(&Value::Null).clone(),
        };
        self.budget.take(&value, depth).map_err(|too_much| too_much.of(Some(located)))?;
        Ok(value)
    }
}

/// Strings as they are, everything else as JSON.
pub(super) fn push_as_text(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => text.push_str(string),
        other => text.push_str(&other.to_string()),
    }
}
