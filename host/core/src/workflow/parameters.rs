//! A JSON value with expressions in its strings, and how it becomes a value without.

use serde_json::{Map, Value};

use super::expression::{Expression, Kind, Piece, Template, TemplateError};
use super::needs::Needs;
use super::path::{Path, Segment, follow};
use crate::json::{Budget, MAX_DEPTH, TooMuch, push_pointer};

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
    Constant(Value),
    /// The value of the expression of this number.
    Hole(usize),
    Text(Vec<TextPart>),
    Array(Vec<Part>),
    Object(Vec<(String, Part)>),
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
        let budget = Budget::new(MAX_PARAMETER_BYTES);
        let mut filling = Filling { parameters: self, scope, evaluated, budget };
        filling.fill(&self.root, 0)
    }
}

fn jq(expressions: &[Located]) -> impl Iterator<Item = (usize, &str)> {
    expressions
        .iter()
        .enumerate()
        .filter(|(_, located)| located.expression.kind == Kind::Jq)
        .map(|(number, located)| (number, located.expression.text.as_str()))
}

/// Parameters on the way to a value.
struct Filling<'f, 'v> {
    parameters: &'f Parameters,
    scope: &'f dyn Scope,
    evaluated: &'f dyn Fn(usize) -> Option<&'v Value>,
    budget: Budget,
}

impl Filling<'_, '_> {
    fn fill(&mut self, part: &Part, depth: usize) -> Result<Value, Unresolved> {
        match part {
            Part::Constant(value) => {
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
        let Located { pointer, expression } = located;
        let value = match &expression.kind {
            Kind::Path(path) => path.find(self.scope).map_err(|message| Unresolved {
                code: "expression-failed",
                pointer: pointer.clone(),
                expression: expression.text.clone(),
                message,
            })?,
            Kind::Jq => (self.evaluated)(number).unwrap_or(&Value::Null).clone(),
        };
        self.budget.take(&value, depth).map_err(|too_much| too_much.of(Some(located)))?;
        Ok(value)
    }
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

/// What expressions read from: `.trigger`, `.steps.<name>` and so on, without putting them together
/// in one value first.
pub trait Scope {
    /// The value of `.<name>`, if there is one; `steps` is asked for by [`Scope::member`].
    fn field(&self, name: &str) -> Option<&Value>;

    /// The value of `.<group>.<name>`, for groups that are kept apart.
    fn member(&self, group: &str, name: &str) -> Option<&Value>;

    /// Names of groups that are kept apart.
    fn is_group(&self, name: &str) -> bool;

    /// All of it as one value.
    fn whole(&self) -> Value;
}

impl Path {
    fn find(&self, scope: &dyn Scope) -> Result<Value, String> {
        match self.0.as_slice() {
            [Segment::Field(group), Segment::Field(name), rest @ ..] if scope.is_group(group) => {
                follow(rest, scope.member(group, name).unwrap_or(&Value::Null)).cloned()
            }
            [Segment::Field(name), rest @ ..] if !scope.is_group(name) => {
                follow(rest, scope.field(name).unwrap_or(&Value::Null)).cloned()
            }
            _ => self.get(&scope.whole()).cloned(),
        }
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

/// Strings as they are, everything else as JSON.
fn push_as_text(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => text.push_str(string),
        other => text.push_str(&other.to_string()),
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
            other => Part::Constant(other.clone()),
        }
    }

    fn text(&mut self, text: &str, pointer: &str) -> Part {
        match Template::parse(text) {
            Ok(Template::Literal(literal)) => Part::Constant(Value::String(literal)),
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
                Part::Constant(Value::Null)
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
        Part::Constant(value) => Some(value),
        _ => None,
    });
    Part::Constant(Value::Array(constants.collect()))
}

/// As [`fold_array`].
fn fold_object(parts: Vec<(String, Part)>) -> Part {
    if !parts.iter().all(|(_, part)| matches!(part, Part::Constant(_))) {
        return Part::Object(parts);
    }
    let constants = parts.into_iter().filter_map(|(name, part)| match part {
        Part::Constant(value) => Some((name, value)),
        _ => None,
    });
    Part::Constant(Value::Object(constants.collect()))
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
