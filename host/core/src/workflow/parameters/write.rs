//! Parameters as JSON text, for a plugin: what an upstream node gave as text goes on as text, without
//! anybody looking inside.

use std::fmt::Write as _;

use serde_json::Value;

use super::fill::push_as_text;
use super::scope::{Found, Scope};
use super::{Constant, Located, MAX_PARAMETER_BYTES, Parameters, Part, TextPart, Unresolved};
use crate::json::{self, Budget, Json, MAX_DEPTH, TooMuch};
use crate::workflow::expression::Kind;

/// Parameters on the way to text.
pub(super) struct Writing<'f, 'v> {
    pub(super) parameters: &'f Parameters,
    pub(super) scope: &'f dyn Scope,
    pub(super) evaluated: &'f dyn Fn(usize) -> Option<&'v Json>,
    pub(super) text: String,
}

impl Writing<'_, '_> {
    /// Writes a part that stands `depth` levels deep.
    pub(super) fn write(&mut self, part: &Part, depth: usize) -> Result<(), Unresolved> {
        match part {
            Part::Constant(Constant { text, levels, .. }) => {
                self.room(text.len(), depth + levels).map_err(|too_much| too_much.of(None))?;
                self.text.push_str(text);
                Ok(())
            }
            Part::Hole(number) => self.hole(*number, depth),
            Part::Text(parts) => self.string(parts, depth),
            Part::Array(items) => {
                self.enter(depth)?;
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.comma(at);
                    self.write(item, depth + 1)?;
                }
                self.text.push(']');
                Ok(())
            }
            Part::Object(fields) => {
                self.enter(depth)?;
                self.text.push('{');
                for (at, (name, field)) in fields.iter().enumerate() {
                    self.comma(at);
                    self.value(&name.as_str().into());
                    self.text.push(':');
                    self.write(field, depth + 1)?;
                }
                self.text.push('}');
                Ok(())
            }
        }
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.text.push(',');
        }
    }

    /// Into an array or object of the file.
    fn enter(&mut self, depth: usize) -> Result<(), Unresolved> {
        self.room(2, depth + 1).map_err(|too_much| too_much.of(None))
    }

    /// Room for so many bytes that reach so many levels deep.
    fn room(&self, bytes: usize, levels: usize) -> Result<(), TooMuch> {
        if levels > MAX_DEPTH {
            return Err(TooMuch::Deep);
        }
        if self.text.len().saturating_add(bytes) > MAX_PARAMETER_BYTES {
            return Err(TooMuch::Large);
        }
        Ok(())
    }

    fn hole(&mut self, number: usize, depth: usize) -> Result<(), Unresolved> {
        let located = &self.parameters.expressions[number];
        let found = self.look_up(number)?;
        let written = match found {
            Found::Text(json) => self
                .room(json.text().len(), depth + json::levels(json.text()))
                .map(|()| self.text.push_str(json.text())),
            Found::Value(value) => Budget::new(MAX_PARAMETER_BYTES.saturating_sub(self.text.len()))
                .take(&value, depth)
                .map(|()| self.value(&value)),
        };
        written.map_err(|too_much| too_much.of(Some(located)))
    }

    /// A string of the file with expressions in it.
    fn string(&mut self, parts: &[TextPart], depth: usize) -> Result<(), Unresolved> {
        let mut string = String::new();
        for piece in parts {
            match piece {
                TextPart::Text(literal) => string.push_str(literal),
                TextPart::Hole(number) => {
                    let value = self.look_up(*number)?.into_value();
                    let left = MAX_PARAMETER_BYTES.saturating_sub(self.text.len() + string.len());
                    let located = &self.parameters.expressions[*number];
                    let room = Budget::new(left).take(&value, depth);
                    room.map_err(|too_much| too_much.of(Some(located)))?;
                    push_as_text(&mut string, &value);
                }
            }
        }
        self.value(&string.into());
        Ok(())
    }

    fn look_up(&self, number: usize) -> Result<Found<'_>, Unresolved> {
        const NULL: &Value = &Value::Null;
        let located: &Located = &self.parameters.expressions[number];
        match &located.expression.kind {
            Kind::Path(path) => path.find(self.scope).map_err(|message| located.failed(message)),
            Kind::Jq => Ok(match (self.evaluated)(number) {
                Some(json) => Found::Text(json),
                None => Found::Value(std::borrow::Cow::Borrowed(NULL)),
            }),
        }
    }

    fn value(&mut self, value: &Value) {
        // Writing to a String never fails.
        let _ = write!(self.text, "{value}");
    }
}
