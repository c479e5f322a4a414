//! The sections that belong to no other crate. Every value has a default, a unit and bounds; what
//! they mean is said once, in `tombolo.default.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tombolo_store::{Bounds, SqliteSettings};

use crate::listen;

/// The section `[server]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The address that others call, if it is not `http://<listen>`.
    pub public_url: Option<String>,
    /// Largest body of a request.
    pub body_limit_bytes: usize,
    /// Connections of clients at a time.
    pub connections: usize,
    /// How long a client may take for the head of a request.
    pub head_timeout_ms: u64,
    /// How long requests and runs under way may take to finish when the process is asked to end.
    pub drain_timeout_ms: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8686)),
            public_url: None,
            body_limit_bytes: 16 * 1024 * 1024,
            connections: 10_000,
            head_timeout_ms: 30_000,
            drain_timeout_ms: 10_000,
        }
    }
}

impl ServerSettings {
    /// The address that others call, without a slash at the end. Webhook senders that sign the
    /// address sign this one.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    /// What clients may take.
    pub fn connection_bounds(&self) -> listen::Bounds {
        listen::Bounds {
            connections: self.connections,
            head_timeout: Duration::from_millis(self.head_timeout_ms),
        }
    }

    /// How long ending may take.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

/// The section `[data]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// The folder of everything that Tombolo keeps.
    pub dir: PathBuf,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { dir: PathBuf::from("tombolo-data") }
    }
}

impl DataSettings {
    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.dir.join("tombolo.db")
    }

    /// The folder of compiled components. May be deleted while the server is down.
    pub fn components(&self) -> PathBuf {
        self.dir.join("components")
    }

    /// Where the first start leaves a token with every scope, for commands on the same machine.
    pub fn admin_token(&self) -> PathBuf {
        self.dir.join("admin.token")
    }
}

/// The section `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// The variable that holds the address of a PostgreSQL database; if it is set, no file is made.
    pub url_env: String,
    /// How durable a commit is.
    pub synchronous: Synchronous,
    /// Writes that may wait.
    pub queue_writes: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// Rows in one transaction.
    pub batch_rows: usize,
    /// Bytes in one transaction.
    pub batch_bytes: usize,
    /// Connections that read beside the writer.
    pub readers: u32,
    /// How long a query waits for a free reader.
    pub reader_timeout_ms: u64,
    /// How long to wait for another process that writes the file.
    pub busy_timeout_ms: u64,
    /// Page size of a new file.
    pub page_bytes: u32,
    /// Page cache of each connection.
    pub cache_kib: u32,
    /// How much of the file is mapped into memory.
    pub mmap_bytes: u64,
    /// Pages in the write-ahead log after which it is copied into the file.
    pub checkpoint_pages: u32,
    /// What the write-ahead log keeps on disk between checkpoints.
    pub journal_bytes: u64,
    /// What the file may grow to; 0 for as much as the disk has.
    pub max_file_bytes: u64,
}

/// How durable a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synchronous {
    /// Survives a power cut.
    Full,
    /// The last commits may be lost in a power cut.
    Normal,
}

impl Default for StoreSettings {
    fn default() -> Self {
        let store = SqliteSettings::default();
        Self {
            url_env: "DATABASE_URL".to_owned(),
            synchronous: match store.synchronous {
                tombolo_store::Synchronous::Full => Synchronous::Full,
                tombolo_store::Synchronous::Normal => Synchronous::Normal,
            },
            queue_writes: store.bounds.waiting,
            queue_bytes: store.bounds.waiting_bytes,
            batch_rows: store.bounds.batch_rows,
            batch_bytes: store.bounds.batch_bytes,
            readers: store.readers,
            reader_timeout_ms: milliseconds(store.reader_timeout),
            busy_timeout_ms: milliseconds(store.busy_timeout),
            page_bytes: store.page_bytes,
            cache_kib: store.cache_kib,
            mmap_bytes: store.mmap_bytes,
            checkpoint_pages: store.checkpoint_pages,
            journal_bytes: store.journal_bytes,
            max_file_bytes: store.max_file_bytes.unwrap_or(0),
        }
    }
}

impl StoreSettings {
    /// As the store takes them.
    pub fn sqlite(&self) -> SqliteSettings {
        SqliteSettings {
            synchronous: match self.synchronous {
                Synchronous::Full => tombolo_store::Synchronous::Full,
                Synchronous::Normal => tombolo_store::Synchronous::Normal,
            },
            bounds: self.bounds(),
            readers: self.readers,
            reader_timeout: Duration::from_millis(self.reader_timeout_ms),
            busy_timeout: Duration::from_millis(self.busy_timeout_ms),
            page_bytes: self.page_bytes,
            cache_kib: self.cache_kib,
            mmap_bytes: self.mmap_bytes,
            checkpoint_pages: self.checkpoint_pages,
            journal_bytes: self.journal_bytes,
            max_file_bytes: Some(self.max_file_bytes).filter(|bytes| *bytes > 0),
        }
    }

    /// The same for a server.
    pub fn postgres(
        &self,
        server: &PostgresSettings,
        url: String,
    ) -> tombolo_store::PostgresSettings {
        tombolo_store::PostgresSettings {
            url,
            bounds: self.bounds(),
            writers: server.writers,
            connections: server.connections,
            connect_timeout: Duration::from_millis(server.connect_timeout_ms),
            lock_timeout: Duration::from_millis(server.lock_timeout_ms),
            statement_timeout: Duration::from_millis(server.statement_timeout_ms),
            idle_in_transaction_timeout: Duration::from_millis(
                server.idle_in_transaction_timeout_ms,
            ),
            remembers_connections_for: Duration::from_millis(server.remember_connections_ms),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            waiting: self.queue_writes,
            waiting_bytes: self.queue_bytes,
            batch_rows: self.batch_rows,
            batch_bytes: self.batch_bytes,
        }
    }
}

/// The section `[postgres]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresSettings {
    /// Transactions of results that are under way at the same time.
    pub writers: usize,
    /// Connections of this process.
    pub connections: u32,
    /// How long a connection may take, and a query wait for one.
    pub connect_timeout_ms: u64,
    /// How long a statement waits for a lock.
    pub lock_timeout_ms: u64,
    /// How long a statement may take.
    pub statement_timeout_ms: u64,
    /// How long the server keeps the locks of a process that is cut off.
    pub idle_in_transaction_timeout_ms: u64,
    /// How long a connection to a system is taken to be as it was read.
    pub remember_connections_ms: u64,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        let store = tombolo_store::PostgresSettings::new("");
        Self {
            writers: store.writers,
            connections: store.connections,
            connect_timeout_ms: milliseconds(store.connect_timeout),
            lock_timeout_ms: milliseconds(store.lock_timeout),
            statement_timeout_ms: milliseconds(store.statement_timeout),
            idle_in_transaction_timeout_ms: milliseconds(store.idle_in_transaction_timeout),
            remember_connections_ms: milliseconds(store.remembers_connections_for),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The section `[engine]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Runs that this process works on at once.
    pub concurrent_runs: usize,
    /// How long a claimed run belongs to this process without a sign of life.
    pub lease_seconds: u64,
    /// How often the queue is looked at when nothing else wakes the engine.
    pub poll_ms: u64,
    /// Runs that are taken with one look.
    pub claim_batch: usize,
    /// How often a run may end its worker before it is failed.
    pub max_claims: u32,
    /// How often old runs are looked for.
    pub housekeeping_seconds: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            concurrent_runs: 256,
            lease_seconds: 30,
            poll_ms: 500,
            claim_batch: 64,
            max_claims: 5,
            housekeeping_seconds: 60,
        }
    }
}

/// The section `[alerts]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertSettings {
    /// Where people are told. None: nowhere.
    pub url: Option<String>,
    /// How long the same is not told again while it grows.
    pub repeat_seconds: u64,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self { url: None, repeat_seconds: 300 }
    }
}

/// The section `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// The file of the key that signs checkpoints, if it is not `audit.key` in the data folder.
    pub key_file: Option<PathBuf>,
    /// The file of checkpoints, if it is not `audit-checkpoints.jsonl` in the data folder.
    pub checkpoint_file: Option<PathBuf>,
    /// Where checkpoints are sent, too. None: nowhere.
    pub checkpoint_url: Option<String>,
    /// New entries after which a checkpoint is signed.
    pub checkpoint_entries: u64,
    /// How long after the last checkpoint a new entry is signed at the latest.
    pub checkpoint_seconds: u64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            key_file: None,
            checkpoint_file: None,
            checkpoint_url: None,
            checkpoint_entries: 256,
            checkpoint_seconds: 60,
        }
    }
}

impl AuditSettings {
    /// The file of the key that signs.
    pub fn key_file(&self, data: &DataSettings) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| data.dir.join("audit.key"))
    }

    /// The file of checkpoints.
    pub fn file(&self, data: &DataSettings) -> PathBuf {
        let usual = || data.dir.join("audit-checkpoints.jsonl");
        self.checkpoint_file.clone().unwrap_or_else(usual)
    }
}

/// The section `[vault]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultSettings {
    /// The file of the master key, if it is not `vault.key` in the data folder.
    pub key_file: Option<PathBuf>,
    /// The variable that holds the master key; if it is set, no file is read or made.
    pub key_env: String,
    /// Ids of master keys that are lost for good: secrets under them do not stop the start.
    pub lost_keys: Vec<String>,
}

impl Default for VaultSettings {
    fn default() -> Self {
        Self { key_file: None, key_env: "TOMBOLO_MASTER_KEY".to_owned(), lost_keys: Vec::new() }
    }
}

impl VaultSettings {
    /// The file of the master key.
    pub fn key_file(&self, data: &DataSettings) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| data.dir.join("vault.key"))
    }
}

/// The section `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// How a line is written.
    pub format: LogFormat,
    /// Which lines are written.
    pub level: String,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}
