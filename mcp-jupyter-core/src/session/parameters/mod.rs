//! Parameters of notebooks, as papermill users know them: reading values from the command line and from files, writing
//! them as code of the notebook's language, injecting that code, and listing what a notebook takes.
//!
//! It runs nothing and knows no kernel. [`ParameterArguments`] turns arguments into values, [`Language`] turns values
//! into code, [`inspect_source`] reads the parameters cell, [`inject`] and [`inspect`] do this on a notebook.

mod arguments;
mod format_spec;
mod inject;
mod inspection;
mod language;
mod number;
mod path_template;
mod translation;
mod yaml;
mod yaml_scalar;

pub use arguments::{ParameterArguments, typed_value};
pub use inject::{
    InjectOptions, Injection, PapermillRecord, Placement, hide_sources, inject, inspect, record_papermill,
};
pub use inspection::{Parameter, inspect_source};
pub use language::Language;
pub use path_template::{PathValues, fill_path};
