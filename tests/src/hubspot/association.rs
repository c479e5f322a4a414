//! Which objects belong together. HubSpot's default association types only, by name and number.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::crm::ObjectType;
use super::error::Refusal;

type End = (ObjectType, u64);

/// Pairs of objects that belong together, both ways.
#[derive(Debug, Default)]
pub(super) struct Associations(BTreeSet<(End, End)>);

impl Associations {
    pub fn link(&mut self, one: End, other: End) {
        self.0.insert((one, other));
        self.0.insert((other, one));
    }

    /// What belongs to an object, as `associations.<type>` of an answer; nothing if nothing does.
    pub fn json(&self, from: End, to: ObjectType) -> Option<Value> {
        let name = format!("{}_to_{}", from.0.singular(), to.singular());
        let results: Vec<Value> = self
            .0
            .range((from, (to, 0))..=(from, (to, u64::MAX)))
            .map(|(_, (_, id))| json!({ "id": id.to_string(), "type": name }))
            .collect();
        (!results.is_empty()).then(|| json!({ "results": results }))
    }
}

/// One entry of `associations` in a request that creates an object.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    to: To,
    types: Vec<AssociationType>,
}

#[derive(Debug, Deserialize)]
struct To {
    id: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssociationType {
    association_type_id: u32,
}

impl Wanted {
    /// The other end, seen from an object of type `from`.
    pub fn end(&self, from: ObjectType) -> Result<End, Refusal> {
        let invalid = |what: String| Refusal::Invalid(format!("Invalid association: {what}"));
        let id = match &self.to.id {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        let id = id.ok_or_else(|| invalid(format!("{} is no object id", self.to.id)))?;
        let number = self
            .types
            .first()
            .ok_or_else(|| invalid("one of types is needed".to_owned()))?
            .association_type_id;
        let to = target(from, number)
            .ok_or_else(|| invalid(format!("no type {number} from {}", from.name())))?;
        Ok((to, id))
    }
}

/// The numbers of HubSpot's default association types.
fn target(from: ObjectType, number: u32) -> Option<ObjectType> {
    use ObjectType::{Companies, Contacts, Deals};
    match (from, number) {
        (Contacts, 1 | 279) | (Deals, 5 | 341) => Some(Companies),
        (Companies, 2 | 280) | (Deals, 3) => Some(Contacts),
        (Contacts, 4) | (Companies, 6 | 342) => Some(Deals),
        _ => None,
    }
}
