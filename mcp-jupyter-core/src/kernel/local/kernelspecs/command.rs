use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::super::LaunchRequest;

/// The command to start, and the variables to add to this process's environment for it.
///
/// `{connection_file}`, `{resource_dir}` and `{cwd}` are filled in, `$NAME` and `${NAME}` in the spec's variables refer
/// to our environment and the request's; what is unknown stays as it is. The request's variables win over the spec's.
///
/// Source: `KernelManager.format_kernel_cmd` and `KernelProvisionerBase.pre_launch` of `jupyter_client`.
pub(in super::super) fn command(
    request: &LaunchRequest,
    connection_file: &Path,
) -> (Vec<String>, BTreeMap<String, String>) {
    let ours = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    (argv(request, connection_file), variables(request, ours))
}

fn argv(request: &LaunchRequest, connection_file: &Path) -> Vec<String> {
    // Some kernels resolve the path in a folder of their own, or after a change of folder.
    let connection_file = fs::canonicalize(connection_file).unwrap_or_else(|_| connection_file.to_owned());
    let value = |name: &str| match name {
        "connection_file" => Some(connection_file.to_string_lossy().into_owned()),
        "resource_dir" => Some(request.spec.resource_dir.to_string_lossy().into_owned()),
        "cwd" => Some(request.cwd.as_ref()?.to_string_lossy().into_owned()),
        _ => None,
    };
    let arguments = request.spec.argv.iter().chain(&request.extra_arguments);
    arguments.map(|argument| fill_template(argument, value)).collect()
}

fn variables(request: &LaunchRequest, ours: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let value = |name: &str| request.env.get(name).cloned().or_else(|| ours(name));
    let spec = request.spec.env.iter();
    let mut variables: BTreeMap<_, _> = spec
        .map(|(name, template)| (name.clone(), expand_variables(template, value)))
        .collect();
    variables.extend(request.env.clone());
    variables
}

/// Replaces each `{name}` that has a value.
pub(super) fn fill_template(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from_brace) = rest.split_at(start);
        filled.push_str(before);
        let name_length = word_length(&from_brace[1..]);
        let closed = name_length > 0 && from_brace[1 + name_length..].starts_with('}');
        let end = if closed { name_length + 2 } else { 1 };
        let (place, after) = from_brace.split_at(end);
        match closed.then(|| value(&place[1..end - 1])).flatten() {
            Some(value) => filled.push_str(&value),
            None => filled.push_str(place),
        }
        rest = after;
    }
    filled + rest
}

/// Replaces each `$name` and `${name}` that has a value, and `$$` by `$`.
///
/// Source: `string.Template.safe_substitute` of Python.
fn expand_variables(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(start);
        expanded.push_str(before);
        let (place, replacement) = placeholder(from_dollar, &value);
        expanded.push_str(replacement.as_deref().unwrap_or(place));
        rest = &from_dollar[place.len()..];
    }
    expanded + rest
}

/// The placeholder at the start of the text, and what replaces it.
fn placeholder(text: &str, value: impl Fn(&str) -> Option<String>) -> (&str, Option<String>) {
    let after = &text[1..];
    if after.starts_with('$') {
        return (&text[..2], Some("$".to_owned()));
    }
    if let Some(inner) = after.strip_prefix('{') {
        let length = identifier_length(inner);
        let closed = length > 0 && inner[length..].starts_with('}');
        return if closed {
            (&text[..length + 3], value(&inner[..length]))
        } else {
            (&text[..1], None)
        };
    }
    match identifier_length(after) {
        0 => (&text[..1], None),
        length => (&text[..=length], value(&after[..length])),
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn identifier_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        0
    } else {
        word_length(text)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::kernel_json;
    use super::*;

    fn request() -> LaunchRequest {
        let mut spec = kernel_json::native("test", Path::new("/opt/python"), PathBuf::from("/specs/test"));
        spec.argv
            .extend(["--logo={resource_dir}/logo.png", "{unknown}", "{}", "{a b}", "{"].map(str::to_owned));
        LaunchRequest::new(spec)
    }

    #[test]
    fn the_template_is_filled_and_unknown_names_stay() {
        let mut request = request();
        request.extra_arguments.push("--home={cwd}".to_owned());
        let expected = [
            "/opt/python",
            "-m",
            "ipykernel_launcher",
            "-f",
            "/run/none/k.json",
            "--logo=/specs/test/logo.png",
            "{unknown}",
            "{}",
            "{a b}",
            "{",
        ];
        let filled = argv(&request, Path::new("/run/none/k.json"));
        assert_eq!(filled[..10], expected);
        assert_eq!(filled[10], "--home={cwd}");
        request.cwd = Some(PathBuf::from("/data"));
        assert_eq!(argv(&request, Path::new("/run/none/k.json"))[10], "--home=/data");
    }

    #[test]
    fn a_value_is_not_a_template_again() {
        let mut request = request();
        request.spec.resource_dir = PathBuf::from("/specs/{connection_file}");
        let filled = argv(&request, Path::new("k.json"));
        assert_eq!(filled[5], "--logo=/specs/{connection_file}/logo.png");
    }

    #[test]
    fn the_connection_file_is_its_real_path() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("kernel.json");
        fs::write(&real, "{}").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(argv(&request(), &link)[4], real.to_str().unwrap());
    }

    #[test]
    fn variables_are_expanded_as_by_string_template() {
        let ours = |name: &str| (name == "HOME").then(|| "/home/ada".to_owned());
        for (template, expected) in [
            ("${HOME}/lib", "/home/ada/lib"),
            ("$HOME/lib", "/home/ada/lib"),
            ("$HOMES", "$HOMES"),
            ("${MISSING}:${HOME}", "${MISSING}:/home/ada"),
            ("$$HOME", "$HOME"),
            ("$", "$"),
            ("5$ and $1", "5$ and $1"),
            ("${HOME", "${HOME"),
            ("${}", "${}"),
            ("é$HOME→", "é/home/ada→"),
        ] {
            assert_eq!(expand_variables(template, ours), expected, "{template}");
        }
    }

    #[test]
    fn the_requests_variables_are_seen_by_the_spec_and_win() {
        let mut request = request();
        let spec = [("LIB", "${ROOT}/lib"), ("MODE", "spec")];
        request.spec.env = spec.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let own = [("ROOT", "/mine"), ("MODE", "request")];
        request.env = own.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let expanded = variables(&request, |_| Some("/ours".to_owned()));
        let expected = [("LIB", "/mine/lib"), ("MODE", "request"), ("ROOT", "/mine")];
        assert_eq!(
            expanded,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        );
    }
}
