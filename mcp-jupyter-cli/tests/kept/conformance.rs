use std::sync::Arc;

use mcp_jupyter_core::kernel::kept::KeptProvisioner;
use mcp_jupyter_core::kernel::local::LocalProvisioner;

use crate::keeper;
use crate::processes::{Processes, run};
use crate::support::python;

/// The cases that every kernel backend has to pass, on kernels behind a keeper.
fn kept(name: &str) {
    let Some(python) = python() else { return };
    let root = tempfile::tempdir().unwrap();
    let local = LocalProvisioner::new().with_python(&python);
    let provisioner = KeptProvisioner::new(local.clone(), keeper(), root.path().join("kernels"));
    let listing = provisioner.clone();
    run(name, &Processes::new(python, local, Arc::new(provisioner)));
    while !listing.list().unwrap().is_empty() {
        std::thread::yield_now();
    }
}

macro_rules! tests {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            kept(stringify!($name));
        })*
    };
}
crate::processes::with_every_case!(tests);
