//! Kernels as processes of this machine.

#[allow(
    dead_code,
    unused_imports,
    reason = "the commands are for the processes, which come next"
)]
mod kernelspecs;

pub use kernelspecs::KernelSpecs;
