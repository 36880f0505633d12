use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::number::{json_float, json_number, parse_float, parse_int};
use super::yaml;
use crate::model::{Json, JsonMap};
use crate::session::SessionError;

/// Parameters as they are given on a command line, by way of giving; [`ParameterArguments::read`] makes values of
/// them.
///
/// ```
/// use mcp_jupyter_core::session::parameters::ParameterArguments;
///
/// let arguments = ParameterArguments {
///     yaml: vec!["{alpha: 0.1, rounds: 3}".to_owned()],
///     typed: vec![("rounds".to_owned(), "5".to_owned())],
///     ..ParameterArguments::default()
/// };
/// let parameters = arguments.read()?;
/// assert_eq!(parameters["alpha"].to_string(), "0.1");
/// assert_eq!(parameters["rounds"].to_string(), "5");
/// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ParameterArguments {
    /// Values that anything below overrides, such as the notebook's paths.
    pub defaults: JsonMap,
    /// `-b`: base64 of YAML.
    pub base64: Vec<String>,
    /// `-f`: files of YAML or JSON.
    pub files: Vec<PathBuf>,
    /// `-y`: YAML.
    pub yaml: Vec<String>,
    /// `-p`: name and value, see [`typed_value`].
    pub typed: Vec<(String, String)>,
    /// `-r`: name and text, taken as it is.
    pub raw: Vec<(String, String)>,
}

impl ParameterArguments {
    /// The values, in papermill's order of precedence: what stands later in the struct, or later in one of its lists,
    /// overrides what stands before, and keeps its place.
    ///
    /// # Errors
    /// [`SessionError::NotFound`] or [`SessionError::Io`] for a file that cannot be read,
    /// [`SessionError::InvalidRequest`] for what is no base64, no YAML or no mapping.
    pub fn read(&self) -> Result<JsonMap, SessionError> {
        let mut parameters = self.defaults.clone();
        for text in &self.base64 {
            parameters.extend(from_base64(text)?);
        }
        for path in &self.files {
            parameters.extend(from_file(path)?);
        }
        for text in &self.yaml {
            parameters.extend(from_yaml("the YAML of parameters", text)?);
        }
        for (name, text) in &self.typed {
            parameters.insert(name.clone(), typed_value(text));
        }
        for (name, text) in &self.raw {
            parameters.insert(name.clone(), Json::from(text.as_str()));
        }
        Ok(parameters)
    }
}

/// The value of an argument by papermill's rule: `True`, `False`, `None`, what Python's `int` or else `float` takes,
/// and anything else is a text.
///
/// ```
/// use mcp_jupyter_core::session::parameters::typed_value;
///
/// assert_eq!(typed_value("1_000").to_string(), "1000");
/// assert_eq!(typed_value("inf").to_string(), "Infinity");
/// assert_eq!(typed_value("true").to_string(), r#""true""#);
/// ```
pub fn typed_value(text: &str) -> Json {
    match text {
        "True" => return true.into(),
        "False" => return false.into(),
        "None" => return Json::Null,
        _ => {}
    }
    if let Some(literal) = parse_int(text) {
        return json_number(&literal);
    }
    parse_float(text).map_or_else(|| text.into(), json_float)
}

/// White space in it and missing padding do no harm.
fn from_base64(text: &str) -> Result<JsonMap, SessionError> {
    let refuse = |reason: String| SessionError::InvalidRequest(format!("the base64 of parameters: {reason}"));
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let compact: String = text.split_whitespace().collect();
    let yaml = GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(compact)
        .map_err(|error| refuse(error.to_string().to_lowercase().trim_end_matches('.').to_owned()))?;
    let yaml = String::from_utf8(yaml).map_err(|error| refuse(not_utf8(error.utf8_error())))?;
    from_yaml("the base64 of parameters", &yaml)
}

/// A `.json` file is read as JSON, so that its `1e3` is a number, unless it is none: papermill reads YAML there.
fn from_file(path: &Path) -> Result<JsonMap, SessionError> {
    let content = std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => SessionError::NotFound { path: path.to_owned() },
        _ => SessionError::Io {
            action: format!("read the parameters in {}", path.display()),
            source,
        },
    })?;
    let origin = path.display().to_string();
    if path.extension().is_some_and(|extension| extension == "json")
        && let Ok(document) = Json::parse(&content)
    {
        return mapping(&origin, document);
    }
    let text = String::from_utf8(content)
        .map_err(|error| SessionError::InvalidRequest(format!("{origin}: {}", not_utf8(error.utf8_error()))))?;
    from_yaml(&origin, &text)
}

fn not_utf8(error: std::str::Utf8Error) -> String {
    format!("not UTF-8 at byte {}", error.valid_up_to())
}

/// JSON is YAML but for such things as surrogate pairs in escapes, which programs that write JSON may use.
fn from_yaml(origin: &str, text: &str) -> Result<JsonMap, SessionError> {
    let document = yaml::parse(text)
        .or_else(|error| Json::parse(text.as_bytes()).map_err(|_| error))
        .map_err(|error| SessionError::InvalidRequest(format!("{origin}: not readable as YAML: {error}")))?;
    mapping(origin, document)
}

fn mapping(origin: &str, document: Json) -> Result<JsonMap, SessionError> {
    match document {
        Json::Null => Ok(JsonMap::new()),
        Json::Object(parameters) => Ok(parameters),
        other => Err(SessionError::InvalidRequest(format!(
            "{origin}: expected a mapping of names to values, such as `alpha: 0.1`, found {}",
            other.kind()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn later_ways_of_giving_override_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parameters.yaml");
        std::fs::write(&path, "{c: file, d: file, e: file, f: file}").unwrap();
        let arguments = ParameterArguments {
            defaults: JsonMap::from_iter([("a".to_owned(), "default".into()), ("b".to_owned(), "default".into())]),
            // {b: base64, c: base64, d: base64, e: base64, f: base64}
            base64: vec!["e2I6IGJhc2U2NCwgYzogYmFzZTY0LCBkOiBiYXNlNjQs\nIGU6IGJhc2U2NCwgZjogYmFzZTY0fQ".to_owned()],
            files: vec![path],
            yaml: vec!["{d: no, e: no, f: no}".to_owned(), "{d: yes}".to_owned()],
            typed: vec![pair("e", "1"), pair("e", "True"), pair("f", "2")],
            raw: vec![pair("f", "2")],
        };
        let read = Json::from(arguments.read().unwrap()).to_string();
        assert_eq!(
            read,
            r#"{"a":"default","b":"base64","c":"file","d":true,"e":true,"f":"2"}"#
        );
    }

    #[test]
    fn a_json_file_is_read_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parameters.json");
        let read = |content: &str| {
            std::fs::write(&path, content).unwrap();
            from_file(&path).map(|parameters| Json::from(parameters).to_string())
        };
        assert_eq!(
            read(r#"{"a": 1e3, "b": "\ud83d\ude00"}"#).unwrap(),
            r#"{"a":1e3,"b":"😀"}"#
        );
        assert_eq!(read("{a: 1} # loose").unwrap(), r#"{"a":1}"#);
        assert_eq!(read("").unwrap(), "{}");
        let escaped = from_yaml("here", r#"{"a": 1e3, "b": "\ud83d\ude00"}"#).unwrap();
        assert_eq!(Json::from(escaped).to_string(), r#"{"a":1e3,"b":"😀"}"#);
        let message = read("[1]").unwrap_err().to_string();
        assert!(message.ends_with("expected a mapping of names to values, such as `alpha: 0.1`, found an array"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let one = |base64: &str, file: &str, yaml: &str| {
            let list = |text: &str| if text.is_empty() { vec![] } else { vec![text.to_owned()] };
            ParameterArguments {
                base64: list(base64),
                files: list(file).into_iter().map(PathBuf::from).collect(),
                yaml: list(yaml),
                ..ParameterArguments::default()
            }
            .read()
            .unwrap_err()
        };
        assert!(
            one("?", "", "")
                .to_string()
                .starts_with("the base64 of parameters: invalid")
        );
        assert!(matches!(one("", "/nowhere/p.yaml", ""), SessionError::NotFound { .. }));
        assert!(matches!(one("", "/", ""), SessionError::Io { .. }));
        assert!(
            one("", "", "a: [")
                .to_string()
                .starts_with("the YAML of parameters: not readable as YAML: ")
        );
    }
}
