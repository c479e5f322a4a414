//! What the live workflows say of the events that they publish: one schema for a name and tenant,
//! whoever publishes it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tombolo_core::id::TenantId;
use tombolo_core::workflow::{Definition, EventSchemas, Issue};

/// Schemas by tenant and the event's name.
#[derive(Default)]
pub(super) struct Declared(HashMap<(TenantId, String), Declaration>);

struct Declaration {
    /// The first one's, ready to check.
    schemas: Arc<EventSchemas>,
    /// Names of the workflows, with what each says.
    by: Vec<(String, Value)>,
}

impl Declared {
    /// Takes in what a live workflow says.
    pub fn add(&mut self, tenant: TenantId, definition: &Definition) {
        for (event, schema) in &definition.events {
            let said = (definition.name.clone(), schema.clone());
            let key = (tenant, event.clone());
            if let Some(declaration) = self.0.get_mut(&key) {
                if declaration.by.iter().any(|(_, other)| other != schema) {
                    tracing::error!(%event, workflow = %said.0, "two schemas of one event: the first holds");
                }
                declaration.by.push(said);
                continue;
            }
            let mut schemas = EventSchemas::default();
            match schemas.add(event, schema) {
                Ok(()) => {
                    let declaration = Declaration { schemas: Arc::new(schemas), by: vec![said] };
                    self.0.insert(key, declaration);
                }
                Err(error) => tracing::error!(%event, %error, "a stored schema cannot be used"),
            }
        }
    }

    /// What data of the event has to be like, if any workflow says.
    pub fn schemas(&self, tenant: TenantId, event: &str) -> Option<Arc<EventSchemas>> {
        let declaration = self.0.get(&(tenant, event.to_owned()))?;
        Some(declaration.schemas.clone())
    }

    /// Where the file says otherwise than another live workflow.
    pub fn issues(&self, tenant: TenantId, definition: &Definition) -> Vec<Issue> {
        let mut issues = Vec::new();
        for (event, schema) in &definition.events {
            let declared = self.0.get(&(tenant, event.clone()));
            let mut said = declared.into_iter().flat_map(|declaration| &declaration.by);
            let other = said.find(|(name, other)| *name != definition.name && other != schema);
            if let Some((name, _)) = other {
                let message =
                    format!("the workflow `{name}` declares `{event}` with another schema");
                let fix = "use the same schema, or another version of the event".to_owned();
                let issue = Issue::new(format!("/events/{event}"), "event-schema-differs", message);
                issues.push(issue.suggest(Some(fix)));
            }
        }
        issues
    }
}
