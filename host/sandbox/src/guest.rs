//! What the host keeps for one instance: the store's data, its views for the interfaces, and what
//! changes from call to call.

use std::sync::Arc;

use tombolo_core::clock::Timestamp;
use tombolo_core::ports::egress::{Caller, Connection};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::clock::{ClockView, Time};
use crate::http::{Outgoing, Session};
use crate::limits::Limiter;
use crate::log::{LogSink, LogStream, Stream};
use crate::random::Random;
use crate::settings::SandboxSettings;
use crate::state::StateBuffer;

/// The data of one store.
pub(crate) struct Guest {
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) logs: LogSink,
    pub(crate) state: StateBuffer,
    pub(crate) outgoing: Outgoing,
    pub(crate) random: Random,
    pub(crate) call: Call,
    wasi: WasiCtx,
    http: WasiHttpCtx,
}

/// What is different for every call.
pub(crate) struct Call {
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) connection: Option<Arc<Connection>>,
    pub(crate) deadline: Timestamp,
    pub(crate) time: Time,
    /// Ticks of processor time left.
    pub(crate) ticks: u64,
}

/// What a new call brings along.
pub(crate) struct Setup {
    pub(crate) call: Call,
    pub(crate) random: Random,
    pub(crate) state: StateBuffer,
    pub(crate) session: Option<Session>,
    pub(crate) memory_bytes: usize,
}

impl Guest {
    pub(crate) fn new(settings: &SandboxSettings, setup: Setup) -> Self {
        let logs = LogSink::new(settings.log);
        let mut table = ResourceTable::new();
        table.set_max_capacity(settings.call.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(settings.http.header_bytes);
        // No files, environment, arguments, standard input or sockets: the builder's default.
        let wasi = WasiCtxBuilder::new()
            .stdout(LogStream { sink: logs.clone(), stream: Stream::Out })
            .stderr(LogStream { sink: logs.clone(), stream: Stream::Err })
            .build();
        Self {
            table,
            limiter: Limiter::new(setup.memory_bytes, settings.call.table_elements),
            outgoing: Outgoing::new(settings.http, logs.clone(), setup.session),
            logs,
            state: setup.state,
            random: setup.random,
            call: setup.call,
            wasi,
            http,
        }
    }

    /// Makes a kept instance ready for its next call.
    pub(crate) fn next_call(&mut self, settings: &SandboxSettings, setup: Setup) {
        self.limiter.next_call(setup.memory_bytes);
        self.outgoing = Outgoing::new(settings.http, self.logs.clone(), setup.session);
        self.state = setup.state;
        self.random = setup.random;
        self.call = setup.call;
    }

    /// Something of the caller; empty where there is none, as in `describe`.
    pub(crate) fn caller<T: Default>(&self, f: impl FnOnce(&Caller) -> T) -> T {
        self.call.caller.as_deref().map(f).unwrap_or_default()
    }

    pub(crate) fn clocks(&mut self) -> ClockView<'_> {
        ClockView {
            time: self.call.time,
            real: WasiClocksCtxView { ctx: self.wasi.clocks(), table: &mut self.table },
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}
