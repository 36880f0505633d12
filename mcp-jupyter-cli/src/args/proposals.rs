use clap::{Args, Subcommand};

use super::sessions::StateArgs;

/// List, show, accept and reject the edits that agents propose
///
/// An agent proposes edits by `notebook_edit` with `propose`: nothing is edited until a person accepts them. Accepting is
/// refused where a cell that they are about has another source by then.
#[derive(Debug, Args)]
pub(crate) struct ProposalsArgs {
    #[command(subcommand)]
    pub(crate) command: ProposalsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProposalsCommand {
    /// List those that are open
    List(ListProposalsArgs),
    /// Show what one changes, and whether it still can
    Show(ProposalArgs),
    /// Edit the notebook as it says
    Accept(ProposalArgs),
    /// Throw it away
    Reject(ProposalArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListProposalsArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProposalArgs {
    /// The proposal's id, or a unique start of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
