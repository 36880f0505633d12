//! Kernels as processes of this machine.
