//! `POST /crm/v3/objects/{type}/search`: filters, sorts and pages, with the documented limits.
//!
//! Filters within a group must all hold, of the groups any. Unlike HubSpot's, this index is never
//! late.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use super::crm::{Crm, CrmObject, ObjectType};
use super::error::Refusal;
use super::property::time_ms;

/// Limits of HubSpot's search.
const MAX_GROUPS: usize = 5;
const MAX_FILTERS_PER_GROUP: usize = 6;
const MAX_FILTERS: usize = 18;
const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 200;
const MAX_RESULTS: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SearchRequest {
    filter_groups: Vec<FilterGroup>,
    sorts: Vec<Sort>,
    query: Option<String>,
    properties: Option<Vec<String>>,
    limit: Option<usize>,
    after: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct FilterGroup {
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: String,
    operator: Operator,
    value: Option<Value>,
    high_value: Option<Value>,
    values: Option<Vec<Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Operator {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    In,
    NotIn,
    HasProperty,
    NotHasProperty,
    ContainsToken,
    NotContainsToken,
}

/// `{"propertyName": "amount", "direction": "DESCENDING"}`, or `"-amount"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sort {
    #[serde(rename_all = "camelCase")]
    Long {
        property_name: String,
        #[serde(default)]
        direction: Direction,
    },
    Short(String),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Direction {
    #[default]
    Ascending,
    Descending,
}

impl Sort {
    fn parts(&self) -> (&str, Direction) {
        match self {
            Self::Long { property_name, direction } => (property_name, *direction),
            Self::Short(name) => match name.strip_prefix('-') {
                Some(name) => (name, Direction::Descending),
                None => (name, Direction::Ascending),
            },
        }
    }
}

/// One page of what is found, as the answer's body.
pub(super) fn run(crm: &Crm, kind: ObjectType, request: &SearchRequest) -> Result<Value, Refusal> {
    check(crm, kind, request)?;
    let limit = request.limit.unwrap_or(DEFAULT_PAGE);
    let start = after(request)?;
    if start + limit > MAX_RESULTS {
        return Err(invalid(format!("the total number of results is limited to {MAX_RESULTS}")));
    }

    let mut found: Vec<&CrmObject> =
        crm.all(kind).filter(|object| matches(kind, object, request)).collect();
    for sort in request.sorts.iter().rev() {
        let (name, direction) = sort.parts();
        found.sort_by(|one, other| {
            let order = compare_properties(one, other, name);
            if direction == Direction::Descending { order.reverse() } else { order }
        });
    }

    let properties = request.properties.as_deref();
    let results: Vec<Value> = found
        .iter()
        .skip(start)
        .take(limit)
        .map(|object| crm.json(kind, object, properties))
        .collect();
    let mut page = json!({ "total": found.len(), "results": results });
    if start + limit < found.len() {
        page["paging"]["next"]["after"] = (start + limit).to_string().into();
    }
    Ok(page)
}

fn check(crm: &Crm, kind: ObjectType, request: &SearchRequest) -> Result<(), Refusal> {
    let groups = &request.filter_groups;
    let filters: usize = groups.iter().map(|group| group.filters.len()).sum();
    if groups.len() > MAX_GROUPS
        || filters > MAX_FILTERS
        || groups.iter().any(|group| group.filters.len() > MAX_FILTERS_PER_GROUP)
    {
        return Err(invalid(format!(
            "at most {MAX_GROUPS} filterGroups, {MAX_FILTERS_PER_GROUP} filters in each and \
             {MAX_FILTERS} filters in all are allowed"
        )));
    }
    if request.limit.is_some_and(|limit| limit > MAX_PAGE) {
        return Err(invalid(format!("limit must be at most {MAX_PAGE}")));
    }
    let asked = groups
        .iter()
        .flat_map(|group| group.filters.iter().map(|filter| filter.property_name.as_str()))
        .chain(request.sorts.iter().map(|sort| sort.parts().0));
    for name in asked {
        if crm.value_kind(kind, name).is_none() {
            return Err(invalid(format!("Property \"{name}\" does not exist")));
        }
    }
    groups.iter().flat_map(|group| &group.filters).try_for_each(Filter::check)
}

fn after(request: &SearchRequest) -> Result<usize, Refusal> {
    let number = match &request.after {
        None | Some(Value::Null) => Some(0),
        Some(Value::String(text)) if text.is_empty() => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
        Some(_) => None,
    };
    number.ok_or_else(|| invalid("after must be the cursor of a page before".to_owned()))
}

fn matches(kind: ObjectType, object: &CrmObject, request: &SearchRequest) -> bool {
    let groups = &request.filter_groups;
    let by_filter = groups.is_empty()
        || groups.iter().any(|group| group.filters.iter().all(|filter| filter.holds(object)));
    by_filter && request.query.as_deref().is_none_or(|query| mentions(kind, object, query))
}

fn mentions(kind: ObjectType, object: &CrmObject, query: &str) -> bool {
    let query = query.to_lowercase();
    kind.default_properties()
        .iter()
        .filter_map(|name| object.properties.get(*name))
        .any(|value| value.to_lowercase().contains(&query))
}

impl Filter {
    fn check(&self) -> Result<(), Refusal> {
        let complete = match self.operator {
            Operator::HasProperty | Operator::NotHasProperty => true,
            Operator::In | Operator::NotIn => self.values.is_some(),
            Operator::Between => self.value.is_some() && self.high_value.is_some(),
            _ => self.value.is_some(),
        };
        if complete {
            return Ok(());
        }
        Err(invalid(format!("the filter on \"{}\" lacks its value", self.property_name)))
    }

    fn holds(&self, object: &CrmObject) -> bool {
        let Some(own) = object.properties.get(&self.property_name) else {
            return matches!(
                self.operator,
                Operator::NotHasProperty
                    | Operator::Neq
                    | Operator::NotIn
                    | Operator::NotContainsToken
            );
        };
        let value = text(self.value.as_ref());
        let order = || compare(own, &value);
        let listed = || self.values.iter().flatten().any(|value| equal(own, &text(Some(value))));
        match self.operator {
            Operator::HasProperty => true,
            Operator::NotHasProperty => false,
            Operator::Eq => equal(own, &value),
            Operator::Neq => !equal(own, &value),
            Operator::Lt => order() == Ordering::Less,
            Operator::Lte => order() != Ordering::Greater,
            Operator::Gt => order() == Ordering::Greater,
            Operator::Gte => order() != Ordering::Less,
            Operator::Between => {
                order() != Ordering::Less
                    && compare(own, &text(self.high_value.as_ref())) != Ordering::Greater
            }
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::ContainsToken => contains_token(own, &value),
            Operator::NotContainsToken => !contains_token(own, &value),
        }
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn equal(own: &str, value: &str) -> bool {
    own.to_lowercase() == value.to_lowercase() || compare(own, value) == Ordering::Equal
}

/// As numbers where both are, as times where both are, else as text without regard to case.
fn compare(one: &str, other: &str) -> Ordering {
    if let (Ok(one), Ok(other)) = (one.parse::<f64>(), other.parse::<f64>()) {
        return one.total_cmp(&other);
    }
    if let (Some(one), Some(other)) = (time_ms(one), time_ms(other)) {
        return one.cmp(&other);
    }
    one.to_lowercase().cmp(&other.to_lowercase())
}

/// Objects without the property come last in ascending order.
fn compare_properties(one: &CrmObject, other: &CrmObject, name: &str) -> Ordering {
    match (one.properties.get(name), other.properties.get(name)) {
        (Some(one), Some(other)) => compare(one, other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// Whether each token of `wanted` is a token of `own`; a `*` at an end stands for any letters.
fn contains_token(own: &str, wanted: &str) -> bool {
    let own = own.to_lowercase();
    let wanted = wanted.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || c == '*';
    let mut parts = wanted.split(|c| !is_part(c)).filter(|part| !part.is_empty()).peekable();
    parts.peek().is_some()
        && parts.all(|part| own.split(|c: char| !c.is_alphanumeric()).any(|own| fits(own, part)))
}

fn fits(own: &str, part: &str) -> bool {
    let core = part.trim_matches('*');
    match (part.starts_with('*'), part.ends_with('*')) {
        (false, false) => own == core,
        (true, false) => own.ends_with(core),
        (false, true) => own.starts_with(core),
        (true, true) => own.contains(core),
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::Invalid(format!("There was a problem with the request: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_words_without_case_and_stars_stand_for_the_rest() {
        let own = "Acme Corp – Annual Plan";
        for wanted in ["acme", "plan annual", "ann*", "*lan", "*nnu*", "acme-corp"] {
            assert!(contains_token(own, wanted), "{wanted}");
        }
        for wanted in ["acm", "plans", "", "–", "acme beta"] {
            assert!(!contains_token(own, wanted), "{wanted}");
        }
    }

    #[test]
    fn values_compare_as_numbers_then_times_then_text() {
        assert_eq!(compare("9", "10"), Ordering::Less);
        assert_eq!(compare("12500.00", "12500"), Ordering::Equal);
        assert_eq!(compare("2023-03-15T16:00:00.000Z", "1678896000000"), Ordering::Equal);
        assert_eq!(compare("2023-03-15", "2023-03-16T00:00:00Z"), Ordering::Less);
        assert_eq!(compare("beta", "Alpha"), Ordering::Greater);
    }
}
