//! Parameters of notebooks, as papermill users know them: reading values from the command line and from files, and
//! writing them as code of the notebook's language.

mod arguments;
mod language;
mod number;
mod translation;
mod yaml;
mod yaml_scalar;

pub use arguments::{ParameterArguments, typed_value};
pub use language::Language;
