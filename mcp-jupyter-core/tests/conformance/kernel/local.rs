use std::path::PathBuf;
use std::sync::Arc;

use mcp_jupyter_core::kernel::local::{LocalProvisioner, Transport};

use super::processes::Processes;
use crate::support::python;

fn local(python: PathBuf, transport: Transport) -> Processes {
    let provisioner = LocalProvisioner::new().with_python(&python).with_transport(transport);
    Processes::new(python, provisioner.clone(), Arc::new(provisioner))
}

macro_rules! tests {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            if let Some(python) = python() {
                super::run(stringify!($name), &local(python, Transport::Ipc));
            }
        })*
    };
}
super::with_every_case!(tests);

/// Over TCP the same code runs above the sockets; these are the cases that differ in the sockets' addresses and
/// closing, and in how a start is noticed.
mod tcp {
    use super::{Transport, local};
    use crate::support::python;

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                if let Some(python) = python() {
                    super::super::run(stringify!($name), &local(python, Transport::Tcp));
                }
            })*
        };
    }
    tests! { execution_ok, slow_reader, input_answered, launch_that_dies, launch_that_hangs, restart_loses_names, death_by_exit, }
}
