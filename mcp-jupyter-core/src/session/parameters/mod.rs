//! Parameters of notebooks, as papermill users know them: reading values from the command line and from files, writing
//! them as code of the notebook's language, and filling paths in with them.

mod arguments;
mod format_spec;
mod language;
mod number;
mod path_template;
mod translation;
mod yaml;
mod yaml_scalar;

pub use arguments::{ParameterArguments, typed_value};
pub use language::Language;
pub use path_template::{PathValues, fill_path};
