//! A JSON value with expressions in its strings, and how it becomes one without.

mod fill;
mod scope;
mod write;

use std::borrow::Cow;

use serde_json::Value;

use self::fill::Filling;
use self::write::Writing;
use super::expression::{Expression, Kind, Piece, Template, TemplateError};
use super::needs::Needs;
use crate::json::{self, Budget, Json, MAX_DEPTH, TooMuch, push_pointer};

pub use self::scope::Scope;

/// A value of the workflow file, prepared: its expressions are numbered.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    root: Part,
    /// In the order of their numbers.
    expressions: Vec<Located>,
    /// Of those that only the evaluator can answer.
    needs: Needs,
}

/// An expression and its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// JSON pointer, relative to the value.
    pub pointer: String,
    /// The expression.
    pub expression: Expression,
}

/// Largest value that parameters may become, in bytes of JSON text, about.
pub const MAX_PARAMETER_BYTES: usize = 16 * 1024 * 1024;

/// Parameters that have no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}`: {message}")]
pub struct Unresolved {
    /// Stable, for programs: `expression-failed`, `parameters-too-large`, `parameters-too-deep`.
    pub code: &'static str,
    /// JSON pointer, relative to the value.
    pub pointer: String,
    /// The expression's text.
    pub expression: String,
    /// One sentence for people.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Constant(Constant),
    /// The value of the expression of this number.
    Hole(usize),
    Text(Vec<TextPart>),
    Array(Vec<Part>),
    Object(Vec<(String, Part)>),
}

/// A value without expressions, and what is asked of it at every use.
#[derive(Debug, Clone, PartialEq)]
struct Constant {
    value: Value,
    text: String,
    /// How deep it nests.
    levels: usize,
}

impl From<Value> for Constant {
    fn from(value: Value) -> Self {
        let text = value.to_string();
        Self { levels: json::levels(&text), text, value }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum TextPart {
    Text(String),
    Hole(usize),
}

impl Parameters {
    /// Prepares `value`. Every string that is no template is reported with its pointer.
    pub fn prepare(value: &Value) -> Result<Self, Vec<(String, TemplateError)>> {
        let mut maker = Maker::default();
        let root = maker.part(value, "");
        if maker.errors.is_empty() {
            let expressions = maker.expressions;
            let needs = Needs::of(jq(&expressions).map(|(_, text)| text));
            Ok(Self { root, expressions, needs })
        } else {
            Err(maker.errors)
        }
    }

    /// The expressions, in the order of their numbers.
    pub fn expressions(&self) -> &[Located] {
        &self.expressions
    }

    /// The numbers and texts of the expressions that only the evaluator can answer.
    pub fn jq(&self) -> impl Iterator<Item = (usize, &str)> {
        jq(&self.expressions)
    }

    /// What of the scope the evaluator has to be given for them.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The value, with paths looked up in `scope` and `evaluated(number)` in place of the others.
    ///
    /// # Errors
    /// The first path that leads into something that has no fields; a value larger than
    /// [`MAX_PARAMETER_BYTES`] or deeper than [`MAX_DEPTH`].
    pub fn resolve<'a>(
        &self,
        scope: &dyn Scope,
        evaluated: &dyn Fn(usize) -> Option<&'a Value>,
    ) -> Result<Value, Unresolved> {
        self.filling(scope, evaluated).fill(&self.root, 0)
    }

    /// As [`Parameters::resolve`], for the field `name` of an object: None if there is no such field.
    ///
    /// # Errors
    /// As there.
    pub fn resolve_field<'a>(
        &self,
        name: &str,
        scope: &dyn Scope,
        evaluated: &dyn Fn(usize) -> Option<&'a Value>,
    ) -> Result<Option<Value>, Unresolved> {
        let part = self.field(name);
        part.map(|part| self.filling(scope, evaluated).fill(&part, 1)).transpose()
    }

    /// As [`Parameters::resolve_field`], as text.
    ///
    /// # Errors
    /// As there.
    pub fn write_field<'a>(
        &self,
        name: &str,
        scope: &dyn Scope,
        evaluated: &dyn Fn(usize) -> Option<&'a Json>,
    ) -> Result<Option<Json>, Unresolved> {
        let Some(part) = self.field(name) else {
            return Ok(None);
        };
        let mut writing = Writing { parameters: self, scope, evaluated, text: String::new() };
        writing.write(&part, 1)?;
        Ok(Some(Json::from_trusted(writing.text)))
    }

    fn field(&self, name: &str) -> Option<Cow<'_, Part>> {
        match &self.root {
            Part::Object(fields) => {
                fields.iter().find(|(field, _)| field == name).map(|(_, part)| Cow::Borrowed(part))
            }
            Part::Constant(Constant { value, .. }) => {
                value.get(name).map(|value| Cow::Owned(Part::constant(value.clone())))
            }
            _ => None,
        }
    }

    fn filling<'f, 'v>(
        &'f self,
        scope: &'f dyn Scope,
        evaluated: &'f dyn Fn(usize) -> Option<&'v Value>,
    ) -> Filling<'f, 'v> {
        let budget = Budget::new(MAX_PARAMETER_BYTES);
        Filling { parameters: self, scope, evaluated, budget }
    }
}

impl Part {
    fn constant(value: Value) -> Self {
        Self::Constant(value.into())
    }
}

impl Located {
    fn failed(&self, message: String) -> Unresolved {
        Unresolved {
            code: "expression-failed",
            pointer: self.pointer.clone(),
            expression: self.expression.text.clone(),
            message,
        }
    }
}

fn jq(expressions: &[Located]) -> impl Iterator<Item = (usize, &str)> {
    expressions
        .iter()
        .enumerate()
        .filter(|(_, located)| located.expression.kind == Kind::Jq)
        .map(|(number, located)| (number, located.expression.text.as_str()))
}

impl TooMuch {
    fn of(self, located: Option<&Located>) -> Unresolved {
        let (code, message) = match self {
            Self::Large => (
                "parameters-too-large",
                format!(
                    "with this the parameters are larger than {MAX_PARAMETER_BYTES} bytes (limit max_parameter_bytes)"
                ),
            ),
            Self::Deep => (
                "parameters-too-deep",
                format!("with this the parameters nest deeper than {MAX_DEPTH} levels"),
            ),
        };
        let (pointer, expression) = located.map_or_else(Default::default, |located| {
            (located.pointer.clone(), located.expression.text.clone())
        });
        Unresolved { code, pointer, expression, message }
    }
}

#[derive(Default)]
struct Maker {
    expressions: Vec<Located>,
    errors: Vec<(String, TemplateError)>,
}

impl Maker {
    fn part(&mut self, value: &Value, pointer: &str) -> Part {
        match value {
            Value::String(text) => self.text(text, pointer),
            Value::Array(items) => {
                let parts = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.part(item, &push_pointer(pointer, &at.to_string())))
                    .collect();
                fold_array(parts)
            }
            Value::Object(fields) => {
                let parts = fields
                    .iter()
                    .map(|(name, field)| {
                        (name.clone(), self.part(field, &push_pointer(pointer, name)))
                    })
                    .collect();
                fold_object(parts)
            }
            other => Part::constant(other.clone()),
        }
    }

    fn text(&mut self, text: &str, pointer: &str) -> Part {
        match Template::parse(text) {
            Ok(Template::Literal(literal)) => Part::constant(Value::String(literal)),
            Ok(Template::Single(expression)) => Part::Hole(self.number(expression, pointer)),
            Ok(Template::Mixed(pieces)) => Part::Text(
                pieces
                    .into_iter()
                    .map(|piece| match piece {
                        Piece::Text(literal) => TextPart::Text(literal),
                        Piece::Expression(expression) => {
                            TextPart::Hole(self.number(expression, pointer))
                        }
                    })
                    .collect(),
            ),
            Err(error) => {
                self.errors.push((pointer.to_owned(), error));
                Part::constant(Value::Null)
            }
        }
    }

    fn number(&mut self, expression: Expression, pointer: &str) -> usize {
        self.expressions.push(Located { pointer: pointer.to_owned(), expression });
        self.expressions.len() - 1
    }
}

/// An array without holes is one constant: nothing to walk at run time.
fn fold_array(parts: Vec<Part>) -> Part {
    if !parts.iter().all(|part| matches!(part, Part::Constant(_))) {
        return Part::Array(parts);
    }
    let constants = parts.into_iter().filter_map(|part| match part {
        Part::Constant(constant) => Some(constant.value),
        _ => None,
    });
    Part::constant(Value::Array(constants.collect()))
}

/// As [`fold_array`].
fn fold_object(parts: Vec<(String, Part)>) -> Part {
    if !parts.iter().all(|(_, part)| matches!(part, Part::Constant(_))) {
        return Part::Object(parts);
    }
    let constants = parts.into_iter().filter_map(|(name, part)| match part {
        Part::Constant(constant) => Some((name, constant.value)),
        _ => None,
    });
    Part::constant(Value::Object(constants.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fills_holes_and_keeps_types() {
        let prepared = Parameters::prepare(&json!({
            "id": "${ .trigger.id }",
            "name": "Deal ${ .trigger.id }: ${ .trigger.tags }",
            "big": "${ .trigger.amount > 1 }",
            "constant": [1, {"a": "b"}],
        }))
        .unwrap();
        assert_eq!(prepared.jq().collect::<Vec<_>>(), [(3, ".trigger.amount > 1")]);
        let scope = json!({"trigger": {"id": 7, "tags": ["x"], "amount": 5}});
        let yes = json!(true);
        let value = prepared.resolve(&scope, &|number| (number == 3).then_some(&yes)).unwrap();
        assert_eq!(
            value,
            json!({"id": 7, "name": "Deal 7: [\"x\"]", "big": true, "constant": [1, {"a": "b"}]})
        );
    }

    /// A scope whose steps are kept as text.
    struct Steps(Json);

    impl Scope for Steps {
        fn field(&self, _: &str) -> Option<&Value> {
            None
        }

        fn member(&self, _: &str, _: &str) -> Option<&Value> {
            Some(self.0.value())
        }

        fn member_text(&self, _: &str, _: &str) -> Option<&Json> {
            Some(&self.0)
        }

        fn is_group(&self, name: &str) -> bool {
            name == "steps"
        }

        fn whole(&self) -> Value {
            json!({ "steps": { "a": self.0.value() } })
        }
    }

    #[test]
    fn a_field_is_written_as_it_is_resolved() {
        let prepared = Parameters::prepare(&json!({
            "when": "${ .steps.a.ok }",
            "with": {
                "whole": "${ .steps.a }", "part": ["${ .steps.a.n }", "${ .all.of | it }"],
                "text \"quoted\"": "n is ${ .steps.a.n }\n", "constant": [1, {"a": "b"}], "scope": "${ . }",
            },
        }));
        let prepared = prepared.unwrap();
        let scope = Steps(Json::from_trusted(r#"{"ok": true, "n": 1.50}"#));
        let jq = Json::from_trusted("[ 1 ]");
        let written = prepared.write_field("with", &scope, &|_| Some(&jq)).unwrap().unwrap();
        assert!(
            written.text().starts_with(r#"{"whole":{"ok": true, "n": 1.50},"part":[1.5,[ 1 ]]"#)
        );
        let resolved = prepared.resolve_field("with", &scope, &|_| Some(jq.value())).unwrap();
        assert_eq!(Some(written.value()), resolved.as_ref());
        let when = prepared.resolve_field("when", &scope, &|_| None).unwrap();
        assert_eq!(when, Some(json!(true)));
        assert_eq!(prepared.write_field("each", &scope, &|_| None).unwrap(), None);

        let constant = Parameters::prepare(&json!({"with": {"a": 1}})).unwrap();
        let written = constant.write_field("with", &scope, &|_| None).unwrap().unwrap();
        assert_eq!(written.text(), r#"{"a":1}"#);
    }

    #[test]
    fn text_that_grows_too_large_or_too_deep_is_not_written() {
        let write = |file: Value, step: String| {
            let scope = Steps(Json::from_trusted(step));
            let prepared = Parameters::prepare(&file).unwrap();
            prepared.write_field("with", &scope, &|_| None).map(drop).map_err(|error| error.code)
        };
        let twice = json!({"with": ["${ .steps.a }", "${ .steps.a }"]});
        let text = format!("\"{}\"", "x".repeat(MAX_PARAMETER_BYTES / 2));
        assert_eq!(write(twice.clone(), text.clone()), Err("parameters-too-large"));
        assert_eq!(write(json!({"with": "${ .steps.a }"}), text), Ok(()));
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(write(twice.clone(), deep(MAX_DEPTH - 2)), Ok(()));
        assert_eq!(write(twice, deep(MAX_DEPTH - 1)), Err("parameters-too-deep"));
    }

    #[test]
    fn reports_where_a_path_fails() {
        let prepared = Parameters::prepare(&json!({"a": ["${ .n.x }"]})).unwrap();
        let error = prepared.resolve(&json!({"n": 1}), &|_| None).unwrap_err();
        assert_eq!((error.pointer.as_str(), error.expression.as_str()), ("/a/0", ".n.x"));
    }

    #[test]
    fn reports_every_bad_template() {
        let errors = Parameters::prepare(&json!({"a": "${", "b": {"c~/": "${ }"}})).unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/a", "/b/c~0~1"]);
    }

    #[test]
    fn what_grows_too_large_or_too_deep_has_no_value() {
        let big = json!({"trigger": "x".repeat(MAX_PARAMETER_BYTES / 3)});
        let thrice = json!({"a": "${ .trigger }", "b": ["${ .trigger }", "${ .trigger }!"]});
        let error = Parameters::prepare(&thrice).unwrap().resolve(&big, &|_| None).unwrap_err();
        assert_eq!((error.code, error.pointer.as_str()), ("parameters-too-large", "/b/1"));
        let twice = json!({"a": "${ .trigger }", "b": "${ .trigger }"});
        assert!(Parameters::prepare(&twice).unwrap().resolve(&big, &|_| None).is_ok());

        let deep = (1..MAX_DEPTH).fold(json!(1), |inner, _| json!([inner]));
        let scope = json!({ "trigger": deep });
        let wrapped = |levels| (0..levels).fold(json!("${ .trigger }"), |inner, _| json!([inner]));
        let resolve =
            |levels| Parameters::prepare(&wrapped(levels)).unwrap().resolve(&scope, &|_| None);
        assert!(resolve(1).is_ok());
        assert_eq!(resolve(2).unwrap_err().code, "parameters-too-deep");
    }
}
