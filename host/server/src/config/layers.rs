//! Lays the default file, a file and environment variables over each other, and remembers where
//! each value comes from. Refuses keys and kinds of value that nobody reads, all at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError, ConfigProblem, DEFAULT_FILE, Loaded, bounds, forms};
use crate::place::Place;

/// What a variable's name starts with.
const PREFIX: &str = "TOMBOLO_";

/// What stands between the parts of a key in a variable's name.
const SEPARATOR: &str = "__";

/// Names farther apart than this are no typing error: the share of letters they have in common.
const SIMILAR: f64 = 0.65;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// Its path as it was given.
        path: PathBuf,
        /// Where in it.
        place: Place,
    },
    /// In a variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, place } => write!(f, "{}:{place}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// The origin of a key, or of the list or section that it is in.
fn origin_of<'a>(origins: &'a BTreeMap<String, Origin>, key: &str) -> Option<&'a Origin> {
    let within = |outer: &str| {
        key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    origins.iter().find(|(outer, _)| within(outer)).map(|(_, origin)| origin)
}

/// A file that is being read.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn at(&self, offset: usize) -> Origin {
        Origin::File { path: self.path.to_owned(), place: Place::of(self.text, offset) }
    }
}

/// The layers so far.
pub(super) struct Layers {
    /// Every key there is, with an example of its value; null for text that may be absent.
    known: Value,
    values: Value,
    origins: BTreeMap<String, Origin>,
    problems: Vec<ConfigProblem>,
}

impl Layers {
    /// Starts with the default file.
    pub(super) fn start() -> Result<Self, ConfigError> {
        let known = serde_json::to_value(Config::default())
            .map_err(|error| ConfigProblem::at("the built-in defaults", error.to_string()))?;
        let values = Value::Object(Map::new());
        let (origins, problems) = Default::default();
        let mut layers = Self { known, values, origins, problems };
        layers.file(Path::new("tombolo.default.toml"), DEFAULT_FILE);
        layers.origins.clear();
        Ok(layers)
    }

    /// Lays a file over what is there.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        let source = Source { path, text };
        match DeTable::parse(text) {
            Ok(table) => {
                let known = self.known.clone();
                self.table("", table.get_ref(), &known, &source);
            }
            Err(error) => {
                let place = source.at(error.span().map_or(0, |span| span.start));
                let message = error.message().lines().collect::<Vec<_>>().join("; ");
                self.problem(&place, format!("this is not TOML: {message}"));
            }
        }
    }

    /// Lays variables over what is there. Those that are not ours are left alone.
    pub(super) fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let key = rest.to_ascii_lowercase().replace(SEPARATOR, ".");
            let known = self.lookup(&key).cloned();
            let origin = Origin::Variable(name.clone());
            match known {
                Some(Value::Object(_)) | None if rest.contains(SEPARATOR) => {
                    self.unknown(&origin, &key);
                }
                Some(Value::Object(_)) | None => self.single_underscore(&origin, rest),
                Some(example) => match from_text(&example, &text) {
                    Some(value) => self.set(&key, value, origin),
                    None => self.wrong_kind(&origin, &key, &example, &format!("`{text}`")),
                },
            }
        }
    }

    /// The configuration, or everything that was wrong.
    pub(super) fn finish(mut self) -> Result<Loaded, ConfigError> {
        // What could not be read kept the value below it, so that the rest is judged, too.
        let config = self.deserialize();
        if let Err(problem) = &config {
            self.problems.push(problem.clone());
        }
        match config {
            Ok(config) if self.problems.is_empty() => Ok(Loaded { config, origins: self.origins }),
            _ => Err(ConfigError { problems: self.problems }),
        }
    }

    /// What only the settings themselves can judge: an address, one of several words.
    fn deserialize(&self) -> Result<Config, ConfigProblem> {
        serde_path_to_error::deserialize(&self.values).map_err(|error| {
            let key = error.path().to_string();
            let place = match origin_of(&self.origins, &key) {
                Some(origin) => origin.to_string(),
                None => "the default file".to_owned(),
            };
            ConfigProblem::at(place, format!("`{key}`: {}", error.inner()))
        })
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>, known: &Value, source: &Source<'_>) {
        for (name, value) in table {
            let key = join(prefix, name.get_ref());
            match (known.get(name.get_ref().as_ref()), value.get_ref()) {
                (None, _) => self.unknown(&source.at(name.span().start), &key),
                (Some(section @ Value::Object(_)), DeValue::Table(inner)) => {
                    self.table(&key, inner, section, source);
                }
                (Some(example), found) => {
                    let origin = source.at(value.span().start);
                    match from_toml(found).filter(|value| fits(example, value)) {
                        Some(value) => self.set(&key, value, origin),
                        None => {
                            let found = &source.text[value.span()];
                            self.wrong_kind(&origin, &key, example, &format!("`{found}`"));
                        }
                    }
                }
            }
        }
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) {
        let complaint = bounds::complaint(key, &value).or_else(|| forms::complaint(key, &value));
        if let Some(complaint) = complaint {
            return self.problem(&origin, complaint);
        }
        let mut at = &mut self.values;
        for part in key.split('.') {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[part];
        }
        *at = value;
        self.origins.insert(key.to_owned(), origin);
    }

    fn lookup(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.known, |at, part| at.get(part))
    }

    fn problem(&mut self, origin: &Origin, message: String) {
        self.problems.push(ConfigProblem::at(origin, message));
    }

    fn wrong_kind(&mut self, origin: &Origin, key: &str, example: &Value, found: &str) {
        let expected = match example {
            Value::Bool(_) => "`true` or `false`",
            Value::Number(_) => "a whole number, without quotes or unit",
            Value::Array(_) => "a list of texts, such as `[\"127.0.0.1:8080\"]`",
            Value::Object(_) => "a section with keys of its own",
            Value::Null | Value::String(_) => "a text in quotes",
        };
        self.problem(origin, format!("`{key}` is {found}, expected is {expected}"));
    }

    fn unknown(&mut self, origin: &Origin, key: &str) {
        let hint = match self.suggestion(key) {
            Some(name) => format!("did you mean `{}`?", self.spell(origin, &name)),
            None => "`tombolo config default` prints every key there is".to_owned(),
        };
        self.problem(origin, format!("there is no key `{}`; {hint}", self.spell(origin, key)));
    }

    /// `TOMBOLO_DATA_DIR` where `TOMBOLO_DATA__DIR` was meant; other names are not ours to judge.
    fn single_underscore(&mut self, origin: &Origin, rest: &str) {
        let meant =
            self.keys().into_iter().find(|key| key.replace('.', "_") == rest.to_ascii_lowercase());
        if let Some(key) = meant {
            let name = self.spell(origin, &key);
            self.problem(
                origin,
                format!("a section and its key are joined by two underscores: `{name}`"),
            );
        }
    }

    /// A key as one writes it in this layer.
    fn spell(&self, origin: &Origin, key: &str) -> String {
        match origin {
            Origin::File { .. } => key.to_owned(),
            Origin::Variable(_) => {
                format!("{PREFIX}{}", key.replace('.', SEPARATOR).to_ascii_uppercase())
            }
        }
    }

    /// The key that was probably meant: one that reads alike, or one of this name elsewhere.
    fn suggestion(&self, key: &str) -> Option<String> {
        let keys = self.keys();
        let last = key.rsplit('.').next()?;
        keys.iter()
            .map(|name| (strsim::normalized_damerau_levenshtein(key, name), name))
            .filter(|(similarity, _)| *similarity >= SIMILAR)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
            .or_else(|| keys.iter().find(|name| name.rsplit('.').next() == Some(last)))
            .cloned()
    }

    /// Every key and section, in order.
    fn keys(&self) -> Vec<String> {
        fn walk(prefix: &str, known: &Value, keys: &mut Vec<String>) {
            for (name, value) in known.as_object().into_iter().flatten() {
                let key = join(prefix, name);
                keys.push(key.clone());
                walk(&key, value, keys);
            }
        }
        let mut keys = Vec::new();
        walk("", &self.known, &mut keys);
        keys
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// True if the value is of the kind of the example. Null stands for text that may be absent.
fn fits(example: &Value, value: &Value) -> bool {
    match example {
        Value::Null | Value::String(_) => value.is_string(),
        Value::Bool(_) => value.is_boolean(),
        Value::Number(_) => value.is_i64(),
        Value::Array(_) => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Value::Object(_) => value.is_object(),
    }
}

/// The value, if it is of a kind that some key has.
fn from_toml(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Boolean(yes) => Some(Value::from(*yes)),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::from)
        }
        DeValue::Array(items) => items.iter().map(|item| from_toml(item.get_ref())).collect(),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// The value of a variable. A list is written with commas or as in TOML; nothing at all unsets text
/// that may be absent.
fn from_text(example: &Value, text: &str) -> Option<Value> {
    match example {
        Value::Null if text.is_empty() => Some(Value::Null),
        Value::Null | Value::String(_) => Some(Value::from(text)),
        Value::Bool(_) => text.parse().ok().map(Value::Bool),
        Value::Number(_) => text.replace('_', "").parse::<i64>().ok().map(Value::from),
        Value::Array(_) if text.trim_start().starts_with('[') => {
            let list = DeValue::parse(text).ok()?;
            from_toml(list.get_ref()).filter(|value| fits(example, value))
        }
        Value::Array(_) => {
            Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
        }
        Value::Object(_) => None,
    }
}
