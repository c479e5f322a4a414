//! What paths are looked up in, and what is found there.

use std::borrow::Cow;

use serde_json::Value;

use crate::json::Json;
use crate::workflow::path::{Path, Segment, follow};

/// What expressions read from: `.trigger`, `.steps.<name>` and so on, without putting them together
/// in one value first.
pub trait Scope {
    /// The value of `.<name>`, if there is one; `steps` is asked for by [`Scope::member`].
    fn field(&self, name: &str) -> Option<&Value>;

    /// The value of `.<group>.<name>`, for groups that are kept apart.
    fn member(&self, group: &str, name: &str) -> Option<&Value>;

    /// The same, where it is kept as text.
    fn member_text(&self, _group: &str, _name: &str) -> Option<&Json> {
        None
    }

    /// Names of groups that are kept apart.
    fn is_group(&self, name: &str) -> bool;

    /// All of it as one value.
    fn whole(&self) -> Value;
}

/// What a path leads to.
pub(super) enum Found<'s> {
    /// Something that nobody has to look inside for.
    Text(&'s Json),
    Value(Cow<'s, Value>),
}

impl<'s> Found<'s> {
    pub(super) fn into_value(self) -> Cow<'s, Value> {
        match self {
            Self::Text(json) => Cow::Borrowed(json.value()),
            Self::Value(value) => value,
        }
    }
}

impl Path {
    pub(super) fn find<'s>(&self, scope: &'s dyn Scope) -> Result<Found<'s>, String> {
        const NULL: &Value = &Value::Null;
        let value = match self.0.as_slice() {
            [Segment::Field(group), Segment::Field(name), rest @ ..] if scope.is_group(group) => {
                if rest.is_empty()
                    && let Some(text) = scope.member_text(group, name)
                {
                    return Ok(Found::Text(text));
                }
                Cow::Borrowed(follow(rest, scope.member(group, name).unwrap_or(NULL))?)
            }
            [Segment::Field(name), rest @ ..] if !scope.is_group(name) => {
                Cow::Borrowed(follow(rest, scope.field(name).unwrap_or(NULL))?)
            }
            _ => Cow::Owned(self.get(&scope.whole())?.clone()),
        };
        Ok(Found::Value(value))
    }
}

impl Scope for Value {
    fn field(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }

    fn member(&self, _: &str, _: &str) -> Option<&Value> {
        None
    }

    fn is_group(&self, _: &str) -> bool {
        // A path that starts at something without fields has to fail as jq has it.
        !self.is_object()
    }

    fn whole(&self) -> Value {
        self.clone()
    }
}
