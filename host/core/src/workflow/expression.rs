//! Text with expressions: `${ .trigger.id }`, `Onboarding: ${ .steps.deal.name }`.
//!
//! Finds where expressions begin and end and which nodes they read. Never evaluates jq.

use std::collections::BTreeSet;

use super::path::{Path, Segment};

/// Longest text of one expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 16 * 1024;

/// A string of the workflow file.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// No expression in it (with `$${` read as `${`).
    Literal(String),
    /// One expression and nothing else: the value keeps its type.
    Single(Expression),
    /// Text with expressions in it: the values become text.
    Mixed(Vec<Piece>),
}

/// A part of a [`Template::Mixed`].
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// To be evaluated.
    Expression(Expression),
}

/// One expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// jq, without `${` and `}`.
    pub text: String,
    /// Who answers it.
    pub kind: Kind,
}

/// Who answers an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The host, by looking up.
    Path(Path),
    /// The sandboxed evaluator.
    Jq,
}

/// Why a string is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without its `}`.
    #[error(
        "the expression that starts at character {at} has no closing `}}`; write `$${{` for a literal `${{`"
    )]
    Unclosed {
        /// Counted from 0, in bytes.
        at: usize,
    },
    /// `${ }`.
    #[error("the expression at character {at} is empty; write `${{ . }}` for the whole scope")]
    Empty {
        /// Counted from 0, in bytes.
        at: usize,
    },
    /// Longer than `MAX_EXPRESSION_BYTES`.
    #[error(
        "the expression at character {at} is longer than {MAX_EXPRESSION_BYTES} bytes (limit max_expression_bytes)"
    )]
    TooLong {
        /// Counted from 0, in bytes.
        at: usize,
    },
}

impl Template {
    /// Reads a string of the workflow file.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("${") {
            let start = at + found;
            if text[..start].ends_with('$') {
                literal.push_str(&text[at..start - 1]);
                literal.push_str("${");
                at = start + 2;
                continue;
            }
            literal.push_str(&text[at..start]);
            let end = start
                + 2
                + closing(&text[start + 2..]).ok_or(TemplateError::Unclosed { at: start })?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Expression(Expression::parse(&text[start + 2..end], start)?));
            at = end + 1;
        }
        literal.push_str(&text[at..]);
        Ok(Self::assemble(pieces, literal))
    }

    fn assemble(mut pieces: Vec<Piece>, tail: String) -> Self {
        if pieces.is_empty() {
            return Self::Literal(tail);
        }
        if !tail.is_empty() {
            pieces.push(Piece::Text(tail));
        }
        match pieces.as_slice() {
            [Piece::Expression(only)] => Self::Single(only.clone()),
            _ => Self::Mixed(pieces),
        }
    }

    /// The expressions in it.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let (single, mixed) = match self {
            Self::Literal(_) => (None, [].as_slice()),
            Self::Single(expression) => (Some(expression), [].as_slice()),
            Self::Mixed(pieces) => (None, pieces.as_slice()),
        };
        single.into_iter().chain(mixed.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Expression(expression) => Some(expression),
        }))
    }
}

impl Expression {
    fn parse(text: &str, at: usize) -> Result<Self, TemplateError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TemplateError::Empty { at });
        }
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(TemplateError::TooLong { at });
        }
        let kind = Path::parse(text).map_or(Kind::Jq, Kind::Path);
        Ok(Self { text: text.to_owned(), kind })
    }

    /// True for a plain path that starts at the field `name`.
    pub fn reads_field(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Path(Path(segments)) => {
                matches!(segments.first(), Some(Segment::Field(first)) if first == name)
            }
            Kind::Jq => false,
        }
    }

    /// The fields `<name>` it reads as `.<root>.<name>`, as far as the text shows them.
    ///
    /// jq can hide a read (`.steps | .[$x]`); such a read finds only what the node may read.
    pub fn reads(&self, root: &str) -> BTreeSet<String> {
        match &self.kind {
            Kind::Path(Path(segments)) => match segments.as_slice() {
                [Segment::Field(first), Segment::Field(name), ..] if first == root => {
                    BTreeSet::from([name.clone()])
                }
                _ => BTreeSet::new(),
            },
            Kind::Jq => jq_reads(&self.text, root),
        }
    }
}

/// Where the expression's `}` is: outside of strings, comments and nested braces.
fn closing(text: &str) -> Option<usize> {
    let mut scan = Scan::default();
    text.char_indices().find(|(_, c)| scan.step(*c) == Step::Closed).map(|(at, _)| at)
}

/// What [`Scan`] made of a character.
#[derive(PartialEq, Eq)]
enum Step {
    /// Inside a string or comment.
    Hidden,
    /// Part of the program.
    Code,
    /// The `}` that closes the expression.
    Closed,
}

/// Walks over jq and knows what is string, comment, interpolation and brace. One entry of `open`
/// for each thing that was opened and not closed.
#[derive(Default)]
struct Scan {
    open: Vec<Open>,
    escaped: bool,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Open {
    Brace,
    Parenthesis,
    /// `\(` inside a string.
    Interpolation,
    Text,
    Comment,
}

impl Scan {
    fn step(&mut self, c: char) -> Step {
        match self.open.last() {
            Some(Open::Text) => self.in_text(c),
            Some(Open::Comment) => {
                if c == '\n' {
                    self.open.pop();
                }
                Step::Hidden
            }
            _ => self.in_code(c),
        }
    }

    fn in_text(&mut self, c: char) -> Step {
        if std::mem::take(&mut self.escaped) {
            if c == '(' {
                self.open.push(Open::Interpolation);
            }
        } else if c == '\\' {
            self.escaped = true;
        } else if c == '"' {
            self.open.pop();
        }
        Step::Hidden
    }

    fn in_code(&mut self, c: char) -> Step {
        match c {
            '"' => self.open.push(Open::Text),
            '#' => self.open.push(Open::Comment),
            '{' => self.open.push(Open::Brace),
            '(' => self.open.push(Open::Parenthesis),
            ')' if matches!(self.open.last(), Some(Open::Parenthesis | Open::Interpolation)) => {
                self.open.pop();
            }
            '}' if self.open.is_empty() => return Step::Closed,
            '}' if self.open.last() == Some(&Open::Brace) => {
                self.open.pop();
            }
            _ => {}
        }
        Step::Code
    }
}

/// Finds `.root.name`, `.root["name"]` and `.root."name"` in jq, outside of comments. Text inside
/// strings counts only where it is interpolated.
fn jq_reads(text: &str, root: &str) -> BTreeSet<String> {
    let mut scan = Scan::default();
    let mut names = BTreeSet::new();
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let visible = scan.step(c) == Step::Code;
        // `.a.steps.x` reads a field of `.a`, not the root.
        let starts =
            visible && c == '.' && !(previous.is_alphanumeric() || "_]\"?".contains(previous));
        if starts && let Some(name) = name_after(&text[at + 1..], root) {
            names.insert(name);
        }
        previous = c;
    }
    names
}

fn name_after(text: &str, root: &str) -> Option<String> {
    let rest = text.strip_prefix(root)?;
    match Path::parse(&leading_path(rest))?.0.into_iter().next()? {
        Segment::Field(name) => Some(name),
        Segment::Index(_) => None,
    }
}

/// The first segment at the start of `rest`, as the text of a path.
fn leading_path(rest: &str) -> String {
    let end = if rest.starts_with('[') {
        rest.find(']').map_or(0, |at| at + 1)
    } else if let Some(quoted) = rest.strip_prefix(".\"") {
        quoted.find('"').map_or(0, |at| at + 3)
    } else if let Some(name) = rest.strip_prefix('.') {
        1 + name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len())
    } else {
        0
    };
    let segment = &rest[..end];
    if segment.starts_with('[') { format!(".{segment}") } else { segment.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> Vec<String> {
        let Ok(Template::Single(expression)) = Template::parse(&format!("${{ {text} }}")) else {
            panic!("{text} is one expression");
        };
        expression.reads("steps").into_iter().collect()
    }

    #[test]
    fn text_without_expressions_is_literal() {
        assert_eq!(Template::parse("plain } text"), Ok(Template::Literal("plain } text".into())));
        assert_eq!(Template::parse("$${ not one }"), Ok(Template::Literal("${ not one }".into())));
        assert_eq!(Template::parse("costs 5$"), Ok(Template::Literal("costs 5$".into())));
    }

    #[test]
    fn one_expression_alone_keeps_its_type() {
        let Ok(Template::Single(expression)) = Template::parse("${ .trigger.id }") else {
            panic!()
        };
        assert_eq!(expression.text, ".trigger.id");
        assert!(matches!(expression.kind, Kind::Path(_)));
    }

    #[test]
    fn braces_and_strings_inside_jq_do_not_close_it() {
        for inside in
            [r#"{a: {b: 1}}"#, r#""}""#, r#""\"}" + "x""#, r#""a\({b: "}"}.b)c""#, "1 # }\n + 2"]
        {
            let text = format!("${{ {inside} }}");
            let parsed = Template::parse(&text);
            assert!(matches!(&parsed, Ok(Template::Single(e)) if e.text == inside), "{parsed:?}");
        }
    }

    #[test]
    fn text_around_expressions_is_kept() {
        let Ok(Template::Mixed(pieces)) = Template::parse("a${ .b }c${ .d }") else { panic!() };
        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces[0], Piece::Text("a".into()));
        assert_eq!(pieces[2], Piece::Text("c".into()));
    }

    #[test]
    fn says_where_an_expression_is_not_closed_or_empty() {
        assert_eq!(Template::parse("ab${ .c"), Err(TemplateError::Unclosed { at: 2 }));
        assert_eq!(Template::parse("${ \"} }"), Err(TemplateError::Unclosed { at: 0 }));
        assert_eq!(Template::parse("${  }"), Err(TemplateError::Empty { at: 0 }));
    }

    #[test]
    fn finds_the_nodes_that_jq_reads() {
        assert_eq!(reads(".steps.deal.amount > 10000"), ["deal"]);
        assert_eq!(reads("\"Onboarding: \" + .steps.deal.name"), ["deal"]);
        assert_eq!(reads("[.steps[\"a\"], .steps.\"b\", (.steps.c|length)]"), ["a", "b", "c"]);
        assert_eq!(reads("\"\\(.steps.deal.name)\""), ["deal"]);
        assert_eq!(reads("\".steps.text\" # .steps.comment\n"), Vec::<String>::new());
        assert_eq!(reads(".trigger.steps.inner"), Vec::<String>::new());
        assert_eq!(reads(".steps | keys"), Vec::<String>::new());
    }
}
