use jiff::civil::DateTime;
use jiff::fmt::strtime;

use super::format_spec::FormatSpec;
use super::number::float_repr;
use crate::model::{Json, JsonMap};
use crate::session::SessionError;

/// What `{pm[…]}` stands for in a path, besides the parameters.
#[derive(Clone, Debug)]
pub struct PathValues {
    /// `{pm[run_uuid]}`
    pub run_uuid: String,
    /// `{pm[current_datetime_local]}`
    pub local_time: DateTime,
    /// `{pm[current_datetime_utc]}`
    pub utc_time: DateTime,
}

/// Fills a path such as `out/{region}-{year:04d}.ipynb` in, as papermill does with Python's `str.format`: parameters by
/// name, items of lists and mappings (`{regions[0]}`), format specifications, `{{` and `}}` for braces.
///
/// A date and time takes a specification of `strftime`: `{pm[current_datetime_utc]:%Y%m%d}`.
///
/// ```
/// use mcp_jupyter_core::session::parameters::{ParameterArguments, PathValues, fill_path};
///
/// let arguments = ParameterArguments { yaml: vec!["{region: north, year: 7}".to_owned()], ..Default::default() };
/// let values = PathValues { run_uuid: "3f2a".to_owned(), local_time: Default::default(), utc_time: Default::default() };
/// let path = fill_path("{region}-{year:04d}-{pm[run_uuid]}.ipynb", &arguments.read()?, &values)?;
/// assert_eq!(path, "north-0007-3f2a.ipynb");
/// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
/// ```
///
/// # Errors
/// [`SessionError::InvalidRequest`] for a parameter that is not given, a brace without its partner, a format that does
/// not fit the value, and what `str.format` offers beyond this (attributes, conversions, grouping).
pub fn fill_path(template: &str, parameters: &JsonMap, values: &PathValues) -> Result<String, SessionError> {
    let filled = fill(template, &Scope { parameters, values });
    filled.map_err(|reason| SessionError::InvalidRequest(format!("path `{template}`: {reason}")))
}

struct Scope<'a> {
    parameters: &'a JsonMap,
    values: &'a PathValues,
}

/// What a field of a template can stand for.
enum Value<'a> {
    Json(&'a Json),
    RunUuid(&'a str),
    Time { time: DateTime, utc: bool },
}

fn fill(template: &str, scope: &Scope<'_>) -> Result<String, String> {
    let mut path = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        path.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            path.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{");
        let end = end.ok_or_else(|| format!("`{brace}` has no partner: write `{brace}{brace}` for a brace"))?;
        path.push_str(&field(&rest[..end], scope)?);
        rest = &rest[end + 1..];
    }
    path.push_str(rest);
    Ok(path)
}

/// `name[index]…:spec`
fn field(field: &str, scope: &Scope<'_>) -> Result<String, String> {
    let (reference, spec) = split_spec(field);
    if reference.contains('!') || spec.contains('{') {
        return Err(format!(
            "`{{{field}}}` is not supported: expected a name such as `{{x}}` or `{{x:03d}}`"
        ));
    }
    let (name, indices) = reference.split_at(reference.find(['[', '.']).unwrap_or(reference.len()));
    let value = match scope.parameters.get(name) {
        Some(value) => item(value, name, indices)?,
        None if name == "pm" => scope.values.builtin(indices)?,
        None => return Err(scope.missing(name)),
    };
    value
        .formatted(spec)
        .map_err(|reason| format!("`{{{field}}}`: {reason}"))
}

/// Splits at the colon; one in an index belongs to the key.
fn split_spec(field: &str) -> (&str, &str) {
    let mut in_index = false;
    for (at, character) in field.char_indices() {
        match character {
            '[' => in_index = true,
            ']' => in_index = false,
            ':' if !in_index => return (&field[..at], &field[at + 1..]),
            _ => {}
        }
    }
    (field, "")
}

/// Follows `[a][0]…` into a value.
fn item<'a>(value: &'a Json, name: &str, indices: &str) -> Result<Value<'a>, String> {
    let mut value = value;
    let mut rest = indices;
    while !rest.is_empty() {
        let (index, after) = take_index(rest)?;
        let found = match value {
            Json::Array(items) => index.parse().ok().and_then(|index: usize| items.get(index)),
            Json::Object(members) => members.get(index),
            _ => None,
        };
        value = found.ok_or_else(|| format!("the parameter `{name}` has no `[{index}]`: it is {}", value.kind()))?;
        rest = after;
    }
    Ok(Value::Json(value))
}

fn take_index(text: &str) -> Result<(&str, &str), String> {
    text.strip_prefix('[')
        .and_then(|text| text.split_once(']'))
        .ok_or_else(|| format!("`{text}` is not supported after a name: expected an index such as `[0]` or `[key]`"))
}

impl Scope<'_> {
    fn missing(&self, name: &str) -> String {
        let names: Vec<_> = self.parameters.keys().map(String::as_str).collect();
        match names.as_slice() {
            [] => format!("there is no parameter `{name}`: none is given"),
            names => format!("there is no parameter `{name}`: given are {}", names.join(", ")),
        }
    }
}

impl PathValues {
    fn builtin(&self, indices: &str) -> Result<Value<'_>, String> {
        match indices {
            "[run_uuid]" => Ok(Value::RunUuid(&self.run_uuid)),
            "[current_datetime_local]" => Ok(Value::Time {
                time: self.local_time,
                utc: false,
            }),
            "[current_datetime_utc]" => Ok(Value::Time {
                time: self.utc_time,
                utc: true,
            }),
            _ => Err(format!(
                "there is no `pm{indices}`: expected pm[run_uuid], pm[current_datetime_local] or pm[current_datetime_utc]"
            )),
        }
    }
}

impl Value<'_> {
    fn formatted(&self, spec: &str) -> Result<String, String> {
        match self {
            Self::Time { time, utc } => formatted_time(*time, *utc, spec),
            Self::RunUuid(text) => FormatSpec::parse(spec)?.text(text),
            Self::Json(value) => formatted_json(value, spec),
        }
    }
}

fn formatted_json(value: &Json, spec: &str) -> Result<String, String> {
    if let Json::Array(_) | Json::Object(_) = value {
        return Err(format!("it is {}: name one item of it, as in `{{x[0]}}`", value.kind()));
    }
    if spec.is_empty() {
        return Ok(python_text(value));
    }
    let spec = FormatSpec::parse(spec)?;
    match value {
        Json::String(text) => spec.text(&text.to_str()),
        Json::Bool(value) => spec.integer(i64::from(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(value) => spec.integer(value),
            None if number.is_integer() => Err("the integer is too long for a format".to_owned()),
            None => spec.float(number.as_f64()),
        },
        _ => Err(format!("{} takes no format", value.kind())),
    }
}

/// Python's `str` of a scalar.
fn python_text(value: &Json) -> String {
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Number(number) if !number.is_integer() => float_repr(number.as_f64()),
        Json::String(text) => text.to_str().into_owned(),
        other => other.to_string(),
    }
}

fn formatted_time(time: DateTime, utc: bool, spec: &str) -> Result<String, String> {
    if spec.is_empty() {
        let fraction = if time.subsec_nanosecond() < 1000 { "" } else { ".%f" };
        let offset = if utc { "+00:00" } else { "" };
        return formatted_time(time, utc, &format!("%Y-%m-%d %H:%M:%S{fraction}{offset}"));
    }
    // Python's `%f` is always six digits.
    let spec = spec.replace("%f", &format!("{:06}", time.subsec_nanosecond() / 1000));
    let offset = |name: &str| if utc { name } else { "" }.to_owned();
    let spec = spec.replace("%z", &offset("+0000")).replace("%Z", &offset("UTC"));
    strtime::format(&spec, time).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(template: &str) -> Result<String, String> {
        let parameters = Json::parse(
            br#"{"x": 7, "f": 0.5, "s": "a b", "none": null, "yes": true, "big": 1e16, "l": [1, {"k:y": "v"}]}"#,
        );
        let Ok(Json::Object(parameters)) = parameters else {
            unreachable!("the text is an object");
        };
        let values = PathValues {
            run_uuid: "u".to_owned(),
            local_time: jiff::civil::date(2024, 2, 3).at(4, 5, 6, 7_008_000),
            utc_time: jiff::civil::date(2024, 2, 3).at(3, 5, 6, 0),
        };
        fill_path(template, &parameters, &values).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_are_filled_as_str_format_does() {
        for (template, expected) in [
            ("plain.ipynb", "plain.ipynb"),
            ("{x}-{x:03d}-{f:.2f}-{s:>5}", "7-007-0.50-  a b"),
            ("{none}{yes}{yes:d}{big}", "NoneTrue11e+16"),
            ("{{x}}{l[0]}{l[1][k:y]}", "{x}1v"),
            ("{pm[run_uuid]}", "u"),
            ("{pm[current_datetime_local]}", "2024-02-03 04:05:06.007008"),
            ("{pm[current_datetime_utc]}", "2024-02-03 03:05:06+00:00"),
            (
                "{pm[current_datetime_utc]:%Y%m%dT%H%M%S.%f%z}",
                "20240203T030506.000000+0000",
            ),
        ] {
            assert_eq!(path(template).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_named() {
        for (template, expected) in [
            (
                "{y}",
                "path `{y}`: there is no parameter `y`: given are x, f, s, none, yes, big, l",
            ),
            ("{x", "path `{x`: `{` has no partner: write `{{` for a brace"),
            ("x}", "path `x}`: `}` has no partner: write `}}` for a brace"),
            (
                "{l}",
                "path `{l}`: `{l}`: it is an array: name one item of it, as in `{x[0]}`",
            ),
            (
                "{l[9]}",
                "path `{l[9]}`: the parameter `l` has no `[9]`: it is an array",
            ),
            (
                "{x!r}",
                "path `{x!r}`: `{x!r}` is not supported: expected a name such as `{x}` or `{x:03d}`",
            ),
            ("{s:d}", "path `{s:d}`: `{s:d}`: this format is not for texts"),
        ] {
            assert_eq!(path(template).unwrap_err(), expected);
        }
        assert!(path("{x.real}").unwrap_err().contains("is not supported after a name"));
        assert!(path("{pm[x]}").unwrap_err().contains("there is no `pm[x]`"));
    }
}
