//! The two services, as programs of their own under every shell.

mod faults;
mod operation;
mod process;
mod protection;
mod proxy;
mod public;
mod shells;
