//! Parameters of notebooks.
