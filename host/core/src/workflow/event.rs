//! Internal events: their names, and the shapes of what they tell.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// The schemas of the events that a workflow publishes, by name.
#[derive(Clone, Default)]
pub struct EventSchemas(BTreeMap<String, jsonschema::Validator>);

impl EventSchemas {
    /// Compiles a schema. References lead nowhere outside it.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn add(&mut self, name: &str, schema: &Value) -> Result<(), String> {
        let validator = jsonschema::draft202012::new(schema).map_err(|error| error.to_string())?;
        self.0.insert(name.to_owned(), validator);
        Ok(())
    }

    /// The first thing about `data` that breaks the event's schema; None if it has none.
    pub fn first_issue(&self, name: &str, data: &Value) -> Option<String> {
        let error = self.0.get(name)?.validate(data).err()?;
        Some(format!("{}: {error}", error.instance_path()))
    }
}

impl fmt::Debug for EventSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// True for `order.placed.v2`: lower-case words, then the version.
pub fn is_event_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let Some((version, words)) = parts.split_last() else {
        return false;
    };
    let number = version.strip_prefix('v').unwrap_or_default();
    let is_version = !number.starts_with('0') && number.parse::<u32>().is_ok();
    let is_word = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    is_version && words.len() >= 2 && words.iter().all(is_word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_named_as_a_fact_with_a_version() {
        for good in ["order.placed.v2", "a.b.c_d.v10"] {
            assert!(is_event_name(good), "{good}");
        }
        for bad in
            ["order.v1", "order.placed", "Order.placed.v1", "order.placed.v0", "order..v1", ""]
        {
            assert!(!is_event_name(bad), "{bad}");
        }
    }

    #[test]
    fn data_is_held_against_the_schema_of_its_name() {
        let mut schemas = EventSchemas::default();
        let schema = json!({"type": "object", "required": ["id"]});
        schemas.add("order.placed.v1", &schema).unwrap();
        assert_eq!(schemas.first_issue("order.placed.v1", &json!({"id": 1})), None);
        assert!(schemas.first_issue("order.placed.v1", &json!({})).unwrap().contains("id"));
        assert_eq!(schemas.first_issue("order.placed.v2", &json!(1)), None, "it has none");
        assert!(schemas.add("x", &json!({"type": 5})).is_err());
        let remote = json!({"$ref": "https://example.com/schema.json"});
        assert!(schemas.add("x", &remote).is_err(), "nothing is fetched");
    }
}
