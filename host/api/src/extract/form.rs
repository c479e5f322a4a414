//! Forms: JSON bodies of a known shape. What is wrong is named by JSON pointer and never quoted: it
//! may be a secret.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use tombolo_core::json::{Json, push_pointer};

use super::body::Incoming;
use crate::app::App;
use crate::problem::{Kind, Problem};

impl Incoming {
    /// The body in the form of `T`.
    pub async fn form<T: DeserializeOwned>(self, app: &App) -> Result<T, Problem> {
        let limit = app.settings().max_body_bytes;
        read(&self.json(app, limit).await?)
    }

    /// As [`Incoming::form`], for a form that holds the input or output of a step.
    pub async fn large_form<T: DeserializeOwned>(self, app: &App) -> Result<T, Problem> {
        let limit = app.settings().max_input_bytes;
        read(&self.json(app, limit).await?)
    }

    /// As [`Incoming::large_form`]; without a body, what `T` is by default.
    pub async fn optional_form<T: DeserializeOwned + Default>(
        self,
        app: &App,
    ) -> Result<T, Problem> {
        let limit = app.settings().max_input_bytes;
        let json = self.json(app, limit).await?;
        if json.is_null() { Ok(T::default()) } else { read(&json) }
    }
}

/// The value in the form of `T`.
pub(crate) fn read<T: DeserializeOwned>(json: &Json) -> Result<T, Problem> {
    // Serde would take an array for an object, field by field.
    if !json.value().is_object() {
        return Err(invalid("", "expected an object"));
    }
    serde_path_to_error::deserialize(json.value()).map_err(|error| {
        let pointer = pointer(error.path());
        invalid(&pointer, &without_values(&error.inner().to_string()))
    })
}

/// The place in the body that is wrong, and why.
pub(crate) fn invalid(pointer: &str, reason: &str) -> Problem {
    let place = if pointer.is_empty() { "the body" } else { pointer };
    Problem::new(Kind::InvalidBody, format!("{place}: {reason}")).with("pointer", pointer)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => push_pointer(&pointer, &index.to_string()),
        Segment::Map { key } => push_pointer(&pointer, key),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// A value may be a secret: what serde says of it is cut down to what was expected.
fn without_values(message: &str) -> String {
    let quotes = ["invalid type: ", "invalid value: ", "unknown variant "];
    match message.rfind(", expected ") {
        Some(at) if quotes.iter().any(|quote| message.starts_with(quote)) => {
            message[at + 2..].to_owned()
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn what_was_sent_is_not_repeated() {
        let cut = without_values("invalid type: string \"hunter2, expected x\", expected a map");
        assert_eq!(cut, "expected a map");
        assert_eq!(
            without_values("unknown variant `hunter2`, expected `bearer`"),
            "expected `bearer`"
        );
        assert_eq!(without_values("missing field `auth`"), "missing field `auth`");
    }
}
