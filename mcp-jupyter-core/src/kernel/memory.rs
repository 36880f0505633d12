//! Kernels that answer from a script.
