//! What a fresh portal holds: the deal of the integration guide, its company and its contact.

use super::crm::{Crm, ObjectType};

/// The deal the guide's event is about.
pub const SEED_DEAL_ID: u64 = 123_456_789;

/// The deal's company.
pub const SEED_COMPANY_ID: u64 = 987_654_321;

/// The deal's contact.
pub const SEED_CONTACT_ID: u64 = 555_000_111;

pub(super) fn crm() -> Crm {
    let mut crm = Crm::empty();
    crm.insert(
        ObjectType::Companies,
        SEED_COMPANY_ID,
        &[
            ("name", "Acme Corp"),
            ("domain", "acme.example"),
            ("industry", "MANUFACTURING"),
            ("numberofemployees", "250"),
            ("city", "Zürich"),
            ("country", "Switzerland"),
        ],
    );
    crm.insert(
        ObjectType::Contacts,
        SEED_CONTACT_ID,
        &[
            ("email", "ada.lovelace@acme.example"),
            ("firstname", "Ada"),
            ("lastname", "Lovelace"),
            ("jobtitle", "Head of Operations"),
            ("company", "Acme Corp"),
        ],
    );
    crm.insert(
        ObjectType::Deals,
        SEED_DEAL_ID,
        &[
            ("dealname", "Acme Corp – Annual Plan"),
            ("amount", "12500.00"),
            ("dealstage", "closedwon"),
            ("pipeline", "default"),
            ("closedate", "2023-03-15T16:00:00.000Z"),
            ("deal_currency_code", "EUR"),
            ("hubspot_owner_id", "70111222"),
        ],
    );
    let (deal, company, contact) = (
        (ObjectType::Deals, SEED_DEAL_ID),
        (ObjectType::Companies, SEED_COMPANY_ID),
        (ObjectType::Contacts, SEED_CONTACT_ID),
    );
    crm.associations.link(deal, company);
    crm.associations.link(deal, contact);
    crm.associations.link(contact, company);
    crm
}
