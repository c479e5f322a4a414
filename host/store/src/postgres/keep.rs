//! What must not go, as conditions. A reader finds with them what can go, and the writer asks again
//! when it deletes: meanwhile somebody may have come to need it.
//!
//! OFFSET keeps PostgreSQL from reading all of another table to look at a few rows of this one, as it
//! does where it takes that table to be small.

/// True for a run `r` that ended before the time of that parameter and that nobody needs.
macro_rules! forgettable {
    ($before:literal) => {
        concat!(
            "r.ended_at < ",
            $before,
            " AND NOT EXISTS (SELECT 1 FROM queue q
                              WHERE q.run_id = r.id AND q.tenant_id = r.tenant_id OFFSET 0)
              AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.tenant_id = r.tenant_id
                                AND d.run_id = r.id AND d.discarded_at IS NULL OFFSET 0)
              AND NOT EXISTS (SELECT 1 FROM run c WHERE c.tenant_id = r.tenant_id
                                AND c.parent_run = r.id AND c.ended_at IS NULL OFFSET 0)"
        )
    };
}

/// True for a payload `p` that nobody needs.
macro_rules! unneeded {
    () => {
        "NOT EXISTS (SELECT 1 FROM payload_use u \
                     WHERE u.tenant_id = p.tenant_id AND u.hash = p.hash OFFSET 0) \
         AND NOT EXISTS (SELECT 1 FROM plugin n \
                         WHERE n.tenant_id = p.tenant_id AND n.hash = p.hash OFFSET 0)"
    };
}

pub(super) use {forgettable, unneeded};
