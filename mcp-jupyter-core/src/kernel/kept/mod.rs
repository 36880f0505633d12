//! Kernels that outlive whoever has started them.
//!
//! Each has a *keeper*: a small process that is the kernel's parent and its only client, records all that it says, and
//! serves any number of clients, one after another or at the same time, on a Unix socket that only the user can open.
//! [`KeptProvisioner`] starts kernels with their keepers and reaches them again later; [`keep`] is what the keeper's
//! program does. A [`KeptKernel`] lives on without its client once [`KeptKernel::keep`] was called.

mod carrier;
mod home;
mod keeper;
mod kernel;
mod link;
mod packet;
mod program;
mod provisioner;
mod reading;
mod replay;
mod spool;
mod usage;

pub use keeper::keep;
pub use kernel::KeptKernel;
pub use program::KeeperProgram;
pub use provisioner::{KeptProvisioner, KeptRecord};
pub use usage::Usage;
