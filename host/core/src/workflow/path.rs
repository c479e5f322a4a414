//! Plain paths, the part of jq that the host answers itself: `.steps.deal.amount`,
//! `.trigger.items[0]["e-mail"]`. Looking up is not evaluating: there is nothing to run.

use serde_json::Value;

/// A path from the scope's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(pub Vec<Segment>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A field of an object.
    Field(String),
    /// An item of an array; from the end if negative.
    Index(i64),
}

impl Path {
    /// The path that `text` is, or None if it is some other jq expression.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        if rest == "." {
            return Some(Self(Vec::new()));
        }
        if !rest.starts_with('.') {
            return None;
        }
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let (segment, after) = Self::segment(rest, segments.is_empty())?;
            segments.push(segment);
            rest = after;
        }
        Some(Self(segments))
    }

    fn segment(text: &str, first: bool) -> Option<(Segment, &str)> {
        let after_dot = text.strip_prefix('.');
        let rest = after_dot.unwrap_or(text);
        if let Some(inner) = rest.strip_prefix('[') {
            // `.a.[0]` is jq, but rare enough to leave to the evaluator.
            if after_dot.is_some() && !first {
                return None;
            }
            return Self::bracket(inner);
        }
        after_dot?;
        if rest.starts_with('"') {
            let (name, after) = string(rest)?;
            return Some((Segment::Field(name), after));
        }
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts_well.then(|| (Segment::Field(name.to_owned()), after))
    }

    fn bracket(inner: &str) -> Option<(Segment, &str)> {
        if inner.starts_with('"') {
            let (name, after) = string(inner)?;
            return Some((Segment::Field(name), after.strip_prefix(']')?));
        }
        let (number, after) = inner.split_once(']')?;
        let digits = number.strip_prefix('-').unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some((Segment::Index(number.parse().ok()?), after))
    }

    /// What the path leads to, as jq has it: `null` for a field or item that is not there, an error
    /// for a field of what is no object.
    pub fn get<'a>(&self, root: &'a Value) -> Result<&'a Value, String> {
        follow(&self.0, root)
    }
}

/// As [`Path::get`], for the rest of a path.
pub(super) fn follow<'a>(segments: &[Segment], root: &'a Value) -> Result<&'a Value, String> {
    const NULL: &Value = &Value::Null;
    segments.iter().try_fold(root, |value, segment| match (segment, value) {
        (_, Value::Null) => Ok(NULL),
        (Segment::Field(name), Value::Object(fields)) => Ok(fields.get(name).unwrap_or(NULL)),
        (Segment::Index(index), Value::Array(items)) => {
            let position = if *index < 0 { items.len() as i64 + index } else { *index };
            Ok(usize::try_from(position).ok().and_then(|at| items.get(at)).unwrap_or(NULL))
        }
        (Segment::Field(name), other) => {
            Err(format!("cannot read the field `{name}` of {}", kind(other)))
        }
        (Segment::Index(index), other) => {
            Err(format!("cannot read the item {index} of {}", kind(other)))
        }
    })
}

/// A JSON string at the start of `text`, without escapes and interpolation: those are the
/// evaluator's.
fn string(text: &str) -> Option<(String, &str)> {
    let rest = text.strip_prefix('"')?;
    let end = rest.find(['"', '\\'])?;
    rest[end..].strip_prefix('"').map(|after| (rest[..end].to_owned(), after))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn knows_a_plain_path_from_other_jq() {
        for plain in
            [".", ".a", ".a.b_1", ".a[0].b", ".a[-1]", ".\"x y\"", ".a[\"x-y\"]", ".[0]", " .a "]
        {
            assert!(Path::parse(plain).is_some(), "{plain}");
        }
        for jq in [
            "",
            "a",
            "1",
            ".a?",
            ".a[]",
            ".a[1:2]",
            "..",
            ".a | .b",
            ".a-b",
            ".a // 1",
            ".1",
            ".\"a\\n\"",
            ".a[.b]",
        ] {
            assert!(Path::parse(jq).is_none(), "{jq}");
        }
    }

    #[test]
    fn looks_up_as_jq_does() {
        let scope = json!({"a": {"x-y": [1, 2, 3]}, "n": 5});
        let get = |text: &str| Path::parse(text).unwrap().get(&scope).cloned();
        assert_eq!(get(".a[\"x-y\"][-1]"), Ok(json!(3)));
        assert_eq!(get(".a.\"x-y\"[7]"), Ok(Value::Null));
        assert_eq!(get(".missing.deeper[0]"), Ok(Value::Null));
        assert_eq!(get(".n.field"), Err("cannot read the field `field` of a number".to_owned()));
        assert_eq!(get("."), Ok(scope.clone()));
    }
}
