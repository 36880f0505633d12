use std::fmt;

use crate::session::SessionError;

/// The languages that parameters can be written in, as papermill has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// Python, also in Spark's `pysparkkernel`.
    Python,
    /// R, also in Spark's `sparkrkernel`.
    R,
    /// Scala, also in Spark's `sparkkernel`.
    Scala,
    /// Julia.
    Julia,
    /// Bash.
    Bash,
    /// MATLAB.
    Matlab,
    /// C# of .NET Interactive.
    CSharp,
    /// F# of .NET Interactive.
    FSharp,
    /// PowerShell of .NET Interactive.
    PowerShell,
}

/// The names that kernels and notebooks give to languages.
const NAMES: [(&str, Language); 12] = [
    ("python", Language::Python),
    ("R", Language::R),
    ("scala", Language::Scala),
    ("julia", Language::Julia),
    ("bash", Language::Bash),
    ("matlab", Language::Matlab),
    (".net-csharp", Language::CSharp),
    (".net-fsharp", Language::FSharp),
    (".net-powershell", Language::PowerShell),
    ("pysparkkernel", Language::Python),
    ("sparkkernel", Language::Scala),
    ("sparkrkernel", Language::R),
];

impl Language {
    /// The language of a kernel: by the kernel's name where that says it, else by the name of its language
    /// (`language_info.name` of the notebook, or what the kernelspec says), in which case does not matter.
    ///
    /// # Errors
    /// [`SessionError::InvalidRequest`], which lists the languages, where it is none of them.
    pub fn find(kernel_name: &str, language: &str) -> Result<Self, SessionError> {
        let by_kernel = NAMES.iter().find(|(name, _)| *name == kernel_name);
        let by_language = || NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(language));
        by_kernel.or_else(by_language).map(|(_, found)| *found).ok_or_else(|| {
            let names = NAMES.map(|(name, _)| name).join(", ");
            SessionError::InvalidRequest(format!(
                "parameters cannot be written for the kernel `{kernel_name}` with the language `{language}`: expected \
                 one of {names}"
            ))
        })
    }

    /// The name by which notebooks call it.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, language)| *language == self)
            .map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_kernel_goes_before_its_language() {
        assert_eq!(Language::find("sparkrkernel", "python").unwrap(), Language::R);
        assert_eq!(Language::find("python3", "python").unwrap(), Language::Python);
        assert_eq!(Language::find("ir", "r").unwrap(), Language::R);
        assert_eq!(
            Language::find("deno", "typescript").unwrap_err().to_string(),
            "parameters cannot be written for the kernel `deno` with the language `typescript`: expected one of \
             python, R, scala, julia, bash, matlab, .net-csharp, .net-fsharp, .net-powershell, pysparkkernel, \
             sparkkernel, sparkrkernel"
        );
    }
}
