use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::super::super::{InterruptMode, KernelError, KernelSpec};
use crate::model::{Json, JsonMap};

/// The provisioner that starts a kernel as a process of this machine, in the words of `jupyter_client`.
const LOCAL_PROVISIONER: &str = "local-provisioner";

/// The kernelspecs in a folder by name; none where the folder cannot be read. Of two whose names differ by case only,
/// the last in the order of bytes comes first.
pub(super) fn folders_in(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> = paths.filter(|path| path.join("kernel.json").is_file()).collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    paths
        .into_iter()
        .filter_map(|path| Some((name_of(&path)?, path)))
        .collect()
}

fn name_of(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_string_lossy().to_lowercase();
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !name.chars().all(valid) {
        tracing::warn!(
            folder = %folder.display(),
            "a kernelspec's name should consist of ASCII letters, digits, '-', '.' and '_'"
        );
    }
    Some(name)
}

/// Reads a kernelspec folder.
///
/// Fields that are absent are empty, as in `jupyter_client`; the command alone is required, for nothing can be done
/// without it.
pub(super) fn read(name: &str, folder: &Path) -> Result<KernelSpec, KernelError> {
    let file = folder.join("kernel.json");
    let bytes = fs::read(&file).map_err(|error| KernelError::io(format!("read {}", file.display()), error))?;
    parse(name, folder, &bytes).map_err(|reason| KernelError::InvalidKernelSpec { path: file, reason })
}

fn parse(name: &str, folder: &Path, bytes: &[u8]) -> Result<KernelSpec, String> {
    let json = Json::parse(bytes).map_err(|error| format!("is not JSON: {error}"))?;
    let fields = json
        .as_object()
        .ok_or_else(|| mismatch("the document", "an object", &json))?;
    let metadata = object(fields, "metadata")?;
    require_local(&metadata)?;
    Ok(KernelSpec {
        name: name.to_owned(),
        resource_dir: folder.to_owned(),
        argv: argv(fields)?,
        display_name: string(fields, "display_name")?,
        language: string(fields, "language")?,
        env: env(fields)?,
        interrupt_mode: interrupt_mode(fields)?,
        metadata,
    })
}

/// The kernelspec of an interpreter that has ipykernel. The encryption that ipykernel advertises is left out, because
/// it is not spoken here.
///
/// Source: `ipykernel.kernelspec.get_kernel_dict` (7.4).
pub(super) fn native(name: &str, python: &Path, resource_dir: PathBuf) -> KernelSpec {
    let python = python.to_string_lossy();
    let argv = [&*python, "-m", "ipykernel_launcher", "-f", "{connection_file}"];
    KernelSpec {
        name: name.to_owned(),
        resource_dir,
        argv: argv.map(str::to_owned).into(),
        display_name: "Python 3 (ipykernel)".to_owned(),
        language: "python".to_owned(),
        env: IndexMap::new(),
        interrupt_mode: InterruptMode::Signal,
        metadata: JsonMap::from([("debugger".to_owned(), Json::Bool(true))]),
    }
}

fn mismatch(what: &str, expected: &str, found: &Json) -> String {
    format!("{what} should be {expected}, but is {}", found.kind())
}

fn argv(fields: &JsonMap) -> Result<Vec<String>, String> {
    let expected = "a list of strings, the kernel's command";
    let value = fields
        .get("argv")
        .ok_or_else(|| format!("\"argv\" is missing; expected {expected}"))?;
    let arguments = value.as_array().ok_or_else(|| mismatch("\"argv\"", expected, value))?;
    if arguments.is_empty() {
        return Err(format!("\"argv\" is empty; expected {expected}"));
    }
    let texts = arguments.iter().map(|argument| text(argument, "an item of \"argv\""));
    texts.collect()
}

fn text(value: &Json, what: &str) -> Result<String, String> {
    value
        .as_str()
        .map(Cow::into_owned)
        .ok_or_else(|| mismatch(what, "a string", value))
}

fn string(fields: &JsonMap, key: &str) -> Result<String, String> {
    fields
        .get(key)
        .map_or(Ok(String::new()), |value| text(value, &format!("\"{key}\"")))
}

fn object(fields: &JsonMap, key: &str) -> Result<JsonMap, String> {
    let Some(value) = fields.get(key) else {
        return Ok(JsonMap::new());
    };
    let object = value.as_object().cloned();
    object.ok_or_else(|| mismatch(&format!("\"{key}\""), "an object", value))
}

fn env(fields: &JsonMap) -> Result<IndexMap<String, String>, String> {
    let variables = object(fields, "env")?.into_iter();
    variables
        .map(|(name, value)| {
            let value = text(&value, &format!("\"env.{name}\""))?;
            Ok((name, value))
        })
        .collect()
}

fn interrupt_mode(fields: &JsonMap) -> Result<InterruptMode, String> {
    let Some(value) = fields.get("interrupt_mode") else {
        return Ok(InterruptMode::Signal);
    };
    match text(value, "\"interrupt_mode\"")?.to_lowercase().as_str() {
        "signal" => Ok(InterruptMode::Signal),
        "message" => Ok(InterruptMode::Message),
        other => Err(format!(
            "\"interrupt_mode\" should be \"signal\" or \"message\", but is \"{other}\""
        )),
    }
}

fn require_local(metadata: &JsonMap) -> Result<(), String> {
    let provisioner = metadata
        .get("kernel_provisioner")
        .and_then(|value| value.get("provisioner_name"));
    match provisioner.and_then(Json::as_str) {
        Some(name) if !name.is_empty() && name != LOCAL_PROVISIONER => Err(format!(
            "needs the kernel provisioner \"{name}\"; only kernels that are local processes can be started"
        )),
        _ => Ok(()),
    }
}
