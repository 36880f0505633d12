//! The subcommands, one file and one function each.

mod assets;
mod completions;
mod doctor;
mod graph;
mod inspect;
mod keep;
mod kernels;
mod papermill;
mod plan;
mod run;
mod watch;

pub(crate) use assets::assets;
pub(crate) use completions::completions;
pub(crate) use doctor::doctor;
pub(crate) use graph::graph;
pub(crate) use inspect::inspect;
pub(crate) use keep::keep;
pub(crate) use kernels::kernels;
pub(crate) use papermill::papermill;
pub(crate) use plan::plan;
pub(crate) use run::run;
pub(crate) use watch::watch;
