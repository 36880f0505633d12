//! `mcp-jupyter assets`: what is in a store of large outputs, and what becomes of it.

mod content;
mod listing;
mod notebooks;
mod prune;
mod search;
mod url;
mod verify;

use std::sync::Arc;

use mcp_jupyter_core::assets::AssetStore;

use crate::args::{AssetsCommand, StoreArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::services;

/// Does what is asked with a store.
pub(crate) async fn assets(command: AssetsCommand) -> Result<Exit, CliError> {
    match command {
        AssetsCommand::List(args) => listing::list(args).await,
        AssetsCommand::Show(args) => listing::show(args).await,
        AssetsCommand::Usage(args) => listing::usage(args).await,
        AssetsCommand::Cat(args) => content::cat(args).await,
        AssetsCommand::Search(args) => search::search(args).await,
        AssetsCommand::Export(args) => content::export(args).await,
        AssetsCommand::Inline(args) => notebooks::inline(args).await,
        AssetsCommand::Offload(args) => notebooks::offload(args).await,
        AssetsCommand::Verify(args) => verify::verify(args).await,
        AssetsCommand::Prune(args) => prune::prune(args).await,
        AssetsCommand::Url(args) => url::url(&args),
        AssetsCommand::Serve(args) => super::serve_assets(args).await,
    }
}

/// The store that the arguments name.
async fn open(args: &StoreArgs) -> Result<Arc<dyn AssetStore>, CliError> {
    services::assets(&args.store, &args.connection).await
}
