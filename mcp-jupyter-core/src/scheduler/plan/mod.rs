//! Plans: the smallest correct re-run.
//!
//! Every execution has a version, the digest of its source and of the versions of the names that it read; so has every
//! value. What a full run would give is computed cell by cell (`expect`); a cell is fresh where its last execution has the
//! version that is expected. What is stale is closed over three rules until nothing is added (`closure`):
//!
//! - *forward*: a cell whose expected version is not the recorded one, and one that keeps a reference to an object that is
//!   made anew;
//! - *restore*: a cell runs and a name that it reads is not live in the version that is expected: its last writer above;
//! - *clobber*: after all that, a name would not have the version that a full run leaves: its last writer.

mod answer;
mod closure;
mod expect;
mod forward;
mod reason;
mod scope;

pub(super) use self::closure::Closure;
pub(super) use self::expect::{execution_version, numbered, output_version, read_version};
pub(super) use self::forward::Memo;
