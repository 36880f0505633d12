//! Parameters of notebooks, as papermill users know them: reading values from the command line and from files.

mod arguments;
mod number;
mod yaml;
mod yaml_scalar;

pub use arguments::{ParameterArguments, typed_value};
