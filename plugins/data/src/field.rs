//! Fields of items, named by a dotted path: `owner.email`. A field that is not there is null.

use serde_json::Value;

static NULL: Value = Value::Null;

/// The value of a field.
pub fn get<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(item, |value, name| value.get(name)).unwrap_or(&NULL)
}

/// The last name of a path, under which the field goes into a new item.
pub fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// What tells items apart: the values of some fields, or the whole item if there are none.
pub fn key(item: &Value, paths: &[String]) -> String {
    if paths.is_empty() {
        return canonical(item).to_string();
    }
    let values: Vec<Value> = paths.iter().map(|path| canonical(get(item, path))).collect();
    Value::Array(values).to_string()
}

/// The same value with members in one order, so that equal values have equal text; 1 and 1.0 are
/// equal.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            members.into_iter().map(|(name, value)| (name.clone(), canonical(value))).collect()
        }
        Value::Number(number) if !number.is_i64() && !number.is_u64() => integral(number),
        other => other.clone(),
    }
}

fn integral(number: &serde_json::Number) -> Value {
    match number.as_f64() {
        // Below 2^53 every integer is exact.
        Some(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            Value::from(float as i64)
        }
        _ => Value::Number(number.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_goes_down() {
        let item = json!({"owner": {"email": "a@b.test"}});
        assert_eq!(get(&item, "owner.email"), "a@b.test");
        assert_eq!(get(&item, "owner.name"), &Value::Null);
        assert_eq!(get(&json!(3), "owner"), &Value::Null);
    }

    #[test]
    fn equal_items_have_equal_keys() {
        assert_eq!(key(&json!({"a": 1, "b": 2}), &[]), key(&json!({"b": 2.0, "a": 1}), &[]));
        assert_ne!(key(&json!("1"), &[]), key(&json!(1), &[]));
        let by = ["a".to_owned()];
        assert_eq!(key(&json!({"a": 1, "b": 2}), &by), key(&json!({"a": 1}), &by));
    }
}
