//! Every text that the port takes, as somebody writes it who wants to be more than a text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tombolo_core::audit::Actor;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{ContentHash, RunId, TenantId, TokenId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Auth, Connection};
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{
    Access, Catalog, Debounce, Lane, Lease, LetterBox, LetterCursor, LetterFilter, Letters,
    NewLetter, NewVersion, Next, Open, Page, Parent, Pause, Reading, RunFilter, RunLimits, RunLog,
    Settle, Signal, Singleton, StateChange, StepKey, StepRow, StoreError, Tenant, Throttle, Token,
    WhenBusy, WorkerId,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::PostgresStore;

use crate::everything::{self, audit, connection};
use crate::world::{Ids, NOW, Owner, World, after, done};

/// Longer than what any index of PostgreSQL holds.
const VERY_LONG_BYTES: usize = 1_000_000;

fn texts(theirs: TenantId) -> Vec<String> {
    let theirs = theirs.0;
    let mut texts: Vec<String> = [
        "'",
        "''",
        "\"",
        "\\",
        "\\'",
        "$1",
        "$$",
        "{}",
        "%",
        "a\0b",
        "\0",
        "\u{202e}'",
        "'; SET app.scope='host'; --",
        "'); SET LOCAL app.scope = 'host'; SELECT ('",
        "\\'; SET app.scope='host'; --",
        "\u{ff07}; SET app.scope='host'; --",
        "' OR '1'='1",
        "' UNION SELECT * FROM run --",
        "{\"a\":\"'\"}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!("'; SET app.tenant_id='{theirs}'; --"));
    texts.push(format!("' OR tenant_id = '{theirs}"));
    texts.push("'".repeat(VERY_LONG_BYTES));
    texts.push(long_and_random());
    texts
}

/// What compression does not make short enough for an index.
fn long_and_random() -> String {
    let hash = |n: u32| ContentHash::of(&n.to_be_bytes()).to_string();
    (0..200).map(hash).collect::<Vec<_>>().join("'")
}

/// Calls of which every answer is looked at.
struct Asked<'a> {
    store: &'a PostgresStore,
    ours: Owner,
    text: String,
    calls: &'a AtomicUsize,
    refused: &'a AtomicUsize,
}

impl Asked<'_> {
    /// Done, or refused for what the text is; and never because of how it reads as SQL.
    fn answered<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(answer) => Some(answer),
            Err(StoreError::Refused(reason)) => {
                assert!(!reason.contains("syntax"), "{reason}");
                let why = ["invalid byte sequence", "index row"];
                let expected = why.iter().any(|why| reason.contains(why));
                assert!(expected, "`{:.60}`: {reason}", self.text);
                self.refused.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(other) => panic!("`{:.60}`: {other}", self.text),
        }
    }

    fn step(&self) -> StepKey {
        StepKey { node: self.text.clone(), item: 0 }
    }

    async fn names(&self) {
        let Self { store, ours, text, .. } = self;
        let tenant = Tenant { id: TenantId::new(&Ids), name: text.clone() };
        self.answered(store.ensure_tenant(tenant, NOW).await);
        let found = self.answered(store.tenant(text).await).flatten();
        assert!(found.is_none_or(|found| found.id != ours.tenant));
        let id = TokenId::new(&Ids);
        self.answered(
            store
                .put_token(
                    Token {
                        id,
                        tenant: ours.tenant,
                        name: text.clone(),
                        hash: ContentHash::of(id.0.as_bytes()).0,
                        scopes: Vec::new(),
                        created_at: NOW,
                        expires_at: None,
                        prefix: Some(text.clone()),
                        last_used_at: None,
                        revoked_at: None,
                    },
                    None,
                )
                .await,
        );
        let version = NewVersion {
            tenant: ours.tenant,
            id: WorkflowId::new(&Ids),
            name: text.clone(),
            definition: Json::from_value(text.clone().into()),
            pins: BTreeMap::from([(text.clone(), ContentHash::of(b"a"))]),
            now: NOW,
            audit: None,
        };
        self.answered(store.apply_workflow(version).await);
        let versions = self.answered(store.workflow_versions(ours.tenant, text).await);
        assert!(versions.is_none_or(|all| all.iter().all(|one| one.tenant == ours.tenant)));
        self.connections().await;
    }

    async fn connections(&self) {
        let Self { store, ours, text, .. } = self;
        let Auth::Bearer { token } = connection(ours, text).auth else { unreachable!() };
        let put = Connection {
            base_url: Some(text.clone()),
            auth: Auth::Header { name: text.clone(), value: token },
            allowed_hosts: vec![text.clone()],
            ..connection(ours, text)
        };
        self.answered(store.put_connection(put, None).await);
        let found = self.answered(store.connection(ours.tenant, text).await).flatten();
        assert!(found.is_none_or(|found| found.tenant == ours.tenant));
        let entry = audit(text);
        self.answered(store.resume_connection(ours.tenant, text, after(1), entry).await);
        let mut entry = audit(text);
        entry.actor = Actor(text.clone());
        entry.action.clone_from(text);
        entry.detail = text.clone().into();
        self.answered(store.record(ours.tenant, entry).await);
    }

    async fn flow(&self) {
        let Self { store, ours, text, .. } = self;
        let name = text.clone();
        let second = Duration::from_secs(1);
        let lane = Lane { name: name.clone(), limit: 1, in_order: true, keeps_place: true };
        let throttle = Throttle { name: name.clone(), runs: 1, per: second };
        let debounce = Debounce { name: name.clone(), wait: second, max: second };
        let singleton = Singleton { name, when_busy: WhenBusy::Join };
        for flow in [
            RunLimits { lanes: vec![lane], ..RunLimits::default() },
            RunLimits { throttle: Some(throttle), ..RunLimits::default() },
            RunLimits { debounce: Some(debounce), ..RunLimits::default() },
            RunLimits { singleton: Some(singleton), ..RunLimits::default() },
        ] {
            let mut accept =
                ours.event(&format!("{:?}{text}", std::mem::discriminant(&flow.throttle)));
            accept.event.dedupe_key = accept.event.id.to_string();
            accept.runs[0].flow = flow;
            self.answered(store.accept(vec![accept]).await);
        }
    }

    /// A run of which every text is this one. None if it was refused.
    async fn run(&self) -> Option<Lease> {
        let Self { store, ours, text, .. } = self;
        let owner = WorkerId(text.clone());
        let (mut accept, _) = ours.leased(text);
        accept.event.source.clone_from(text);
        accept.event.correlation_id.clone_from(text);
        let run = &mut accept.runs[0];
        run.trigger.clone_from(text);
        run.lease = Some((owner.clone(), after(60_000)));
        run.parent = Some(Parent { run: RunId::new(&Ids), node: text.clone(), item: 0 });
        let lease = Lease { run: run.id, owner, epoch: 1 };
        self.answered(store.accept(vec![accept]).await)?;
        Some(lease)
    }

    async fn settled(&self, lease: &Lease) {
        let Self { store, ours, text, .. } = self;
        let error = StepError::new(ErrorClass::Permanent, text, text.clone());
        let letter = NewLetter {
            step: self.step(),
            workflow: ours.workflow,
            state: StepState::Dead,
            error: error.clone(),
        };
        let write = StateWrite { key: text.clone(), expected: 0, value: Json::null() };
        let hold = |change: fn(&mut Settle)| {
            let mut results = ours.results(lease, Next::Hold);
            change(&mut results);
            results
        };
        let parts = [
            Settle {
                steps: vec![StepRow {
                    ports: vec![text.clone()],
                    error: Some(error.clone()),
                    ..done(text)
                }],
                ..hold(|_| {})
            },
            Settle {
                state: vec![StateChange { workflow: ours.workflow, node: text.clone(), write }],
                ..hold(|_| {})
            },
            Settle { letters: Letters { opened: vec![letter], closed: vec![] }, ..hold(|_| {}) },
            Settle { used: vec![self.step()], ..hold(|_| {}) },
            Settle { forgets: vec![self.step()], ..hold(|_| {}) },
            Settle { audit: vec![audit(text)], ..hold(|_| {}) },
            Settle {
                pauses: vec![Pause { connection: text.clone(), reason: text.clone() }],
                ..hold(|_| {})
            },
        ];
        for part in parts {
            self.answered(store.settle(part).await);
        }
        let step = self.step();
        let signal =
            Signal { tenant: ours.tenant, run: lease.run, step, body: Json::null(), at: NOW };
        self.answered(store.signal(signal, None).await);
        let leases = std::slice::from_ref(lease);
        self.answered(store.renew(leases, after(70_000)).await);
        let state = RunState::Waiting;
        let connections = BTreeSet::from([text.clone()]);
        let next = Next::Park { state, available_at: None, connections };
        self.answered(store.settle(ours.results(lease, next)).await);
        let open = Open {
            tenant: ours.tenant,
            run: lease.run,
            worker: lease.owner.clone(),
            now: after(100_000),
            until: after(200_000),
        };
        self.answered(store.open(open).await);
    }

    async fn read(&self) {
        let Self { store, ours, text, .. } = self;
        let page = Page { after: None, limit: 1_000 };
        for filter in [
            RunFilter { correlation_id: Some(text.clone()), ..RunFilter::default() },
            RunFilter { workflow: Some(text.clone()), ..RunFilter::default() },
        ] {
            let runs = self.answered(store.runs(ours.tenant, &filter, page).await);
            assert!(runs.is_none_or(|runs| runs.iter().all(|run| run.run.tenant == ours.tenant)));
        }
        let cursor = LetterCursor { run: RunId(uuid::Uuid::max()), step: self.step() };
        for filter in [
            LetterFilter { workflow: Some(text.clone()), ..LetterFilter::default() },
            LetterFilter { node: Some(text.clone()), ..LetterFilter::default() },
            LetterFilter { code: Some(text.clone()), ..LetterFilter::default() },
        ] {
            let cursor = Some(cursor.clone());
            let letters = self.answered(store.letters(ours.tenant, &filter, cursor, 1_000).await);
            let named =
                |letter: &tombolo_core::ports::store::Letter| letter.workflow == ours.workflow;
            assert!(letters.is_none_or(|letters| letters.iter().all(named)));
        }
        let state = store.node_state(ours.tenant, ours.workflow, text, text).await;
        self.answered(state);
        let nobody = RunId(uuid::Uuid::max());
        let entry = audit(text);
        let step = self.step();
        let discarded = store.discard(ours.tenant, nobody, &step, text.clone(), entry).await;
        assert_ne!(self.answered(discarded), Some(true));
    }
}

#[tokio::test]
async fn are_texts_and_nothing_else() {
    let world = World::new().await;
    let (ours, theirs) = (world.owner("acme").await, world.owner("globex").await);
    everything::write(&world.store, &theirs).await;
    let before = rows_of(&world, theirs.tenant).await;
    let (calls, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let texts = texts(theirs.tenant);
    let count = texts.len();
    for text in texts {
        let asked = Asked { store: &world.store, ours, text, calls: &calls, refused: &refused };
        asked.names().await;
        asked.flow().await;
        if let Some(lease) = asked.run().await {
            asked.settled(&lease).await;
        }
        asked.read().await;
    }
    assert_eq!(rows_of(&world, theirs.tenant).await, before, "nothing of theirs has changed");
    let (calls, refused) = (calls.into_inner(), refused.into_inner());
    println!("isolation: {calls} calls with {count} texts, {refused} of them refused");
}

/// Everything of a tenant, table by table.
async fn rows_of(world: &World, tenant: TenantId) -> Vec<(String, Option<String>)> {
    let mut look = world.database.look().await.unwrap();
    let mut rows = Vec::new();
    for table in crate::catalogue::tables(&mut look).await {
        let (name, column) = (&table.name, table.tenant);
        let query = format!(
            "SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {name} t WHERE {column} = $1"
        );
        let all = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(tenant.0);
        rows.push((table.name, all.fetch_one(&mut look).await.unwrap()));
    }
    rows
}
