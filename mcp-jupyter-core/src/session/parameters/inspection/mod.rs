//! What parameters a notebook takes, read from the source of its parameters cell.
//!
//! Papermill does this line by line with a regular expression, for Python alone. Here the source is split into
//! statements first ([`statements`]), so that values of several lines, `=` and `#` in texts, and five languages work.

mod assignments;
mod literal;
mod quoted;
mod statements;

use super::language::Language;

/// A parameter that a notebook takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name of the variable.
    pub name: String,
    /// The type that the source states, by an annotation or by a comment `# type: …`.
    pub declared_type: Option<String>,
    /// The type of the default value, where that is a literal, in the language's words.
    pub literal_type: Option<&'static str>,
    /// The source of the default value, on one line unless a text in it has several; without comments.
    pub default: String,
    /// The comment behind the value; empty where there is none.
    pub help: String,
}

impl Parameter {
    /// The declared type, else that of the default value.
    pub fn type_name(&self) -> Option<&str> {
        self.declared_type.as_deref().or(self.literal_type)
    }
}

/// The parameters that the source of a parameters cell assigns at top level, in their order.
///
/// Assignments to attributes, items or several names at once are left out, as are those within `if` and the like.
/// For languages other than Python, R, Julia, Scala and Bash there are none.
///
/// ```
/// use mcp_jupyter_core::session::parameters::{Language, inspect_source};
///
/// let parameters = inspect_source(Language::Python, "regions: list[str] = [\n    'north',  # the first\n]  # to plot");
/// assert_eq!(parameters[0].name, "regions");
/// assert_eq!(parameters[0].type_name(), Some("list[str]"));
/// assert_eq!(parameters[0].default, "['north',]");
/// assert_eq!(parameters[0].help, "to plot");
/// ```
pub fn inspect_source(language: Language, source: &str) -> Vec<Parameter> {
    statements::split(language, source)
        .into_iter()
        .filter(|statement| !statement.indented)
        .flat_map(|statement| assignments::parameters(language, &statement))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `name: type = default # help`, one a line.
    fn listed(language: Language, source: &str) -> String {
        let line = |parameter: &Parameter| {
            let Parameter {
                name, default, help, ..
            } = parameter;
            let help = if help.is_empty() {
                String::new()
            } else {
                format!(" # {help}")
            };
            format!("{name}: {} = {default}{help}\n", parameter.type_name().unwrap_or("?"))
        };
        inspect_source(language, source).iter().map(line).collect()
    }

    #[test]
    fn python() {
        let source = r#"%%time
import os; debug = False
# a comment
!echo "it's [
url = "https://x.org/#a=b"  # where = from
t: "Optional[int]" = None
u = 1.5  # type: float the rate
m = {
    "a": 1,  # first

    # nothing
    "b": dict(k=2),
}  # a mapping
text = """line # 1
= line 2"""
long = 1 + \
    2
a = b = -3
x, y = 1, 2
self.z = 1
n += 1
n == 2
declared: int
if debug:
    inner = 5
else: other = 6
f = lambda q=1: q
é = 'ü'
s = ("a"
     "b")
c: Literal["p=q", ';'] = 'p=q'; d = [1][0]
"#;
        assert_eq!(
            listed(Language::Python, source),
            r#"debug: bool = False
url: str = "https://x.org/#a=b" # where = from
t: Optional[int] = None
u: float = 1.5 # the rate
m: dict = {"a": 1,"b": dict(k=2),} # a mapping
text: str = """line # 1
= line 2"""
long: ? = 1 + 2
a: int = -3
b: int = -3
f: ? = lambda q=1: q
é: str = 'ü'
s: ? = ("a" "b")
c: Literal["p=q", ';'] = 'p=q'
d: ? = [1][0]
"#
        );
    }

    #[test]
    fn r() {
        let source = "alpha <- 0.5 # the rate\nn = 5L\nname <<- 'a # b'\nv <- c(1,\n  2)\nraw <- r\"(a\"b)\"\n\
                      `odd name` <- TRUE\nf <- function(x = 1) {\n  y <- 2\n  y\n}\nx$y <- 1\nn == 1\nz <- NULL; w = \"\"\n``= 1\n";
        assert_eq!(
            listed(Language::R, source),
            "alpha: numeric = 0.5 # the rate\nn: integer = 5L\nname: character = 'a # b'\nv: ? = c(1,2)\n\
             raw: character = r\"(a\"b)\"\nodd name: logical = TRUE\nf: ? = function(x = 1) {y <- 2 y}\n\
             z: NULL = NULL\nw: character = \"\"\n"
        );
    }

    #[test]
    fn julia() {
        let source = "const alpha::Float64 = 0.5 # the rate\nb = A'; c = 'x'\ns = \"a # \\\" b\"\n#= block\nz = 1\n=#\n\
                      v = [1,\n 2]\nd = Dict(\"a\" => 1)\nf(x) = x\nfunction g()\n  y = 2\nend\nn = nothing\na == 1\n";
        assert_eq!(
            listed(Language::Julia, source),
            "alpha: Float64 = 0.5 # the rate\nb: ? = A'\nc: Char = 'x'\ns: String = \"a # \\\" b\"\n\
             v: Vector = [1,2]\nd: ? = Dict(\"a\" => 1)\nn: Nothing = nothing\n"
        );
    }

    #[test]
    fn scala() {
        let source = "val alpha: Double = 0.5 // the rate\nvar n = 5L;\nlazy val s = \"a // b\" /* text */\n\
                      val c = 'x'\nval m = Map(\n  \"a\" -> 1, // one\n  \"b\" -> 2)\ndef f(x: Int) = x\nx = 3\n\
                      val (a, b) = (1, 2)\nval big = 3000000000L\nval t = \"\"\"a\nb\"\"\"\n";
        assert_eq!(
            listed(Language::Scala, source),
            "alpha: Double = 0.5 # the rate\nn: Long = 5L\ns: String = \"a // b\" # text\nc: Char = 'x'\n\
             m: ? = Map(\"a\" -> 1,\"b\" -> 2)\nbig: Long = 3000000000L\nt: String = \"\"\"a\nb\"\"\"\n"
        );
    }

    #[test]
    fn bash() {
        let source = "a=1 # the count\nexport B='x # y' C=${D#pre}\ndeclare -i n=3; e=\nf=(a \"b c\"\n  d)\nLANG=C ls\n\
                      g = 1\nh+=1\ni=$(date +%s)\nj=x#y\nif true; then\n  k=1\nfi\necho l=1\n";
        assert_eq!(
            listed(Language::Bash, source),
            "a: string = 1 # the count\nB: string = 'x # y'\nC: string = ${D#pre}\nn: string = 3\ne: string = \n\
             f: array = (a \"b c\" d)\ni: string = $(date +%s)\nj: string = x#y\n"
        );
    }

    #[test]
    fn a_language_that_is_not_read_has_none() {
        assert_eq!(inspect_source(Language::Matlab, "x = 1;"), []);
    }

    proptest! {
        #[test]
        fn any_source_is_read(source in "(?s).{0,80}|[a-c= \n\r#:\"'`(\\[{}\\])\\\\;$%/*<r-]{0,60}") {
            for language in [Language::Python, Language::R, Language::Julia, Language::Scala, Language::Bash] {
                for parameter in inspect_source(language, &source) {
                    prop_assert!(!parameter.name.is_empty());
                }
            }
        }
    }
}
