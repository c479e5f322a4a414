//! `tombolo store copy`: what the data folder's database has is brought to the one on the server.

use anyhow::{Result, bail, ensure};
use tombolo_store::{Begin, Copied, CopyProgress, copy};

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::database::Place;

/// Copies the file of the data folder to the database of the variable that the configuration names.
///
/// # Errors
/// If a server holds the folder, or one of the two databases is not what it has to be; the text says
/// what to do.
pub async fn copy_store(
    config: &Config,
    begin: Begin,
    progress: impl FnMut(CopyProgress),
) -> Result<Copied> {
    let Place::Server(url) = Place::of(config)? else {
        bail!(
            "the variable {} names no database to copy to; set it to the address of an empty \
             PostgreSQL database (postgres://..)",
            config.store.url_env
        );
    };
    let file = config.data.database();
    // Before the folder is held, which makes it.
    ensure!(
        config.data.dir.exists(),
        "there is no data folder {}; type this where the configuration of the server is that wrote it, \
         or name that with --config",
        config.data.dir.display()
    );
    let _held = DataDir::hold_for_copy(&config.data.dir)?;
    let to = config.store.postgres(&config.postgres, url);
    Ok(copy(&file, to, begin, progress).await?)
}
