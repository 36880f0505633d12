//! Notebooks and their sessions.
//!
//! [`notebook`] is the document: reading, checking, changing and writing `.ipynb` files without losing anything;
//! [`parameters`] are injected into it. A *session* is a notebook's file bound to a kernel: a [`SessionStore`] keeps which
//! is bound to which, and the results that are on their way into the file. It talks to no kernel.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod edit;
mod error;
mod keeping;
#[cfg(feature = "sqlite")]
mod local;
mod memory;
pub mod notebook;
pub mod parameters;
mod pending;
mod place;
mod recent;
mod store;
mod types;

pub use error::SessionError;
#[cfg(feature = "sqlite")]
pub use local::{HistoryLimits, LocalSessions};
pub use memory::MemorySessions;

pub use store::SessionStore;
pub use types::{
    CellResult, Edited, ExecutionEnd, HistoryQuery, KernelBinding, RestoreFrom, Restored, Saved, SessionRecord,
    Snapshot, SnapshotInfo, Version,
};
