//! A server in a folder of its own, which ends with the process that started it, however that ends.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Gid, Uid, User};
use tempfile::TempDir;

/// Users that may run the server for root, which it refuses to run for.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stops the server when its input ends, which is the end of whoever started it, and removes the
/// folder. Told to, it crashes the server and leaves the folder.
const KEEPER: &str = r#"
folder=$1
shift
"$@" &
server=$!
read -r word
if [ "$word" = crash ]; then
    kill -QUIT "$server"
    wait "$server"
else
    kill -INT "$server"
    wait "$server"
    rm -rf "$folder"
fi
"#;

/// How durable the server's commits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// As they are delivered: for faults and benchmarks.
    Yes,
    /// Not over a power cut, which tests that only stop processes never see.
    No,
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    port: u16,
    durable: Durable,
    keeper: Child,
}

impl Server {
    /// Makes a cluster in a temporary folder and starts it on a free port of this machine.
    ///
    /// # Errors
    /// If `initdb` and `postgres` are not on PATH, or do not start.
    pub fn start(durable: Durable) -> Result<Self> {
        let (folder, owner) = (folder(owner()?)?, owner()?);
        initdb(&folder.path().join("data"), owner)?;
        Self::start_in(folder, durable, owner)
    }

    /// Starts a standby that follows this server, on a port of its own.
    ///
    /// # Errors
    /// If `pg_basebackup` is not on PATH, or the copy does not start.
    pub fn start_standby(&self) -> Result<Self> {
        let (folder, owner) = (folder(owner()?)?, owner()?);
        let mut command = command("pg_basebackup", owner);
        command.args(["--host=127.0.0.1", "--username=postgres", "--checkpoint=fast", "--no-sync"]);
        command.args(["--wal-method=stream", "--write-recovery-conf"]);
        command.arg(format!("--port={}", self.port)).arg("--pgdata");
        done(command.arg(folder.path().join("data")))?;
        Self::start_in(folder, self.durable, owner)
    }

    /// Makes a standby the server that takes writes.
    ///
    /// # Errors
    /// If it is none.
    pub fn promote(&self) -> Result<()> {
        let mut command = command("pg_ctl", owner()?);
        done(command.args(["promote", "--wait", "--pgdata"]).arg(self.data()))
    }

    fn start_in(folder: TempDir, durable: Durable, owner: Option<(Uid, Gid)>) -> Result<Self> {
        let port = free_port()?;
        let keeper = start(&folder.path().join("data"), port, durable, owner)?;
        let server = Self { folder, port, durable, keeper };
        server.wait_until_it_answers()?;
        Ok(server)
    }

    /// Stops it at once, as if it had crashed, and starts it again on the same port.
    ///
    /// # Errors
    /// If it does not stop or does not start.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.crash()?;
        self.restart()
    }

    /// Ends all its processes as a crash would: nothing is written any more.
    ///
    /// # Errors
    /// If it is not there.
    pub fn crash(&mut self) -> Result<()> {
        let mut input = self.keeper.stdin.take().context("it has crashed already")?;
        input.write_all(b"crash\n")?;
        self.keeper.wait()?;
        Ok(())
    }

    /// Starts it again, after [`Server::crash`].
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.keeper = start(&self.data(), self.port, self.durable, owner()?)?;
        self.wait_until_it_answers()
    }

    /// The process of the server itself.
    ///
    /// # Errors
    /// If it is not there.
    pub fn pid(&self) -> Result<u32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid"))?;
        Ok(file.lines().next().context("postmaster.pid is empty")?.parse()?)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database, for the superuser.
    pub fn admin_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// What the server has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.data().join("server.log")
    }

    /// It opens its port before it lets anybody in, so this asks for a session.
    fn wait_until_it_answers(&self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if answers(self.port) {
                return Ok(());
            }
        }
        bail!("PostgreSQL does not answer on port {}:\n{}", self.port, self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends with this, and the keeper stops the server.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Sends a startup packet, and is told whether the server takes sessions.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let mut packet = (8 + parameters.len() as u32).to_be_bytes().to_vec();
    packet.extend(196_608_u32.to_be_bytes());
    packet.extend(parameters);
    let mut first = [0];
    let sent = stream.write_all(&packet);
    // R: authentication goes on. E: it is starting up still.
    sent.is_ok() && matches!(stream.read(&mut first), Ok(1)) && first[0] == b'R'
}

/// Who runs the server; None for whoever runs the tests.
fn owner() -> Result<Option<(Uid, Gid)>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in USERS {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some((user.uid, user.gid)));
        }
    }
    bail!("PostgreSQL does not run as root, and there is no user of {USERS:?}")
}

/// A folder for a cluster.
fn folder(owner: Option<(Uid, Gid)>) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("tombolo-postgres-").tempdir()?;
    if let Some((user, group)) = owner {
        chown(folder.path(), Some(user.as_raw()), Some(group.as_raw()))?;
    }
    Ok(folder)
}

fn initdb(data: &Path, owner: Option<(Uid, Gid)>) -> Result<()> {
    let mut command = command("initdb", owner);
    command.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"]);
    done(command.args(["--no-locale", "--pgdata"]).arg(data))
}

/// Runs a program of PostgreSQL to its end.
fn done(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            anyhow::anyhow!("{name} is not on PATH: install PostgreSQL, or set TEST_DATABASE_URL")
        }
        _ => error.into(),
    })?;
    ensure!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn start(data: &Path, port: u16, durable: Durable, owner: Option<(Uid, Gid)>) -> Result<Child> {
    let log = fs::File::options().create(true).append(true).open(data.join("server.log"))?;
    let mut command = command("sh", owner);
    let folder = data.parent().context("the cluster is in a folder of its own")?;
    command.args(["-c", KEEPER, "sh"]).arg(folder).args(["postgres", "-D"]).arg(data);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "unix_socket_directories="]);
    command.args(["-c", "max_connections=200"]);
    if durable == Durable::No {
        command.args(["-c", "fsync=off"]);
    }
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("starting PostgreSQL")
}

fn command(program: &str, owner: Option<(Uid, Gid)>) -> Command {
    let mut command = Command::new(program);
    // The server refuses to start where its user may not look.
    command.current_dir("/");
    if let Some((user, group)) = owner {
        command.uid(user.as_raw()).gid(group.as_raw());
    }
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
