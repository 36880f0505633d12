//! The tools, one file each.

mod arguments;
mod assets;
mod complete;
mod edits;
mod environments;
mod execute_code;
mod input_reply;
mod kernel_interrupt;
mod kernel_list;
mod kernel_restart;
mod kernel_start;
mod kernel_stop;
mod looking;
mod notebook_create;
mod notebook_edit;
mod notebook_history;
mod notebook_list;
mod notebook_read;
mod notebook_search;
mod notebook_validate;
mod package_install;
mod plan;
mod proposing;
mod query;
mod run;
mod run_cancel;
mod run_status;
mod server_info;
mod variables;
mod waiting;

use super::tool::Entry;
use crate::error::CliError;

pub(super) use arguments::until;
pub(super) use notebook_list::notebooks;
pub(super) use notebook_read::{Arguments as Wanted, show as show_notebook};
pub(super) use proposing::{accept as accept_proposal, reject as reject_proposal};
pub(super) use run_status::status_of;
pub(super) use variables::names as variable_names;

/// All of them, in the order in which an agent meets them.
pub(super) const ALL: [Entry; 29] = [
    Entry::of::<notebook_list::NotebookList>(),
    Entry::of::<notebook_create::NotebookCreate>(),
    Entry::of::<notebook_read::NotebookRead>(),
    Entry::of::<notebook_edit::NotebookEdit>(),
    Entry::of::<notebook_search::NotebookSearch>(),
    Entry::of::<notebook_history::NotebookHistory>(),
    Entry::of::<notebook_validate::NotebookValidate>(),
    Entry::of::<run::RunTool>(),
    Entry::of::<run::EditAndRun>(),
    Entry::of::<run_status::RunStatus>(),
    Entry::of::<run_cancel::RunCancel>(),
    Entry::of::<plan::PlanTool>(),
    Entry::of::<execute_code::ExecuteCode>(),
    Entry::of::<input_reply::InputReply>(),
    Entry::of::<kernel_list::KernelList>(),
    Entry::of::<kernel_start::KernelStart>(),
    Entry::of::<kernel_restart::KernelRestart>(),
    Entry::of::<kernel_interrupt::KernelInterrupt>(),
    Entry::of::<kernel_stop::KernelStop>(),
    Entry::of::<environments::EnvironmentList>(),
    Entry::of::<package_install::PackageInstall>(),
    Entry::of::<variables::VariableList>(),
    Entry::of::<variables::VariableInspect>(),
    Entry::of::<complete::Complete>(),
    Entry::of::<complete::Documentation>(),
    Entry::of::<query::Query>(),
    Entry::of::<assets::AssetRead>(),
    Entry::of::<assets::AssetList>(),
    Entry::of::<server_info::ServerInfo>(),
];

/// Refuses names of tools that do not exist.
pub(super) fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), CliError> {
    for name in names {
        if !ALL.iter().any(|entry| entry.name == name) {
            let known: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
            return Err(CliError::usage(format!(
                "there is no tool {name}; the tools are {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}
