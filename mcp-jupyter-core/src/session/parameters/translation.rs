//! Values as code of each language, as papermill 2.7 writes them.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::language::Language;
use super::number::float_repr;
use crate::model::{Json, JsonMap, Number};
use crate::session::SessionError;

impl Language {
    /// The code of the injected cell: a comment and one assignment for each parameter.
    ///
    /// Names are written as they are given; only R, where no name begins with `_`, drops that.
    ///
    /// ```
    /// use mcp_jupyter_core::model::JsonMap;
    /// use mcp_jupyter_core::session::parameters::Language;
    ///
    /// let parameters = JsonMap::from_iter([("alpha".to_owned(), 0.1.into())]);
    /// assert_eq!(Language::Julia.parameters_code(&parameters)?, "# Parameters\nalpha = 0.1\n");
    /// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
    /// ```
    ///
    /// # Errors
    /// [`SessionError::InvalidRequest`] where the language has no such value: a mapping in bash, null in C#.
    pub fn parameters_code(self, parameters: &JsonMap) -> Result<String, SessionError> {
        let mut code = format!("{}\n", self.comment("Parameters"));
        for (name, value) in parameters {
            let value = self.value(value).map_err(|missing| {
                SessionError::InvalidRequest(format!("parameter `{name}`: {self} has no code for {missing}"))
            })?;
            code += &self.assignment(name, &value);
            code.push('\n');
        }
        Ok(code)
    }

    fn comment(self, text: &str) -> String {
        match self {
            Self::Python | Self::R | Self::Julia | Self::Bash | Self::PowerShell => format!("# {text}"),
            Self::Scala | Self::CSharp => format!("// {text}"),
            Self::Matlab => format!("% {text}"),
            Self::FSharp => format!("(* {text} *)"),
        }
    }

    fn assignment(self, name: &str, value: &str) -> String {
        match self {
            Self::Python | Self::Julia => format!("{name} = {value}"),
            Self::R => format!("{} = {value}", name.trim_start_matches('_')),
            Self::Scala => format!("val {name} = {value}"),
            Self::Bash => format!("{name}={value}"),
            Self::Matlab => format!("{name} = {value};"),
            Self::CSharp => format!("var {name} = {value};"),
            Self::FSharp => format!("let {name} = {value}"),
            Self::PowerShell => format!("${name} = {value}"),
        }
    }

    /// The code of a value, or the kind of value that the language has no code for.
    fn value(self, value: &Json) -> Result<String, &'static str> {
        match value {
            Json::Null => self.null().map(str::to_owned),
            Json::Bool(value) => Ok(self.boolean(*value).to_owned()),
            Json::Number(number) if number.is_integer() => Ok(self.integer(number)),
            Json::Number(number) => Ok(self.float(number.as_f64())),
            Json::String(text) => Ok(self.string(&text.to_str())),
            Json::Array(items) => self.list(items),
            Json::Object(members) => self.mapping(members),
        }
    }

    fn null(self) -> Result<&'static str, &'static str> {
        match self {
            Self::Python | Self::Scala | Self::FSharp => Ok("None"),
            Self::R => Ok("NULL"),
            Self::Julia => Ok("nothing"),
            Self::Bash => Ok(""),
            Self::Matlab => Ok("NaN"),
            Self::PowerShell => Ok("$Null"),
            Self::CSharp => Err("null"),
        }
    }

    fn boolean(self, value: bool) -> &'static str {
        let (truth, falsehood) = match self {
            Self::Python => ("True", "False"),
            Self::R => ("TRUE", "FALSE"),
            Self::PowerShell => ("$True", "$False"),
            _ => ("true", "false"),
        };
        if value { truth } else { falsehood }
    }

    fn integer(self, number: &Number) -> String {
        let literal = number.to_string();
        let literal = if literal == "-0" { "0".to_owned() } else { literal };
        let long = number.as_i64().is_none_or(|value| i32::try_from(value).is_err()) && literal != "0";
        match self {
            Self::Scala | Self::CSharp | Self::FSharp if long => literal + "L",
            _ => literal,
        }
    }

    fn float(self, value: f64) -> String {
        let names = match self {
            Self::Python => ["float('nan')", "float('inf')", "float('-inf')"],
            Self::PowerShell => [
                "[double]::NaN",
                "[double]::PositiveInfinity",
                "[double]::NegativeInfinity",
            ],
            _ => return float_repr(value),
        };
        let [nan, infinity, negative_infinity] = names.map(str::to_owned);
        match value {
            f64::INFINITY => infinity,
            f64::NEG_INFINITY => negative_infinity,
            value if value.is_nan() => nan,
            value => float_repr(value),
        }
    }

    fn string(self, text: &str) -> String {
        let quote = match self {
            Self::Bash => return shell_quoted(text).into_owned(),
            Self::Matlab => "\"\"",
            Self::PowerShell => "`\"",
            _ => "\\\"",
        };
        format!("\"{}\"", unicode_escaped(text).replace('"', quote))
    }

    fn list(self, items: &[Json]) -> Result<String, &'static str> {
        let items: Vec<_> = items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
        let list = |separator: &str| items.join(separator);
        Ok(match self {
            Self::Python | Self::Julia => format!("[{}]", list(", ")),
            Self::R => format!("list({})", list(", ")),
            Self::Scala => format!("Seq({})", list(", ")),
            Self::Bash => format!("({})", list(" ")),
            Self::Matlab => format!("{{{}}}", list(", ")),
            Self::CSharp => format!("new [] {{ {} }}", list(", ")),
            Self::FSharp => format!("[ {} ]", list("; ")),
            Self::PowerShell => format!("@({})", list(", ")),
        })
    }

    fn mapping(self, members: &JsonMap) -> Result<String, &'static str> {
        if self == Self::Bash {
            return Err("a mapping");
        }
        if self == Self::Matlab {
            return self.matlab_map(members);
        }
        let members = members
            .iter()
            .map(|(key, value)| Ok(self.member(&self.string(key), &self.value(value)?)))
            .collect::<Result<Vec<_>, &str>>()?;
        let members = |separator: &str| members.join(separator);
        Ok(match self {
            Self::R => format!("list({})", members(", ")),
            Self::Scala => format!("Map({})", members(", ")),
            Self::Julia => format!("Dict({})", members(", ")),
            Self::CSharp => format!("new Dictionary<string,Object>{{ {} }}", members(", ")),
            Self::FSharp => format!("[ {} ] |> Map.ofList", members("; ")),
            Self::PowerShell => format!("@{{{}}}", members("\n ")),
            Self::Python | Self::Bash | Self::Matlab => format!("{{{}}}", members(", ")),
        })
    }

    fn member(self, key: &str, value: &str) -> String {
        match self {
            Self::R | Self::PowerShell => format!("{key} = {value}"),
            Self::Scala => format!("{key} -> {value}"),
            Self::Julia => format!("{key} => {value}"),
            Self::CSharp => format!("{{ {key} , {value} }}"),
            Self::FSharp => format!("({key}, {value} :> IComparable)"),
            Self::Python | Self::Bash | Self::Matlab => format!("{key}: {value}"),
        }
    }

    /// MATLAB takes the keys and the values apart.
    fn matlab_map(self, members: &JsonMap) -> Result<String, &'static str> {
        let key = |key: &String| format!("'{}'", unicode_escaped(key).replace('\'', "''"));
        let keys: Vec<_> = members.keys().map(key).collect();
        let values: Vec<_> = members
            .values()
            .map(|value| self.value(value))
            .collect::<Result<_, _>>()?;
        Ok(format!(
            "containers.Map({{{}}}, {{{}}})",
            keys.join(", "),
            values.join(", ")
        ))
    }
}

/// Python's `unicode_escape`: ASCII alone is left.
fn unicode_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let code = u32::from(character);
        let written = match character {
            '\\' => write!(escaped, "\\\\"),
            '\n' => write!(escaped, "\\n"),
            '\r' => write!(escaped, "\\r"),
            '\t' => write!(escaped, "\\t"),
            ' '..='~' => write!(escaped, "{character}"),
            _ if code <= 0xff => write!(escaped, "\\x{code:02x}"),
            _ if code <= 0xffff => write!(escaped, "\\u{code:04x}"),
            _ => write!(escaped, "\\U{code:08x}"),
        };
        written.expect("a string takes all that is written to it");
    }
    escaped
}

/// Python's `shlex.quote`.
fn shell_quoted(text: &str) -> Cow<'_, str> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !text.is_empty() && text.bytes().all(safe) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r#"'"'"'"#)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = r#"{"i": 3000000000, "s": "é\"\\\n'", "_l": [null, true, NaN], "d": {"k": -1.0}}"#;

    fn code(language: Language) -> String {
        let Json::Object(parameters) = Json::parse(VALUES.as_bytes()).unwrap() else {
            unreachable!("the text is an object");
        };
        language.parameters_code(&parameters).unwrap()
    }

    #[test]
    fn each_language_has_its_own_forms() {
        assert_eq!(
            code(Language::Python),
            "# Parameters\ni = 3000000000\ns = \"\\xe9\\\"\\\\\\n'\"\n_l = [None, True, float('nan')]\nd = {\"k\": -1.0}\n"
        );
        assert_eq!(
            code(Language::R),
            "# Parameters\ni = 3000000000\ns = \"\\xe9\\\"\\\\\\n'\"\nl = list(NULL, TRUE, nan)\nd = list(\"k\" = -1.0)\n"
        );
        assert_eq!(
            code(Language::Scala),
            "// Parameters\nval i = 3000000000L\nval s = \"\\xe9\\\"\\\\\\n'\"\nval _l = Seq(None, true, nan)\nval d = Map(\"k\" -> -1.0)\n"
        );
        assert_eq!(
            code(Language::Julia),
            "# Parameters\ni = 3000000000\ns = \"\\xe9\\\"\\\\\\n'\"\n_l = [nothing, true, nan]\nd = Dict(\"k\" => -1.0)\n"
        );
    }

    #[test]
    fn what_a_language_lacks_is_refused_by_name() {
        let refusal = |language: Language, value: &str| {
            let parameters = JsonMap::from_iter([("p".to_owned(), Json::parse(value.as_bytes()).unwrap())]);
            language.parameters_code(&parameters).unwrap_err().to_string()
        };
        assert_eq!(
            refusal(Language::Bash, "[{}]"),
            "parameter `p`: bash has no code for a mapping"
        );
        assert_eq!(
            refusal(Language::CSharp, "null"),
            "parameter `p`: .net-csharp has no code for null"
        );
    }

    #[test]
    fn bash_takes_texts_as_they_are() {
        let parameters = JsonMap::from_iter([
            ("a".to_owned(), "it's é\n".into()),
            ("b".to_owned(), "".into()),
            ("c".to_owned(), "a@b.c/d-e".into()),
            ("d".to_owned(), Json::Null),
            ("e".to_owned(), vec![Json::from(1_i64), "x y".into()].into()),
        ]);
        assert_eq!(
            Language::Bash.parameters_code(&parameters).unwrap(),
            "# Parameters\na='it'\"'\"'s é\n'\nb=''\nc=a@b.c/d-e\nd=\ne=(1 'x y')\n"
        );
    }
}
