//! The two services, as programs of their own under every shell.

mod away;
mod deploying;
mod faults;
mod operation;
mod pages;
mod process;
mod protection;
mod proxy;
mod public;
mod replicas;
mod shells;
