//! The subcommands, one file and one function each.

mod assets;
mod completions;
mod doctor;
mod graph;
mod history;
mod inspect;
mod interrupt;
mod keep;
mod kernels;
mod papermill;
mod plan;
mod run;
mod run_status;
mod sessions;
mod start;
mod stop;
mod sync;
mod watch;

pub(crate) use assets::{assets, open as open_assets};
pub(crate) use completions::completions;
pub(crate) use doctor::doctor;
pub(crate) use graph::graph;
pub(crate) use history::{diff, diff_texts, history, restore};
pub(crate) use inspect::inspect;
pub(crate) use interrupt::{interrupt, restart};
pub(crate) use keep::keep;
pub(crate) use kernels::kernels;
pub(crate) use papermill::papermill;
pub(crate) use plan::plan;
pub(crate) use run::{cwd, run, transport};
pub(crate) use run_status::run_status;
pub(crate) use sessions::sessions;
pub(crate) use start::start;
pub(crate) use stop::stop;
pub(crate) use sync::sync;
pub(crate) use watch::watch;
