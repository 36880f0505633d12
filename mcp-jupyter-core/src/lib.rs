//! Run Jupyter notebooks on real kernels.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod model;
