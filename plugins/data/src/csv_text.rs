//! `parse-csv` and `write-csv`, RFC 4180.

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation};

use crate::field;

/// Rows as objects of texts: `{"text": "a,b\n1,2"}` gives `[{"a": "1", "b": "2"}]`.
pub fn parse_csv() -> Operation {
    Operation::new(
        "parse-csv",
        "Reads CSV into a list of objects, or of lists where there is no header",
        Effect::Pure,
        parse,
    )
    .with_error(
        "malformed-csv",
        ErrorClass::InvalidInput,
        "The text is no CSV, or a row has another number of fields",
    )
}

/// CSV text out of objects: `{"items": [{"a": 1}]}` gives `{"text": "a\r\n1\r\n"}`.
pub fn write_csv() -> Operation {
    Operation::new("write-csv", "Writes a list of objects as CSV", Effect::Pure, write)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parse {
    text: String,
    /// One ASCII character.
    #[serde(default = "comma")]
    delimiter: char,
    /// The first row holds the names.
    #[serde(default = "yes")]
    header: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    items: Vec<Value>,
    /// Dotted paths of the columns; none for the members of the first item.
    #[serde(default)]
    columns: Vec<String>,
    /// One ASCII character.
    #[serde(default = "comma")]
    delimiter: char,
    /// Write the names first.
    #[serde(default = "yes")]
    header: bool,
}

#[derive(Serialize, JsonSchema)]
struct Written {
    text: String,
}

fn comma() -> char {
    ','
}

fn yes() -> bool {
    true
}

fn parse(params: Parse) -> Result<Vec<Value>, NodeError> {
    let text = params.text.strip_prefix('\u{feff}').unwrap_or(&params.text);
    let mut reader = ReaderBuilder::new()
        .has_headers(params.header)
        .delimiter(delimiter(params.delimiter)?)
        .from_reader(text.as_bytes());
    let names =
        if params.header { Some(reader.headers().map_err(malformed)?.clone()) } else { None };
    reader
        .records()
        .map(|record| {
            let record = record.map_err(malformed)?;
            Ok(row(names.as_ref(), &record))
        })
        .collect()
}

fn row(names: Option<&StringRecord>, record: &StringRecord) -> Value {
    let cells = record.iter().map(|cell| Value::String(cell.to_owned()));
    match names {
        Some(names) => {
            names.iter().map(str::to_owned).zip(cells).collect::<Map<String, Value>>().into()
        }
        None => cells.collect(),
    }
}

fn write(params: Write) -> Result<Written, NodeError> {
    let columns = columns(&params);
    let mut writer = WriterBuilder::new()
        .delimiter(delimiter(params.delimiter)?)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if params.header && !columns.is_empty() {
        writer.write_record(&columns).map_err(malformed)?;
    }
    for item in &params.items {
        let cells = columns.iter().map(|path| cell(field::get(item, path)));
        writer.write_record(cells).map_err(malformed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| NodeError::permanent("csv-not-written", error.to_string()))?;
    Ok(Written { text: String::from_utf8_lossy(&bytes).into_owned() })
}

fn columns(params: &Write) -> Vec<String> {
    if !params.columns.is_empty() {
        return params.columns.clone();
    }
    let first = params.items.first().and_then(Value::as_object);
    first.map(|first| first.keys().cloned().collect()).unwrap_or_default()
}

/// Text as it is, null as nothing, anything else as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn delimiter(character: char) -> Result<u8, NodeError> {
    u8::try_from(character)
        .ok()
        .filter(|byte| byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n'))
        .ok_or_else(|| {
            NodeError::invalid_input(
                "invalid-params",
                "`delimiter` has to be one ASCII character, and neither a quote nor a line end",
            )
            .with_details(json!({ "pointer": "/delimiter" }))
        })
}

fn malformed(error: csv::Error) -> NodeError {
    let line = error.position().map(csv::Position::line);
    NodeError::invalid_input("malformed-csv", error.to_string())
        .with_details(json!({ "line": line }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::NodeError;
    use tombolo_sdk::testing::invoke;

    use super::Value;
    use crate::plugin;

    fn run(operation: &str, params: Value) -> Result<Value, NodeError> {
        invoke(&plugin(), operation, params).map(|called| called.output)
    }

    #[test]
    fn quotes_line_ends_and_a_byte_order_mark_are_understood() {
        let text = "\u{feff}name,note\r\nAda,\"a \"\"b\"\",\nc\"\r\nBob,\r\n";
        assert_eq!(
            run("parse-csv", json!({"text": text})),
            Ok(json!([{"name": "Ada", "note": "a \"b\",\nc"}, {"name": "Bob", "note": ""}]))
        );
    }

    #[test]
    fn without_a_header_rows_are_lists() {
        assert_eq!(
            run("parse-csv", json!({"text": "1;2\n3;4", "delimiter": ";", "header": false})),
            Ok(json!([["1", "2"], ["3", "4"]]))
        );
    }

    #[test]
    fn a_row_of_another_length_names_its_line() {
        let error = run("parse-csv", json!({"text": "a,b\n1,2\n3"})).expect_err("one field");
        assert_eq!(error.code, "malformed-csv");
        assert_eq!(error.details.as_deref(), Some(&json!({"line": 3})));
    }

    #[test]
    fn a_delimiter_is_one_ascii_character() {
        for delimiter in ["ä", "\"", "\n", ",,"] {
            let error = run("parse-csv", json!({"text": "", "delimiter": delimiter}))
                .expect_err("is no delimiter");
            assert_eq!(error.code, "invalid-params", "{delimiter:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let items = json!([{"n": "a,b", "x": 1}, {"n": "line\nend", "x": null}, {"n": "\"q\""}]);
        let written = run("write-csv", json!({"items": items})).expect("writes");
        assert_eq!(written["text"], "n,x\r\n\"a,b\",1\r\n\"line\nend\",\r\n\"\"\"q\"\"\",\r\n");
        let read = run("parse-csv", json!({"text": written["text"]})).expect("reads");
        assert_eq!(read[1], json!({"n": "line\nend", "x": ""}));
    }

    #[test]
    fn columns_are_chosen_by_path() {
        let params = json!({
            "items": [{"deal": {"id": 7, "tags": ["x"]}}],
            "columns": ["deal.id", "deal.tags", "deal.gone"], "header": false
        });
        assert_eq!(run("write-csv", params), Ok(json!({"text": "7,\"[\"\"x\"\"]\",\r\n"})));
    }
}
