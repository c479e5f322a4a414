//! From program text to a filter, and from a filter to its one value.

use jaq_core::load::{self, Arena, File, Loader, lex, parse};
use jaq_core::{Compiler, Ctx, Filter, Vars, compile, data};
use jaq_json::Val;

use crate::definitions::needed;
use crate::{CompileError, RunError, shorten};

type Data = data::JustLut<Val>;

/// A compiled program.
pub struct Program(Filter<Data>);

impl Program {
    /// Compiles without looking into the cache; see [`crate::program`].
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        let needed = needed(text);
        let definitions = parse(&needed.definitions, |parser| parser.defs())
            .ok_or_else(|| problem("jq's own definitions do not parse".to_owned(), None))?;
        let arena = Arena::default();
        let file = File { code: text, path: () };
        let modules = Loader::new(definitions)
            .load(&arena, file)
            .map_err(|errors| load_error(text, &errors))?;
        let functions = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .filter(|(name, _, _)| needed.names.contains(name));
        Compiler::default()
            .with_funs(functions)
            .compile(modules)
            .map(Self)
            .map_err(|errors| compile_error(text, &errors))
    }

    /// The one value that the program gives for `input`. Looks at no more than two.
    pub fn one(&self, input: Val) -> Result<Val, RunError> {
        let mut values = self.values(input);
        let value = values.next().ok_or(RunError::Empty)??;
        match values.next() {
            None => Ok(value),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) => Err(RunError::Many),
        }
    }

    fn values(&self, input: Val) -> impl Iterator<Item = Result<Val, RunError>> {
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new([]));
        self.0.id.run((context, input)).map(|value| {
            value.map_err(|exception| {
                RunError::Failed(match exception.get_err() {
                    Ok(error) => match error.into_val() {
                        Val::TStr(text) => shorten(&String::from_utf8_lossy(&text)),
                        other => shorten(&other.to_string()),
                    },
                    Err(_) => "it breaks out of a label that is not there".to_owned(),
                })
            })
        })
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}

fn load_error(text: &str, errors: &load::Errors<&str, ()>) -> CompileError {
    let first = errors.iter().map(|(_, error)| error).next();
    match first {
        Some(load::Error::Lex(errors)) => expected(
            text,
            errors
                .first()
                .map(|(what, found)| (what as &lex::Expect<&str>, *found))
                .map(|(what, found)| (what.as_str(), found)),
        ),
        Some(load::Error::Parse(errors)) => expected(
            text,
            errors
                .first()
                .map(|(what, found)| (what as &parse::Expect<&str>, *found))
                .map(|(what, found)| (what.as_str(), found)),
        ),
        Some(load::Error::Io(errors)) => {
            let path = errors.first().map_or("", |(path, _)| *path);
            problem("modules cannot be imported here".to_owned(), position(text, path))
        }
        None => problem("it does not parse".to_owned(), None),
    }
}

fn expected(text: &str, what: Option<(&str, &str)>) -> CompileError {
    let Some((what, found)) = what else {
        return problem("it does not parse".to_owned(), None);
    };
    let message = match found.split_whitespace().next() {
        Some(word) => format!("expected {what}, found `{word}`"),
        None => format!("expected {what}, found the end"),
    };
    problem(message, position(text, found))
}

fn compile_error(text: &str, errors: &compile::Errors<&str, ()>) -> CompileError {
    let Some((name, undefined)) = errors.iter().flat_map(|(_, errors)| errors).next() else {
        return problem("it does not compile".to_owned(), None);
    };
    let message = match undefined {
        compile::Undefined::Filter(0) => format!("there is no function `{name}`"),
        compile::Undefined::Filter(arity) => {
            format!("there is no function `{name}` with {arity} arguments")
        }
        other => format!("there is no {} `{name}`", other.as_str()),
    };
    problem(message, position(text, name))
}

fn problem(message: String, position: Option<usize>) -> CompileError {
    CompileError { message: shorten(&message), position }
}

/// Where `part` begins in `text`, if it is a slice of it.
fn position(text: &str, part: &str) -> Option<usize> {
    let offset = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (offset + part.len() <= text.len()).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{program, read, write};

    fn run(text: &str, input: &str) -> Result<String, String> {
        let program = program(text).map_err(|error| error.to_string())?;
        let input = read(input.as_bytes()).map_err(|error| error.to_string())?;
        let value = program.one(input).map_err(|error| error.to_string())?;
        write(&value).map_err(|error| error.to_string())
    }

    #[test]
    fn programs_give_their_value() {
        let table = [
            (".a.b", r#"{"a":{"b":[1,"x"]}}"#, r#"[1,"x"]"#),
            ("map(.n) | add", r#"[{"n":1},{"n":2.5}]"#, "3.5"),
            (r#""Onboarding: \(.name)""#, r#"{"name":"Ada"}"#, r#""Onboarding: Ada""#),
            ("[.[] | select(. > 1)] | length", "[1,2,3]", "2"),
            ("[limit(3; repeat(1))]", "null", "[1,1,1]"),
            (r#"test("^[a-z]+$")"#, r#""abc""#, "true"),
            ("1678886400000 / 1000 | todate", "null", r#""2023-03-15T13:20:00Z""#),
            ("group_by(.k) | map(length)", r#"[{"k":1},{"k":2},{"k":1}]"#, "[2,1]"),
            ("def f: . * 2; f", "21", "42"),
            ("@base64", r#""hi""#, r#""aGk=""#),
            ("to_entries | map(.key)", r#"{"z":1,"a":2}"#, r#"["z","a"]"#),
        ];
        for (text, input, expected) in table {
            assert_eq!(run(text, input).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn not_exactly_one_value_is_an_error() {
        let one = |text| program(text).expect("compiles").one(Val::Null);
        assert_eq!(one("empty").map(drop), Err(RunError::Empty));
        assert_eq!(one("1, 2").map(drop), Err(RunError::Many));
        assert_eq!(one("repeat(1)").map(drop), Err(RunError::Many));
        assert_eq!(one(r#"1, error("no")"#).map(drop), Err(RunError::Failed("no".to_owned())));
        assert!(matches!(one("label $out | break $out"), Err(RunError::Empty)));
    }

    #[test]
    fn a_message_is_short_even_when_the_value_is_not() {
        let long = "x".repeat(10_000);
        let message = run(". + 1", &format!("\"{long}\"")).expect_err("text plus number");
        assert!(message.starts_with("cannot calculate"));
        assert_eq!(message.chars().count(), crate::MAX_MESSAGE_CHARACTERS + 1);
    }

    #[test]
    fn a_program_that_is_none_is_refused_with_its_place() {
        let error = |text| program(text).expect_err(text);
        let table = [
            (".a |", "expected term, found the end", Some(4)),
            (". + foo(1)", "there is no function `foo` with 1 arguments", Some(4)),
            ("bar", "there is no function `bar`", Some(0)),
            ("$x", "there is no variable `$x`", Some(0)),
            ("(.a", "expected closing parenthesis, found the end", Some(3)),
            ("if . then 1", "expected else or end, found the end", Some(11)),
            (r#"import "a" as a; ."#, "modules cannot be imported here", None),
        ];
        for (text, message, position) in table {
            let found = error(text);
            assert_eq!(found.message, message, "{text}");
            if position.is_some() {
                assert_eq!(found.position, position, "{text}");
            }
        }
    }

    #[test]
    fn what_reaches_out_is_not_there() {
        for text in
            ["env", "$ENV", "input", "inputs", "input_filename", "halt", "halt_error", "halt(1)"]
        {
            assert!(program(text).is_err(), "{text} must not compile");
        }
    }
}
