//! What a test has logged. A test here runs on one thread.

use std::sync::Once;

use tracing::Level;

thread_local! {
    /// What this thread has logged. One subscriber serves all threads: with one for each, a line that
    /// another thread has passed first may be known as one that nobody wants.
    static LOGGED: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps what is logged from now on.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all = tracing_subscriber::fmt().with_max_level(Level::TRACE);
        let subscriber = all.with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");
    });
    LOGGED.with_borrow_mut(Vec::clear);
}

/// What this thread has logged since [`listen`].
pub fn text() -> String {
    LOGGED.with_borrow(|logged| String::from_utf8(logged.clone()).unwrap())
}
