//! The table that people read.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Head of a column, and the figure that stands in it.
const COLUMNS: [(&str, &str); 9] = [
    ("per second", "per_second"),
    ("min", "min"),
    ("max", "max"),
    ("ratio", "ratio_to_limit"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("cpu µs", "cpu_us_each"),
    ("bytes", "written_bytes_each"),
    ("lost", "lost"),
];

/// Widths of the first column and of the others.
const NAME_WIDTH: usize = 28;
const WIDTH: usize = 11;

/// One line for each shape and each group of it; figures without a column stand below.
pub fn of(machine: &Value, settings: &Value, shapes: &Map<String, Value>) -> String {
    let mut text = format!(
        "{} cores, {}, load {}, {} flushes/s; {}; {} rounds of {} s\n\n{:NAME_WIDTH$}",
        machine["cores"],
        machine["cpu"].as_str().unwrap_or_default(),
        machine["load_average"],
        machine["flushes_per_second"],
        settings["store"].as_str().unwrap_or_default(),
        settings["rounds"],
        settings["seconds"],
        ""
    );
    for (head, _) in COLUMNS {
        let _ = write!(text, "{head:>WIDTH$}");
    }
    text.push('\n');
    for (name, figures) in shapes {
        lines(name, figures, &mut text);
    }
    for (name, figures) in shapes {
        others(name, figures, &mut text);
    }
    text
}

/// The line of a shape, and those of its groups.
fn lines(name: &str, figures: &Value, text: &mut String) {
    if figures.get("per_second").is_some() {
        let _ = write!(text, "{name:NAME_WIDTH$}");
        for (_, key) in COLUMNS {
            let shown = figures.get(key).map(shown).unwrap_or_default();
            let _ = write!(text, "{shown:>WIDTH$}");
        }
        text.push('\n');
    }
    for (group, inner) in figures.as_object().into_iter().flatten() {
        if inner.is_object() {
            lines(&format!("{name} {}", group.replace('_', " ")), inner, text);
        }
    }
}

/// What has no column.
fn others(name: &str, figures: &Value, text: &mut String) {
    let known = |key: &str| COLUMNS.iter().any(|(_, column)| *column == key);
    let mut line = String::new();
    for (key, value) in figures.as_object().into_iter().flatten() {
        let no_errors = key == "errors" && value.as_f64() == Some(0.0);
        if value.is_object() {
            others(&format!("{name} {}", key.replace('_', " ")), value, text);
        } else if !known(key) && !no_errors {
            let _ = write!(line, "  {key} {}", shown(value));
        }
    }
    if !line.is_empty() {
        let _ = write!(text, "\n{name}:{line}");
    }
}

fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number == number.trunc() => format!("{number:.0}"),
        Some(number) if number < 10.0 => format!("{number:.2}"),
        Some(number) => format!("{number:.1}"),
        None => value.to_string(),
    }
}
