//! Whether the tenant may start more runs. Who is over is told so before anything of the event is
//! kept, so that nothing is lost: the sender has it still, and sends it again.

use tombolo_core::ports::intake::{Arrival, Hook};

use crate::IngressState;
use crate::problem::Problem;

/// Refuses what would be over in any case, before its body is read. Takes nothing and tells no figures:
/// the sender is not verified yet.
pub(crate) fn check(state: &IngressState, hook: &Hook) -> Result<(), Problem> {
    state.quotas.check(hook.tenant).map_err(|over| Problem::over_some_quota(&over))
}

/// Takes the room for the runs of these arrivals. A key that is known already takes it, too.
pub(crate) fn take(state: &IngressState, hook: &Hook, arrivals: &[Arrival]) -> Result<(), Problem> {
    let runs = arrivals.iter().map(|arrival| arrival.subscribers.len()).sum::<usize>();
    let runs = u32::try_from(runs).unwrap_or(u32::MAX);
    let admitted = state.quotas.admit(hook.tenant, runs, state.clock.now());
    admitted.map_err(|over| Problem::over_quota(&over))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use async_trait::async_trait;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::response::Response;
    use serde_json::{Value, json};
    use tempfile::TempDir;
    use tombolo_core::clock::{Clock, Timestamp};
    use tombolo_core::id::{EventId, IdSource, RunId, TenantId, WorkflowId};
    use tombolo_core::ports::intake::{Answer, Follow, Intake, Subscriber, Subscriptions};
    use tombolo_core::ports::repair::By;
    use tombolo_core::ports::store::{Accepted, Access, CancelRequest, StoreError, Tenant};
    use tombolo_core::quota::{Allowances, Counts, Quotas};
    use tombolo_store::{SqliteSettings, SqliteStore};
    use tombolo_vault::{MasterKey, OsRandomness, SealingVault};
    use tower::ServiceExt;
    use uuid::Uuid;

    use super::*;
    use crate::testing::{JqSandbox, hook};
    use crate::{IngressSettings, router};

    const ACME: TenantId = TenantId(Uuid::from_u128(1));

    struct ManualClock(Mutex<Timestamp>);

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    struct Nil;

    impl IdSource for Nil {
        fn next(&self) -> Uuid {
            Uuid::nil()
        }
    }

    /// Counts the events that it takes.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Intake for Counting {
        async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, StoreError> {
            self.0.fetch_add(arrivals.len(), Ordering::SeqCst);
            let (event, run) = (EventId(Uuid::nil()), RunId(Uuid::nil()));
            Ok(arrivals.iter().map(|_| Accepted::New { event, runs: vec![run] }).collect())
        }

        async fn accept_and_wait(
            &self,
            _: Arrival,
            _: Duration,
        ) -> Result<(Accepted, Answer), StoreError> {
            unreachable!("the trigger answers at once")
        }

        async fn wait(&self, _: TenantId, _: RunId, _: Duration) -> Result<Answer, StoreError> {
            unreachable!("nobody waits")
        }

        async fn cancel(&self, _: TenantId, _: RunId, _: By) -> Result<CancelRequest, StoreError> {
            unreachable!("nobody cancels")
        }

        fn follow(&self, _: TenantId, _: RunId) -> Box<dyn Follow> {
            unreachable!("nobody follows")
        }
    }

    /// One webhook with one subscriber, which splits its body.
    struct OneHook;

    impl Subscriptions for OneHook {
        fn hook(&self, tenant: TenantId, path: &str) -> Option<Arc<Hook>> {
            let found = hook(json!({"split": "${ .body }"}));
            let subscriber = Subscriber {
                workflow: WorkflowId(Uuid::nil()),
                version: 1,
                trigger: "t".to_owned(),
                timeout: None,
                limits: None,
            };
            let subscribers = vec![subscriber];
            (tenant == ACME && path == "inbox")
                .then(|| Arc::new(Hook { subscribers, ..(*found).clone() }))
        }

        fn workflow(&self, _: TenantId, _: &str) -> Option<Subscriber> {
            None
        }

        fn event(&self, _: TenantId, _: &str) -> Vec<Subscriber> {
            Vec::new()
        }

        fn failure(&self, _: TenantId, _: &str) -> Vec<Subscriber> {
            Vec::new()
        }
    }

    struct World {
        router: axum::Router,
        clock: Arc<ManualClock>,
        intake: Arc<Counting>,
        allowances: Arc<Allowances>,
        _folder: TempDir,
    }

    impl World {
        async fn new(quotas: Quotas) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tombolo.db");
            let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
            let clock = Arc::new(ManualClock(Mutex::new(Timestamp(1_790_000_000_000))));
            let tenant = Tenant { id: ACME, name: "acme".to_owned() };
            store.ensure_tenant(tenant, clock.now()).await.unwrap();
            let vault = SealingVault::new(MasterKey::generate(&OsRandomness), Vec::new()).unwrap();
            let (allowances, intake) =
                (Arc::new(Allowances::default()), Arc::<Counting>::default());
            let state = IngressState {
                store: Arc::new(store),
                vault: Arc::new(vault),
                sandbox: Arc::new(JqSandbox::default()),
                intake: intake.clone(),
                quotas: allowances.clone(),
                subscriptions: Arc::new(OneHook),
                clock: clock.clone(),
                ids: Arc::new(Nil),
                settings: IngressSettings { public_url: String::new(), body_limit: 1_024 },
            };
            let world = Self { router: router(state), clock, intake, allowances, _folder: folder };
            world.counted(quotas, 0, 0);
            world
        }

        fn counted(&self, quotas: Quotas, open: u64, bytes: u64) {
            self.allowances.counting();
            self.allowances.counted(&Counts {
                quotas: vec![(ACME, quotas)],
                open_runs: Some(vec![(ACME, open)]),
            });
            self.allowances.stored(&[(ACME, bytes)]);
        }

        async fn post(&self, body: &str) -> Response {
            let request =
                Request::post("/hooks/acme/inbox").header("content-type", "application/json");
            let request = request.body(Body::from(body.to_owned())).unwrap();
            self.router.clone().oneshot(request).await.unwrap()
        }

        fn taken(&self) -> usize {
            self.intake.0.load(Ordering::SeqCst)
        }
    }

    async fn over(response: Response) -> (Value, Value, String) {
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait = response.headers()["retry-after"].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["type"], "/problems/quota-used-up");
        (problem["quota"].clone(), problem["limit"].clone(), wait)
    }

    #[tokio::test]
    async fn a_delivery_over_the_quota_is_told_when_to_come_back_and_nothing_of_it_is_kept() {
        let world = World::new(Quotas { runs_per_minute: Some(60), ..Quotas::default() }).await;
        // What comes as a whole is taken as a whole.
        let body = json!(vec![0; 61]).to_string();
        assert_eq!(world.post(&body).await.status(), StatusCode::ACCEPTED);
        let told = over(world.post("[1]").await).await;
        assert_eq!(told, (json!("runs_per_minute"), json!(60), "2".to_owned()));
        assert_eq!(world.taken(), 61);
        let later = world.clock.now().plus(Duration::from_secs(2));
        *world.clock.0.lock().unwrap() = later;
        assert_eq!(world.post("[1]").await.status(), StatusCode::ACCEPTED);
        assert_eq!(world.taken(), 62);
    }

    #[tokio::test]
    async fn whatever_quota_it_is_the_sender_may_come_back() {
        let quotas =
            Quotas { concurrent_runs: Some(5), storage_bytes: Some(100), ..Quotas::default() };
        let world = World::new(quotas).await;
        world.counted(quotas, 5, 0);
        // Before anybody is verified: which quota it is stays with the tenant.
        let told = over(world.post("[1]").await).await;
        assert_eq!(told, (Value::Null, Value::Null, "5".to_owned()));
        world.counted(quotas, 0, 100);
        let told = over(world.post("[1]").await).await;
        assert_eq!(told, (Value::Null, Value::Null, "60".to_owned()));
        assert_eq!(world.taken(), 0);
        world.counted(quotas, 4, 99);
        assert_eq!(world.post("[1]").await.status(), StatusCode::ACCEPTED);
    }

    #[tokio::test]
    async fn what_is_refused_for_another_reason_takes_no_room() {
        let world = World::new(Quotas { runs_per_minute: Some(1), ..Quotas::default() }).await;
        for _ in 0..3 {
            assert_eq!(world.post("no JSON").await.status(), StatusCode::BAD_REQUEST);
        }
        assert_eq!(world.post("[1]").await.status(), StatusCode::ACCEPTED);
    }
}
