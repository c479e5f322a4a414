//! What differs between contacts, companies and deals.

/// A kind of object of the CRM.
#[derive(Debug)]
pub struct Object {
    /// As in the API's paths: `deals`.
    pub path: &'static str,
    /// As in operation names: `deal`.
    pub name: &'static str,
    /// As in operation names, of several: `deals`.
    pub plural: &'static str,
    /// What is asked for when a node names no properties.
    pub properties: &'static [&'static str],
    /// Properties that are numbers. HubSpot sends every value as text.
    pub numbers: &'static [&'static str],
    /// Properties that make up the output's `name`.
    pub name_of: &'static [&'static str],
    /// The error code where there is none.
    pub not_found: &'static str,
    /// The error code where there is one already.
    pub exists: &'static str,
}

/// Every kind.
pub static ALL: [Object; 3] = [
    Object {
        path: "contacts",
        name: "contact",
        plural: "contacts",
        properties: &[
            "email",
            "firstname",
            "lastname",
            "phone",
            "company",
            "lifecyclestage",
            "hubspot_owner_id",
        ],
        numbers: &["num_associated_deals", "num_notes", "total_revenue"],
        name_of: &["firstname", "lastname"],
        not_found: "contact-not-found",
        exists: "contact-exists",
    },
    Object {
        path: "companies",
        name: "company",
        plural: "companies",
        properties: &[
            "name",
            "domain",
            "industry",
            "city",
            "country",
            "numberofemployees",
            "annualrevenue",
            "hubspot_owner_id",
        ],
        numbers: &[
            "annualrevenue",
            "num_associated_contacts",
            "num_associated_deals",
            "numberofemployees",
            "total_revenue",
        ],
        name_of: &["name"],
        not_found: "company-not-found",
        exists: "company-exists",
    },
    Object {
        path: "deals",
        name: "deal",
        plural: "deals",
        properties: &[
            "dealname",
            "amount",
            "deal_currency_code",
            "dealstage",
            "pipeline",
            "closedate",
            "hubspot_owner_id",
        ],
        numbers: &[
            "amount",
            "amount_in_home_currency",
            "days_to_close",
            "hs_acv",
            "hs_arr",
            "hs_closed_amount",
            "hs_deal_stage_probability",
            "hs_forecast_amount",
            "hs_mrr",
            "hs_projected_amount",
            "hs_tcv",
            "num_associated_contacts",
        ],
        name_of: &["dealname"],
        not_found: "deal-not-found",
        exists: "deal-exists",
    },
];
