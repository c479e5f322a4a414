//! What of the scope jq expressions need. The evaluator reads its input as text, whole, so every
//! output that no expression looks at costs time, and in a list it costs it for every item.
//!
//! A scanner, no parser: it either shows from the text alone that an expression reaches the scope
//! only through `.name` and `.group.name`, or says that it needs everything. It may name more than
//! is read, never less.

use std::collections::{BTreeMap, BTreeSet};

/// What some expressions need of their scope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Needs {
    /// All of it, or nobody knows.
    #[default]
    Everything,
    /// These fields.
    Fields(Fields),
}

/// Fields by name, each with the members that are read of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(BTreeMap<String, Members>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Members {
    Whole,
    These(BTreeSet<String>),
}

impl Needs {
    /// What these expressions need together.
    pub fn of<'a>(expressions: impl IntoIterator<Item = &'a str>) -> Self {
        let mut fields = Fields::default();
        for text in expressions {
            match Scanner::new(text).read(&mut fields) {
                Ok(()) => {}
                Err(Unclear) => return Self::Everything,
            }
        }
        Self::Fields(fields)
    }

    /// True if the field is read, or something of it.
    pub fn field(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Fields(fields) => fields.0.contains_key(name),
        }
    }

    /// True if this member of the field is read.
    pub fn member(&self, name: &str, member: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Fields(fields) => match fields.0.get(name) {
                None => false,
                Some(Members::Whole) => true,
                Some(Members::These(members)) => members.contains(member),
            },
        }
    }
}

impl Fields {
    fn add(&mut self, name: &str, member: Option<&str>) {
        let members =
            self.0.entry(name.to_owned()).or_insert_with(|| Members::These(BTreeSet::new()));
        match (member, members) {
            (None, members) => *members = Members::Whole,
            (Some(member), Members::These(members)) => {
                members.insert(member.to_owned());
            }
            (Some(_), Members::Whole) => {}
        }
    }
}

/// The text does not show what is read.
struct Unclear;

/// Something that was opened and is not closed.
#[derive(Clone, Copy)]
struct Group {
    open: Open,
    /// What stands here reads the scope, until a pipe.
    begins: Reads,
    /// What stands at this place reads the scope, or what came through a pipe.
    here: Reads,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Parenthesis,
    Bracket,
    Brace,
    If,
}

/// The input of a filter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Scope,
    Piped,
}

struct Scanner<'a> {
    rest: &'a str,
    /// The innermost last; the first is the expression itself.
    groups: Vec<Group>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        let group = Group { open: Open::Text, begins: Reads::Scope, here: Reads::Scope };
        Self { rest: text, groups: vec![group] }
    }

    fn read(mut self, fields: &mut Fields) -> Result<(), Unclear> {
        loop {
            self.rest = self.rest.trim_start();
            let Some(first) = self.rest.chars().next() else {
                return Ok(());
            };
            match first {
                '.' => self.path(fields)?,
                '"' => {
                    self.string()?;
                }
                '(' => self.open(Open::Parenthesis),
                '[' => self.open(Open::Bracket),
                '{' => self.open(Open::Brace),
                ')' => self.close(Open::Parenthesis)?,
                ']' => self.close(Open::Bracket)?,
                '}' => self.close(Open::Brace)?,
                '0'..='9' => self.skip_while(|c| c.is_ascii_alphanumeric() || c == '.'),
                c if c == '_' || c.is_ascii_alphabetic() => self.word()?,
                _ => self.operator()?,
            }
        }
    }

    fn group(&mut self) -> Result<&mut Group, Unclear> {
        self.groups.last_mut().ok_or(Unclear)
    }

    fn open(&mut self, open: Open) {
        let begins = self.groups.last().map_or(Reads::Scope, |group| group.here);
        self.groups.push(Group { open, begins, here: begins });
        self.skip(1);
    }

    fn close(&mut self, open: Open) -> Result<(), Unclear> {
        match self.groups.pop() {
            Some(group) if group.open == open && !self.groups.is_empty() => {
                self.skip(1);
                Ok(())
            }
            _ => Err(Unclear),
        }
    }

    /// What follows has the input again that the group began with.
    fn begin_again(&mut self) -> Result<(), Unclear> {
        let group = self.group()?;
        group.here = group.begins;
        Ok(())
    }

    /// Something that takes its input whole.
    fn takes_all(&mut self) -> Result<(), Unclear> {
        match self.group()?.here {
            Reads::Scope => Err(Unclear),
            Reads::Piped => Ok(()),
        }
    }

    /// `.name`, of whatever it is a field: at worst one more is named than is read.
    fn path(&mut self, fields: &mut Fields) -> Result<(), Unclear> {
        match self.field()? {
            None => {
                // `.`, `..`, `.[`
                self.skip(1);
                self.takes_all()
            }
            Some(name) => {
                let member = if self.rest.starts_with('.') { self.field()? } else { None };
                fields.add(&name, member.as_deref());
                Ok(())
            }
        }
    }

    /// Takes `.name` or `."name"`.
    fn field(&mut self) -> Result<Option<String>, Unclear> {
        let after = &self.rest[1..];
        let end = after.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric()));
        let word = &after[..end.unwrap_or(after.len())];
        if word.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic()) {
            self.skip(1 + word.len());
            return Ok(Some(word.to_owned()));
        }
        if after.starts_with('"') {
            self.skip(1);
            return self.string().map(|name| Some(name.to_owned()));
        }
        Ok(None)
    }

    /// Takes a string, and gives what stands in it.
    fn string(&mut self) -> Result<&'a str, Unclear> {
        let inner = &self.rest[1..];
        let end = inner.find(['"', '\\']).ok_or(Unclear)?;
        // Escapes may be interpolations.
        if inner[end..].starts_with('\\') {
            return Err(Unclear);
        }
        self.skip(end + 2);
        Ok(&inner[..end])
    }

    fn word(&mut self) -> Result<(), Unclear> {
        let end = self.rest.find(|c: char| !(c == '_' || c == ':' || c.is_ascii_alphanumeric()));
        let (word, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        match word {
            "if" => {
                self.open(Open::If);
                self.skip(1);
                return Ok(());
            }
            "then" | "else" | "elif" => self.begin_again()?,
            "end" => {
                let group = self.groups.pop().ok_or(Unclear)?;
                if group.open != Open::If || self.groups.is_empty() {
                    return Err(Unclear);
                }
            }
            "and" | "or" | "true" | "false" | "null" => {}
            // They bind names, or have the scope again behind a `|`.
            "as" | "def" | "reduce" | "foreach" | "label" | "try" | "catch" | "import"
            | "include" | "module" => return Err(Unclear),
            _ if word.ends_with(':') && self.group()?.open == Open::Brace => {}
            _ if after.trim_start().starts_with(':') && self.group()?.open == Open::Brace => {}
            // A function, or the short form of a field in braces.
            _ => self.takes_all()?,
        }
        self.skip(word.len());
        Ok(())
    }

    fn operator(&mut self) -> Result<(), Unclear> {
        const COMPARING: [&str; 4] = ["==", "!=", "<=", ">="];
        if COMPARING.iter().any(|operator| self.rest.starts_with(operator)) {
            self.skip(2);
            return Ok(());
        }
        let second = self.rest.chars().nth(1);
        match self.rest.as_bytes()[0] {
            // Assignments give the whole scope, changed.
            b'|' | b'+' | b'-' | b'*' | b'/' | b'%' if second == Some('=') => Err(Unclear),
            b'/' if self.rest.starts_with("//=") => Err(Unclear),
            b'|' => {
                self.group()?.here = Reads::Piped;
                self.skip(1);
                Ok(())
            }
            b',' if self.group()?.open == Open::Brace => {
                self.begin_again()?;
                self.skip(1);
                Ok(())
            }
            b',' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'?' | b':' => {
                self.skip(1);
                Ok(())
            }
            // Variables, formats, comments, arguments, and whatever else there may be.
            _ => Err(Unclear),
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn skip_while(&mut self, belongs: impl Fn(char) -> bool) {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.skip(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name` and `name.member`, or `everything`.
    fn needs(text: &str) -> String {
        match Needs::of([text]) {
            Needs::Everything => "everything".to_owned(),
            Needs::Fields(Fields(fields)) => {
                let shown = fields.into_iter().flat_map(|(name, members)| match members {
                    Members::Whole => vec![name],
                    Members::These(members) => {
                        members.into_iter().map(|member| format!("{name}.{member}")).collect()
                    }
                });
                shown.collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn fields_are_named_with_their_members() {
        for (text, expected) in [
            (".trigger.amount > 100", "trigger.amount"),
            (".steps.deal.amount * 2 + .steps.tax", "amount steps.deal steps.tax"),
            (".trigger | keys | length", "trigger"),
            ("[.steps.list[] | select(.n > 1)] | length", "n steps.list"),
            ("{a: .trigger.a, \"b\": .steps.b}", "steps.b trigger.a"),
            ("{a: (.trigger | keys), b: 1}", "trigger"),
            (".steps[\"deal\"].x", "steps x"),
            (".\"trigger\".\"a b\"", "trigger.a b"),
            ("if .trigger.ok then .steps.a else \"no\" end", "steps.a trigger.ok"),
            (".trigger.a // .event.b", "event.b trigger.a"),
            ("1.5e3 + .item", "item"),
            ("\"text\"", ""),
            (".trigger.a?", "trigger.a"),
            ("(.trigger.a == null) | not", "trigger.a"),
        ] {
            assert_eq!(needs(text), expected, "{text}");
        }
    }

    #[test]
    fn whatever_may_read_the_whole_scope_gets_it() {
        for text in [
            ".",
            "..",
            ".[]",
            ".[\"trigger\"]",
            "keys",
            "length > 1",
            "to_entries",
            "{trigger}",
            "{a: .trigger | keys, b: keys}",
            "if .trigger | not then keys else 1 end",
            "if .trigger then 1 else keys end",
            ".trigger as $t | keys",
            "def f: keys; .trigger | f",
            ".trigger.a |= 1",
            ".trigger.a = 1",
            ".trigger.a += 1",
            ".trigger.a //= 1",
            "reduce .trigger[] as $x (0; . + $x)",
            "\"\\(.)\"",
            "@json",
            "$ENV",
            ".trigger # keys",
            "try error(.)",
            "[., .trigger]",
            "(keys)",
            ".trigger[keys[0]]",
            ")",
            "end",
        ] {
            assert_eq!(needs(text), "everything", "{text}");
        }
    }

    #[test]
    fn several_expressions_need_what_each_needs() {
        let both = Needs::of([".steps.a.x", ".trigger.y"]);
        assert!(both.member("steps", "a") && both.field("trigger"));
        assert!(!both.member("steps", "b") && !both.field("event"));
        assert!(!both.member("event", "headers"));
        assert_eq!(Needs::of([".steps.a", "."]), Needs::Everything);
        assert!(Needs::Everything.member("any", "thing"));
    }
}
