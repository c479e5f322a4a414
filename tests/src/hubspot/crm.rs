//! The objects of one portal: kept, created, changed and shown. No HTTP here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::association::Associations;
use super::error::Refusal;
use super::property::{self, ValueKind};

/// The id of the first object a call creates.
const FIRST_CREATED_ID: u64 = 50_000_000_001;

/// The types of objects the stand-in has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectType {
    /// People.
    Contacts,
    /// Organisations.
    Companies,
    /// Sales.
    Deals,
}

impl ObjectType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::Contacts, Self::Companies, Self::Deals];

    /// As in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Deals => "deals",
        }
    }

    /// As in association types.
    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::Contacts => "contact",
            Self::Companies => "company",
            Self::Deals => "deal",
        }
    }

    /// From a path, where the singular and the numeric type id are taken too.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "contacts" | "contact" | "0-1" => Some(Self::Contacts),
            "companies" | "company" | "0-2" => Some(Self::Companies),
            "deals" | "deal" | "0-3" => Some(Self::Deals),
            _ => None,
        }
    }
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct CrmObject {
    /// Its id.
    pub id: u64,
    /// All values that are set.
    pub properties: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// When it was last changed.
    pub updated_at: jiff::Timestamp,
}

/// Everything in the portal.
#[derive(Debug)]
pub(super) struct Crm {
    objects: BTreeMap<(ObjectType, u64), CrmObject>,
    custom: BTreeSet<(ObjectType, String)>,
    pub associations: Associations,
    next_id: u64,
}

impl Crm {
    pub fn empty() -> Self {
        Self {
            objects: BTreeMap::new(),
            custom: BTreeSet::new(),
            associations: Associations::default(),
            next_id: FIRST_CREATED_ID,
        }
    }

    pub fn object(&self, kind: ObjectType, id: u64) -> Option<&CrmObject> {
        self.objects.get(&(kind, id))
    }

    /// All objects of a type, oldest id first.
    pub fn all(&self, kind: ObjectType) -> impl Iterator<Item = &CrmObject> {
        self.objects.range((kind, 0)..=(kind, u64::MAX)).map(|(_, object)| object)
    }

    pub fn define_property(&mut self, kind: ObjectType, name: &str) {
        if kind.value_kind(name).is_none() {
            self.custom.insert((kind, name.to_owned()));
        }
    }

    pub fn value_kind(&self, kind: ObjectType, name: &str) -> Option<ValueKind> {
        let custom = || self.custom.contains(&(kind, name.to_owned())).then_some(ValueKind::Text);
        kind.value_kind(name).or_else(custom)
    }

    /// Adds or replaces an object without any check; unknown properties become custom ones.
    pub fn insert(&mut self, kind: ObjectType, id: u64, properties: &[(&str, &str)]) {
        for (name, _) in properties {
            self.define_property(kind, name);
        }
        let values =
            properties.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        let now = jiff::Timestamp::now();
        let mut object =
            CrmObject { id, properties: BTreeMap::new(), created_at: now, updated_at: now };
        object.set(kind, values.collect());
        self.objects.insert((kind, id), object);
    }

    /// Creates an object from a request's properties.
    pub fn create(
        &mut self,
        kind: ObjectType,
        values: &Map<String, Value>,
    ) -> Result<u64, Refusal> {
        let values = property::checked(values, |name| self.value_kind(kind, name))?;
        self.refuse_known_email(kind, &values, None)?;
        let id = self.next_id;
        self.next_id += 1;
        let now = jiff::Timestamp::now();
        let mut object =
            CrmObject { id, properties: BTreeMap::new(), created_at: now, updated_at: now };
        object.set(kind, values);
        self.objects.insert((kind, id), object);
        Ok(id)
    }

    /// Changes an object by a request's properties; the others stay.
    pub fn update(
        &mut self,
        kind: ObjectType,
        id: u64,
        values: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        if self.object(kind, id).is_none() {
            return Err(Refusal::NotFound);
        }
        let values = property::checked(values, |name| self.value_kind(kind, name))?;
        self.refuse_known_email(kind, &values, Some(id))?;
        if let Some(object) = self.objects.get_mut(&(kind, id)) {
            object.updated_at = jiff::Timestamp::now();
            object.set(kind, values);
        }
        Ok(())
    }

    /// No two contacts have the same e-mail address.
    fn refuse_known_email(
        &self,
        kind: ObjectType,
        values: &[(String, Option<String>)],
        own_id: Option<u64>,
    ) -> Result<(), Refusal> {
        let email = values.iter().find(|(name, _)| name == "email");
        let (ObjectType::Contacts, Some((_, Some(email)))) = (kind, email) else {
            return Ok(());
        };
        match self.id_by_property(kind, "email", email) {
            Some(id) if Some(id) != own_id => Err(Refusal::ContactExists { id }),
            _ => Ok(()),
        }
    }

    /// The object with this value of a property that is unique; letter case does not matter.
    pub fn id_by_property(&self, kind: ObjectType, name: &str, value: &str) -> Option<u64> {
        self.all(kind)
            .find(|object| {
                object.properties.get(name).is_some_and(|own| own.eq_ignore_ascii_case(value))
            })
            .map(|object| object.id)
    }

    /// An object as answers show it: the asked properties that exist, null where not set, and
    /// those that always come.
    pub fn json(&self, kind: ObjectType, object: &CrmObject, asked: Option<&[String]>) -> Value {
        let mut names: BTreeSet<&str> =
            ["createdate", "hs_object_id", kind.modified_property()].into();
        match asked {
            Some(asked) => names.extend(
                asked
                    .iter()
                    .map(|name| name.trim())
                    .filter(|name| self.value_kind(kind, name).is_some()),
            ),
            None => names.extend(kind.default_properties()),
        }
        let properties: Map<String, Value> = names
            .into_iter()
            .map(|name| (name.to_owned(), object.properties.get(name).cloned().into()))
            .collect();
        object.json(properties)
    }

    /// All objects of a type with all their values, for people.
    pub fn all_json(&self, kind: ObjectType) -> Value {
        let everything = |object: &CrmObject| {
            object.json(
                object.properties.iter().map(|(n, v)| (n.clone(), v.clone().into())).collect(),
            )
        };
        self.all(kind).map(everything).collect()
    }
}

impl CrmObject {
    fn set(&mut self, kind: ObjectType, values: Vec<(String, Option<String>)>) {
        for (name, value) in values {
            match value {
                Some(value) => self.properties.insert(name, value),
                None => self.properties.remove(&name),
            };
        }
        let own = [
            ("createdate", iso(self.created_at)),
            ("hs_object_id", self.id.to_string()),
            (kind.modified_property(), iso(self.updated_at)),
        ];
        for (name, value) in own {
            self.properties.insert(name.to_owned(), value);
        }
    }

    fn json(&self, properties: Map<String, Value>) -> Value {
        json!({
            "id": self.id.to_string(),
            "properties": properties,
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
            "archived": false,
        })
    }
}

/// ISO 8601 in UTC with milliseconds, as in HubSpot's answers.
fn iso(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}
