//! Which properties each object type has, which of them come unasked, and what values they take.
//! A selection of HubSpot's standard properties; custom ones are defined by the test.

use serde_json::{Map, Value};

use super::crm::ObjectType;
use super::error::{InvalidProperty, Refusal};

/// What a property's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Text,
    Number,
    Email,
    /// ISO 8601, or milliseconds since 1970.
    Time,
    /// Set by HubSpot, never by a call.
    ReadOnly,
}

impl ObjectType {
    /// The property with the time of the last change.
    pub(super) fn modified_property(self) -> &'static str {
        match self {
            Self::Contacts => "lastmodifieddate",
            Self::Companies | Self::Deals => "hs_lastmodifieddate",
        }
    }

    /// What an answer has when no properties are asked for, besides those it always has.
    pub(super) fn default_properties(self) -> &'static [&'static str] {
        match self {
            Self::Contacts => &["email", "firstname", "lastname"],
            Self::Companies => &["domain", "name"],
            Self::Deals => &["amount", "closedate", "dealname", "dealstage", "pipeline"],
        }
    }

    /// The standard properties, without the ones that every type has.
    fn standard_properties(self) -> &'static [(&'static str, ValueKind)] {
        use ValueKind::{Email, Number, Text, Time};
        match self {
            Self::Contacts => &[
                ("address", Text),
                ("city", Text),
                ("company", Text),
                ("country", Text),
                ("email", Email),
                ("firstname", Text),
                ("hs_lead_status", Text),
                ("hubspot_owner_id", Text),
                ("jobtitle", Text),
                ("lastname", Text),
                ("lifecyclestage", Text),
                ("mobilephone", Text),
                ("phone", Text),
                ("state", Text),
                ("website", Text),
                ("zip", Text),
            ],
            Self::Companies => &[
                ("address", Text),
                ("annualrevenue", Number),
                ("city", Text),
                ("country", Text),
                ("description", Text),
                ("domain", Text),
                ("hubspot_owner_id", Text),
                ("industry", Text),
                ("lifecyclestage", Text),
                ("name", Text),
                ("numberofemployees", Number),
                ("phone", Text),
                ("state", Text),
                ("website", Text),
                ("zip", Text),
            ],
            Self::Deals => &[
                ("amount", Number),
                ("closedate", Time),
                ("deal_currency_code", Text),
                ("dealname", Text),
                ("dealstage", Text),
                ("dealtype", Text),
                ("description", Text),
                ("hs_priority", Text),
                ("hubspot_owner_id", Text),
                ("pipeline", Text),
            ],
        }
    }

    /// What a standard property takes; nothing if there is no such property.
    pub(super) fn value_kind(self, name: &str) -> Option<ValueKind> {
        match name {
            "createdate" | "hs_object_id" => return Some(ValueKind::ReadOnly),
            name if name == self.modified_property() => return Some(ValueKind::ReadOnly),
            _ => {}
        }
        self.standard_properties()
            .iter()
            .find(|(standard, _)| *standard == name)
            .map(|(_, kind)| *kind)
    }
}

/// The values of a request as HubSpot keeps them, all text; nothing where one is taken away.
pub(super) fn checked(
    values: &Map<String, Value>,
    kind_of: impl Fn(&str) -> Option<ValueKind>,
) -> Result<Vec<(String, Option<String>)>, Refusal> {
    let mut kept = Vec::new();
    let mut invalid = Vec::new();
    for (name, value) in values {
        match kind_of(name) {
            None => invalid.push(no_such_property(name)),
            Some(kind) => match as_text(name, value) {
                Ok(text) => match text.as_deref().map_or(Ok(()), |text| fits(name, kind, text)) {
                    Ok(()) => kept.push((name.clone(), text)),
                    Err(misfit) => invalid.push(misfit),
                },
                Err(misfit) => invalid.push(misfit),
            },
        }
    }
    if invalid.is_empty() { Ok(kept) } else { Err(Refusal::InvalidProperties(invalid)) }
}

/// Numbers and booleans are taken as their text, null and the empty text as no value.
fn as_text(name: &str, value: &Value) -> Result<Option<String>, InvalidProperty> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Array(_) | Value::Object(_) => Err(InvalidProperty {
            name: name.to_owned(),
            code: "INVALID_PROPERTY_VALUE",
            message: format!("The value of \"{name}\" must be a string"),
        }),
    }
}

fn no_such_property(name: &str) -> InvalidProperty {
    InvalidProperty {
        name: name.to_owned(),
        code: "PROPERTY_DOESNT_EXIST",
        message: format!("Property \"{name}\" does not exist"),
    }
}

fn fits(name: &str, kind: ValueKind, text: &str) -> Result<(), InvalidProperty> {
    let (code, message) = match kind {
        ValueKind::Number if text.parse::<f64>().is_err() => {
            ("INVALID_INTEGER", format!("{text} was not a valid number."))
        }
        ValueKind::Email if !is_email(text) => {
            ("INVALID_EMAIL", format!("Email address {text} is invalid"))
        }
        ValueKind::Time if time_ms(text).is_none() => {
            ("INVALID_DATE", format!("{text} was not a valid date."))
        }
        ValueKind::ReadOnly => ("READ_ONLY_VALUE", format!("\"{name}\" is a read only property")),
        _ => return Ok(()),
    };
    Err(InvalidProperty { name: name.to_owned(), code, message })
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !text.contains([' ', ','])
    })
}

/// A time as HubSpot takes it, in milliseconds since 1970.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return Some(ms);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let day = text.parse::<jiff::civil::Date>().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}
