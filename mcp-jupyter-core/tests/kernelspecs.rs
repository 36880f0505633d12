//! Kernelspec discovery against that of the `jupyter_client` that is installed, in the same environment.

#![cfg(feature = "local")]

mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_jupyter_core::kernel::KernelSpec;
use mcp_jupyter_core::kernel::local::KernelSpecs;
use mcp_jupyter_core::model::Json;
use tempfile::TempDir;

/// Prints what `jupyter_client` finds, with the commands that it would start.
const ORACLE: &str = r"
import json, logging, sys
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

logging.disable(logging.CRITICAL)
specs = KernelSpecManager()
found = {}
for name, entry in specs.get_all_specs().items():
    manager = KernelManager(kernel_name=name, connection_file='/run/connection.json')
    manager._launch_args = {}
    spec = entry['spec']
    found[name] = {
        'command': manager.format_kernel_cmd(),
        'resource_dir': entry['resource_dir'],
        'display_name': spec['display_name'],
        'language': spec['language'],
        'interrupt_mode': spec['interrupt_mode'],
        'env': spec['env'],
        'metadata': spec['metadata'],
    }
print(json.dumps({'path': specs.kernel_dirs, 'specs': found}))
";

/// A temporary home, and a clean environment that has only it.
struct Scene {
    root: TempDir,
    python: PathBuf,
    variables: BTreeMap<String, OsString>,
}

impl Scene {
    fn new() -> Option<Self> {
        let python = support::python()?;
        let root = TempDir::new().expect("a temporary folder");
        fs::create_dir(root.path().join("home")).expect("a home folder");
        let mut scene = Self {
            root,
            python,
            variables: BTreeMap::new(),
        };
        scene.set("HOME", scene.path("home"));
        scene.set("PATH", "/usr/bin:/bin");
        Some(scene)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().expect("it exists").join(name)
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    fn install(&self, data: &str, name: &str, kernel_json: &str) {
        let folder = self.path(data).join("kernels").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("kernel.json"), kernel_json).expect("a file");
    }

    fn python_says(&self, python: &Path, code: &str) -> String {
        let mut command = Command::new(python);
        command
            .args(["-W", "ignore", "-c", code])
            .env_clear()
            .envs(&self.variables);
        let output = command.output().expect("Python starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    /// Compares what is found when `python` is the chosen interpreter and when it is what the environment points to.
    fn compare(&self, chosen: Option<&Path>, oracle: &Path) {
        let answer = Json::parse(self.python_says(oracle, ORACLE).as_bytes()).expect("JSON");
        let specs = KernelSpecs::with_environment(chosen, self.variables.clone());
        let path = specs
            .search_path()
            .into_iter()
            .map(|folder| Json::from(folder.to_str().expect("UTF-8")));
        assert_eq!(Some(&Json::Array(path.collect())), answer.get("path"));
        let expected = answer.get("specs").and_then(Json::as_object).expect("an object");
        let found: BTreeMap<_, _> = specs
            .all()
            .iter()
            .map(|spec| (spec.name.clone(), described(spec)))
            .collect();
        let expected = expected.iter().map(|(name, spec)| (name.clone(), spec.clone()));
        assert_eq!(found, expected.collect());
        for (name, description) in found {
            assert_eq!(
                described(&specs.get(&name.to_uppercase()).expect("it exists")),
                description
            );
        }
    }

    fn compare_chosen(&self) {
        self.compare(Some(&self.python), &self.python);
    }
}

/// A kernelspec in the words of the oracle.
fn described(spec: &KernelSpec) -> Json {
    let resource_dir = spec.resource_dir.to_str().expect("UTF-8");
    let command = spec.argv.iter().map(|argument| {
        let argument = argument.replace("{connection_file}", "/run/connection.json");
        Json::from(argument.replace("{resource_dir}", resource_dir))
    });
    let env = spec.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    Json::from_iter([
        ("command", Json::Array(command.collect())),
        ("resource_dir", Json::from(resource_dir)),
        ("display_name", Json::from(&*spec.display_name)),
        ("language", Json::from(&*spec.language)),
        (
            "interrupt_mode",
            Json::from(format!("{:?}", spec.interrupt_mode).to_lowercase()),
        ),
        ("env", env.collect()),
        ("metadata", Json::Object(spec.metadata.clone())),
    ])
}

const SPEC: &str = r#"{"argv": ["python3", "{resource_dir}/run", "{prefix}", "{else}", "{connection_file}"], "display_name": "Ü",
    "language": "L", "interrupt_mode": "Message", "env": {"A": "${HOME}"}, "metadata": {"n": 1.0}, "name": "other"}"#;

#[test]
fn a_virtual_environment_is_searched_as_by_jupyter_client() {
    let Some(scene) = Scene::new() else { return };
    scene.compare_chosen();
}

#[test]
fn user_specs_yield_to_the_environments_unless_told_otherwise() {
    let Some(mut scene) = Scene::new() else { return };
    scene.install("home/.local/share/jupyter", "python3", SPEC);
    scene.install("home/.local/share/jupyter", "mine", SPEC);
    scene.compare_chosen();
    for prefer in ["0", "no", "1", ""] {
        scene.set("JUPYTER_PREFER_ENV_PATH", prefer);
        scene.compare_chosen();
    }
}

#[test]
fn jupyter_path_and_its_odd_entries_are_searched_as_by_jupyter_client() {
    let Some(mut scene) = Scene::new() else { return };
    scene.install("one", "Mixed.Case", SPEC);
    scene.install("two", "mixed.case", r#"{"argv": ["two"], "display_name": "second"}"#);
    scene.install("two", "odd name!", SPEC);
    scene.install("two", "broken", "{");
    scene.install("two", "interrupts", r#"{"argv": ["x"], "interrupt_mode": "loud"}"#);
    scene.install(
        "two",
        "remote",
        r#"{"argv": ["x"], "metadata": {"kernel_provisioner": {"provisioner_name": "yarn"}}}"#,
    );
    scene.install(
        "two",
        "local",
        r#"{"argv": ["x"], "metadata": {"kernel_provisioner": {"provisioner_name": "local-provisioner", "config": {}}}}"#,
    );
    let [one, two] = ["one", "two"].map(|name| scene.path(name).display().to_string());
    scene.set("JUPYTER_PATH", format!("{one}//:/missing:{two}"));
    scene.compare_chosen();
}

#[test]
fn the_variables_that_move_folders_do_so() {
    for (name, value) in [
        ("JUPYTER_DATA_DIR", "/data/"),
        ("XDG_DATA_HOME", "/xdg"),
        ("JUPYTER_NO_CONFIG", "1"),
        ("JUPYTER_CONFIG_DIR", "/config"),
        ("JUPYTER_PLATFORM_DIRS", "1"),
        ("PYTHONUSERBASE", "/base"),
    ] {
        let Some(mut scene) = Scene::new() else { return };
        scene.set(name, value);
        scene.compare_chosen();
    }
}

#[test]
fn platform_folders_follow_the_xdg_variables() {
    let Some(mut scene) = Scene::new() else { return };
    scene.set("JUPYTER_PLATFORM_DIRS", "true");
    scene.set("XDG_DATA_HOME", scene.path("data"));
    scene.set("XDG_DATA_DIRS", "/one:relative:/two");
    scene.install("data/jupyter", "mine", SPEC);
    scene.compare_chosen();
}

#[test]
fn ipythons_folder_is_searched_last() {
    let Some(mut scene) = Scene::new() else { return };
    scene.install("home/.ipython", "old", SPEC);
    scene.compare_chosen();
    scene.set("IPYTHONDIR", scene.path("elsewhere"));
    scene.install("elsewhere", "older", SPEC);
    scene.compare_chosen();
}

#[test]
fn the_active_environment_is_searched_as_by_its_own_jupyter_client() {
    let Some(mut scene) = Scene::new() else { return };
    let prefix = scene.python_says(&scene.python, "import sys; print(sys.prefix)");
    scene.set("VIRTUAL_ENV", &prefix);
    scene.compare(None, &scene.python);
    scene.variables.remove("VIRTUAL_ENV");
    scene.set("CONDA_PREFIX", &prefix);
    scene.set("CONDA_DEFAULT_ENV", "analysis");
    scene.compare(None, &scene.python);
    scene.variables.remove("CONDA_PREFIX");
    scene.set("PATH", format!("{prefix}/bin:/usr/bin:/bin"));
    scene.compare(None, &Path::new(&prefix).join("bin/python3"));
}

/// An interpreter outside of any environment: it has a user site, and no kernelspec for the ipykernel it imports.
#[test]
fn an_interpreter_without_environment_has_the_native_kernel() {
    let Some(mut scene) = Scene::new() else { return };
    let base = PathBuf::from(scene.python_says(&scene.python, "import sys; print(sys._base_executable)"));
    let packages = scene.python_says(&scene.python, "import sysconfig; print(sysconfig.get_path('purelib'))");
    scene.set("PYTHONPATH", packages);
    for (name, value) in [("IGNORED", ""), ("PYTHONUSERBASE", "/base"), ("PYTHONNOUSERSITE", "1")] {
        scene.set(name, value);
        let specs = KernelSpecs::with_environment(Some(&base), scene.variables.clone());
        let path = scene.python_says(
            &base,
            "from jupyter_core.paths import jupyter_path as p; print('\\n'.join(p('kernels')))",
        );
        let searched = specs
            .search_path()
            .iter()
            .map(|folder| folder.display().to_string())
            .collect::<Vec<_>>();
        assert_eq!(searched[..searched.len() - 1], path.lines().collect::<Vec<_>>());
    }
    // The kernelspec that ipykernel gives itself advertises an encryption that is not spoken here.
    let native = KernelSpecs::with_environment(Some(&base), scene.variables.clone())
        .get("python3")
        .expect("it exists");
    let expected = scene.python_says(&base, ORACLE);
    let expected = Json::parse(expected.as_bytes()).expect("JSON");
    let expected = expected
        .get("specs")
        .and_then(|specs| specs.get("python3"))
        .expect("the native kernel");
    for field in [
        "command",
        "resource_dir",
        "display_name",
        "language",
        "interrupt_mode",
        "env",
    ] {
        assert_eq!(described(&native).get(field), expected.get(field), "{field}");
    }
}

#[test]
fn an_interpreter_is_chosen_by_path_and_refused_without_ipykernel() {
    let Some(scene) = Scene::new() else { return };
    let spec = KernelSpecs::for_python(&scene.python).expect("it has ipykernel");
    assert_eq!(spec.argv[1..], ["-m", "ipykernel_launcher", "-f", "{connection_file}"]);
    assert!(
        spec.resource_dir.join("logo-64x64.png").is_file(),
        "{:?}",
        spec.resource_dir
    );

    let bare = scene.path("bare");
    let arguments = ["-m", "venv", "--without-pip"].map(OsString::from);
    let made = Command::new(&scene.python)
        .args(arguments)
        .arg(&bare)
        .status()
        .expect("Python starts");
    assert!(made.success(), "python -m venv: {made}");
    let error = KernelSpecs::for_python(&bare)
        .expect_err("it has no ipykernel")
        .to_string();
    let python = bare.join("bin/python");
    assert!(error.ends_with(&format!(
        "has no ipykernel; install it with: {} -m pip install ipykernel",
        python.display()
    )));
}
