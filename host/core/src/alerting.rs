//! What people are told, and when again: when dead letters begin to wait, while they grow, and once
//! for every pause of a connection. Pure; an alert counts as told once somebody has taken it.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::ports::alert::Alert;
use crate::ports::egress::Paused;

/// What people were told last. As large as there are tenants with dead letters, and connections that
/// were ever paused.
#[derive(Debug, Default)]
pub struct Ledger {
    letters: HashMap<TenantId, Told>,
    /// When the pause began that people know of.
    pauses: HashMap<(TenantId, String), Timestamp>,
}

/// So many were told of, then.
#[derive(Debug, Clone, Copy)]
struct Told {
    count: u64,
    at: Timestamp,
}

/// What to do about something that may be news.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is none.
    Quiet,
    /// It is, and people were told about the same a moment ago.
    Later,
    /// They are told.
    Tell(Alert),
}

impl Ledger {
    /// So many dead letters of a tenant wait now. While they grow, people are told every `repeat`.
    pub fn letters(
        &mut self,
        tenant: TenantId,
        count: u64,
        now: Timestamp,
        repeat: Duration,
    ) -> Verdict {
        if count == 0 {
            self.none_left(tenant);
            return Verdict::Quiet;
        }
        match self.letters.get_mut(&tenant) {
            Some(told) if count <= told.count => {
                // They grow fewer: the next one is news again.
                told.count = count;
                Verdict::Quiet
            }
            Some(told) if now.since(told.at) < repeat => Verdict::Later,
            _ => Verdict::Tell(Alert::DeadLetters { tenant, count, at: now }),
        }
    }

    /// No dead letter of a tenant waits any more: the next one is news.
    pub fn none_left(&mut self, tenant: TenantId) {
        self.letters.remove(&tenant);
    }

    /// Whether a connection is paused. Runs that were under way are refused, too: that is the same
    /// pause. One that begins after new credentials is another.
    pub fn connection(
        &mut self,
        tenant: TenantId,
        connection: &str,
        paused: Option<&Paused>,
    ) -> Verdict {
        let key = (tenant, connection.to_owned());
        let Some(Paused { at, reason }) = paused else {
            self.pauses.remove(&key);
            return Verdict::Quiet;
        };
        if self.pauses.get(&key) == Some(at) {
            return Verdict::Quiet;
        }
        Verdict::Tell(Alert::ConnectionPaused {
            tenant,
            connection: key.1,
            reason: reason.clone(),
            at: *at,
        })
    }

    /// Somebody has taken the alert.
    pub fn told(&mut self, alert: Alert) {
        match alert {
            Alert::DeadLetters { tenant, count, at } => {
                self.letters.insert(tenant, Told { count, at });
            }
            Alert::ConnectionPaused { tenant, connection, at, .. } => {
                self.pauses.insert((tenant, connection), at);
            }
            // Told by whoever finds it, once.
            Alert::RecordContradicted { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));
    const REPEAT: Duration = Duration::from_millis(100);

    /// Counts told at these times of counts; everything is taken.
    fn told(ledger: &mut Ledger, looks: &[(u64, i64)]) -> Vec<u64> {
        let mut told = Vec::new();
        for (count, at) in looks {
            let verdict = ledger.letters(TENANT, *count, Timestamp(*at), REPEAT);
            if let Verdict::Tell(alert) = verdict {
                ledger.told(alert);
                told.push(*count);
            }
        }
        told
    }

    #[test]
    fn the_first_is_news_and_growth_is_after_a_while() {
        let mut ledger = Ledger::default();
        assert_eq!(told(&mut ledger, &[(1, 0), (2, 50), (3, 100), (2, 300), (3, 400)]), [1, 3, 3]);
        assert_eq!(ledger.letters(TENANT, 4, Timestamp(401), REPEAT), Verdict::Later);
    }

    #[test]
    fn one_after_none_is_news_at_once() {
        let mut ledger = Ledger::default();
        assert_eq!(told(&mut ledger, &[(2, 0), (0, 1), (1, 2)]), [2, 1]);
        ledger.none_left(TENANT);
        assert_eq!(told(&mut ledger, &[(1, 3)]), [1]);
    }

    #[test]
    fn what_nobody_took_is_told_again() {
        let mut ledger = Ledger::default();
        let first = ledger.letters(TENANT, 1, Timestamp(0), REPEAT);
        let second = ledger.letters(TENANT, 1, Timestamp(1), REPEAT);
        assert!(matches!((first, second), (Verdict::Tell(_), Verdict::Tell(_))));
    }

    #[test]
    fn every_pause_is_told_once() {
        let mut ledger = Ledger::default();
        let pause = |at| Paused { at: Timestamp(at), reason: "401".into() };
        for (at, news) in [(1, true), (1, false), (2, true), (2, false)] {
            let verdict = ledger.connection(TENANT, "crm", Some(&pause(at)));
            match verdict {
                Verdict::Tell(alert) => {
                    assert!(news, "{alert:?}");
                    ledger.told(alert);
                }
                quiet => assert!(!news && quiet == Verdict::Quiet, "{quiet:?}"),
            }
        }
        assert_eq!(ledger.connection(TENANT, "crm", None), Verdict::Quiet);
        assert!(ledger.pauses.is_empty());
    }
}
