//! `tombolo serve`: the arguments; the server itself is not the command line's business.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;

use super::Ending;
use crate::config::Config;
use crate::roles::{Role, Roles};

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Address and port to listen on, over what the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// What this process does; several with commas. Everything, if it is not given. Needs a database
    /// that other processes share.
    #[arg(long = "role", value_enum, value_delimiter = ',', value_name = "ROLE")]
    roles: Vec<Role>,
}

/// Serves until the process is asked to end.
pub(super) async fn run(args: ServeArgs, config: Option<&Path>) -> anyhow::Result<Ending> {
    let mut config = Config::load(config)?.config;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    crate::serve::serve(config, Roles::of(&args.roles)).await?;
    Ok(Ending::Fine)
}
