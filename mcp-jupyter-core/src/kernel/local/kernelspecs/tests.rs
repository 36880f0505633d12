use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::kernel::InterruptMode;

use super::*;

/// A home folder and fabricated environments below a temporary folder.
struct Scene {
    root: TempDir,
    variables: Vec<(&'static str, OsString)>,
}

impl Scene {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        let mut scene = Self {
            root,
            variables: Vec::new(),
        };
        scene.set("HOME", scene.path("home"));
        scene
    }

    /// As [`Scene::new`], and what this machine has in its system folders is out of sight.
    fn isolated() -> Self {
        let mut scene = Self::new();
        scene.set("JUPYTER_PLATFORM_DIRS", "1");
        scene.set("XDG_DATA_DIRS", scene.path("system"));
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, value.into()));
    }

    /// A virtual environment that cannot be started: whoever tries gets an error.
    fn virtual_environment(&self, name: &str) -> PathBuf {
        let prefix = self.path(name);
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::write(prefix.join("pyvenv.cfg"), "include-system-site-packages = false\n").unwrap();
        fs::write(prefix.join("bin/python"), "").unwrap();
        prefix
    }

    fn install_ipykernel(&self, prefix: &str) -> PathBuf {
        let packages = self.path(prefix).join("lib/python3.12/site-packages");
        fs::create_dir_all(packages.join("ipykernel/resources")).unwrap();
        fs::write(packages.join("ipykernel_launcher.py"), "").unwrap();
        packages.join("ipykernel/resources")
    }

    fn install(&self, data: &str, name: &str, kernel_json: &str) -> PathBuf {
        let folder = self.path(data).join("kernels").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("kernel.json"), kernel_json).unwrap();
        folder
    }

    fn specs(&self, python: Option<&Path>) -> KernelSpecs {
        KernelSpecs::with_environment(python, self.variables.clone())
    }

    fn data_folders(&self, python: Option<&Path>) -> Vec<String> {
        let root = self.path("");
        let folders = self.specs(python).search_path().into_iter().map(|folder| {
            let data = folder.parent().unwrap();
            data.strip_prefix(&root).unwrap_or(data).display().to_string()
        });
        folders.collect()
    }
}

fn spec(display_name: &str) -> String {
    format!(r#"{{"argv": ["/bin/kernel", "{{connection_file}}"], "display_name": "{display_name}"}}"#)
}

fn names(specs: &KernelSpecs) -> Vec<String> {
    specs.all().into_iter().map(|spec| spec.name).collect()
}

const USER: &str = "home/.local/share/jupyter";

#[test]
fn without_a_python_the_users_and_the_systems_folders_are_searched() {
    let scene = Scene::new();
    assert_eq!(
        scene.data_folders(None),
        [USER, "/usr/local/share/jupyter", "/usr/share/jupyter", "home/.ipython"]
    );
}

#[test]
fn a_virtual_environment_comes_before_the_user_unless_told_otherwise() {
    let mut scene = Scene::new();
    scene.set("VIRTUAL_ENV", scene.virtual_environment("venv"));
    assert_eq!(scene.data_folders(None)[..2], ["venv/share/jupyter", USER]);
    scene.set("JUPYTER_PREFER_ENV_PATH", "0");
    assert_eq!(scene.data_folders(None)[..2], [USER, "venv/share/jupyter"]);
}

#[test]
fn jupyter_path_comes_first_with_every_entry_in_order() {
    let mut scene = Scene::new();
    scene.set("JUPYTER_PATH", "/first/:/second//");
    assert_eq!(scene.data_folders(None)[..3], ["/first", "/second", USER]);
}

#[test]
fn the_users_folder_follows_the_variables() {
    let mut scene = Scene::new();
    scene.set("XDG_DATA_HOME", "/xdg");
    assert_eq!(scene.data_folders(None)[0], "/xdg/jupyter");
    scene.set("JUPYTER_DATA_DIR", "/data");
    assert_eq!(scene.data_folders(None)[0], "/data");
    scene.set("JUPYTER_DATA_DIR", "");
    assert_eq!(scene.data_folders(None)[0], "/xdg/jupyter");
}

#[test]
fn platform_folders_follow_the_xdg_lists() {
    let mut scene = Scene::new();
    scene.set("JUPYTER_PLATFORM_DIRS", "yes");
    scene.set("XDG_DATA_DIRS", "/a:relative:/b");
    scene.set("XDG_DATA_HOME", "relative");
    let expected = [USER, "/a/jupyter", "/b/jupyter", "home/.ipython"];
    assert_eq!(scene.data_folders(None), expected);
}

#[test]
fn the_active_environments_follow_after_all_that_the_chosen_python_has() {
    let mut scene = Scene::new();
    let chosen = scene.virtual_environment("chosen");
    scene.set("VIRTUAL_ENV", scene.virtual_environment("venv"));
    scene.set("CONDA_PREFIX", scene.virtual_environment("conda"));
    let folders = scene.data_folders(Some(&chosen.join("bin/python")));
    let expected = [
        "chosen/share/jupyter",
        USER,
        "/usr/local/share/jupyter",
        "/usr/share/jupyter",
        "home/.ipython",
        "venv/share/jupyter",
        "conda/share/jupyter",
    ];
    assert_eq!(folders, expected);
}

#[test]
fn a_missing_or_broken_python_is_passed_over() {
    let mut scene = Scene::new();
    scene.set("VIRTUAL_ENV", scene.path("deleted"));
    for python in ["/no/such/python", "/bin/false", "/bin/cat"] {
        assert_eq!(scene.data_folders(Some(Path::new(python)))[0], USER, "{python}");
    }
}

#[test]
fn the_search_names_the_interpreter_it_is_relative_to() {
    let mut scene = Scene::new();
    assert_eq!(scene.specs(None).python().unwrap(), None);
    let prefix = scene.virtual_environment("venv");
    scene.set("VIRTUAL_ENV", &prefix);
    assert_eq!(scene.specs(None).python().unwrap(), Some(prefix.join("bin/python")));
    let error = scene.specs(Some(Path::new("/bin/false"))).python().unwrap_err();
    assert!(error.to_string().starts_with("/bin/false: is no Python 3"), "{error}");
}

#[test]
fn the_first_folder_wins_and_names_are_lower_case() {
    let mut scene = Scene::isolated();
    scene.set("JUPYTER_PATH", scene.path("first"));
    scene.install("first", "Ada", &spec("first"));
    scene.install(USER, "ada", &spec("user"));
    scene.install(USER, "beta", &spec("beta"));
    let specs = scene.specs(None);
    assert_eq!(names(&specs), ["ada", "beta"]);
    assert_eq!(specs.get("ADA").unwrap().display_name, "first");
    assert_eq!(specs.get("ada").unwrap().resource_dir, scene.path("first/kernels/Ada"));
}

#[test]
fn everything_that_a_spec_says_is_read() {
    let scene = Scene::isolated();
    let text = r#"{"argv": ["k", "{connection_file}"], "display_name": "K", "language": "kay", "interrupt_mode": "MESSAGE",
        "env": {"A": "${B}"}, "metadata": {"debugger": false}, "unknown": [1]}"#;
    scene.install(USER, "k", text);
    let spec = scene.specs(None).get("k").unwrap();
    assert_eq!(spec.argv, ["k", "{connection_file}"]);
    assert_eq!((&*spec.display_name, &*spec.language), ("K", "kay"));
    assert_eq!(spec.interrupt_mode, InterruptMode::Message);
    assert_eq!(spec.env.get("A").unwrap(), "${B}");
    assert_eq!(spec.metadata.get("debugger").unwrap().as_bool(), Some(false));
}

#[test]
fn a_folder_without_kernel_json_is_no_kernelspec() {
    let scene = Scene::isolated();
    fs::create_dir_all(scene.path(USER).join("kernels/empty")).unwrap();
    fs::write(scene.path(USER).join("kernels/file"), "").unwrap();
    assert_eq!(names(&scene.specs(None)), [""; 0]);
}

#[test]
fn an_unusable_spec_is_left_out_and_explained_when_asked_for() {
    let scene = Scene::isolated();
    let faults = [
        ("text", "kernel", "is not JSON"),
        ("list", "[]", "the document should be an object, but is an array"),
        ("no-argv", "{}", "\"argv\" is missing"),
        ("empty-argv", r#"{"argv": []}"#, "\"argv\" is empty"),
        ("argv", r#"{"argv": "python"}"#, "\"argv\" should be a list of strings"),
        (
            "argument",
            r#"{"argv": [1]}"#,
            "an item of \"argv\" should be a string, but is a number",
        ),
        (
            "env",
            r#"{"argv": ["k"], "env": {"N": 1}}"#,
            "\"env.N\" should be a string",
        ),
        (
            "mode",
            r#"{"argv": ["k"], "interrupt_mode": "shout"}"#,
            "but is \"shout\"",
        ),
        (
            "remote",
            r#"{"argv": ["k"], "metadata": {"kernel_provisioner": {"provisioner_name": "yarn"}}}"#,
            "needs the kernel provisioner \"yarn\"",
        ),
    ];
    scene.install(USER, "good", &spec("good"));
    for (name, text, _) in faults {
        scene.install(USER, name, text);
    }
    let specs = scene.specs(None);
    assert_eq!(names(&specs), ["good"]);
    for (name, _, fault) in faults {
        let error = specs.get(name).unwrap_err();
        assert!(matches!(error, KernelError::InvalidKernelSpec { .. }), "{error:?}");
        let message = error.to_string();
        let file = scene.path(USER).join("kernels").join(name).join("kernel.json");
        assert!(message.starts_with(file.to_str().unwrap()), "{message}");
        assert!(message.contains(fault), "{message}");
    }
}

#[test]
fn a_name_that_is_not_there_is_answered_with_those_that_are() {
    let scene = Scene::isolated();
    scene.install(USER, "ir", &spec("R"));
    let error = scene.specs(None).get("Julia").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no kernelspec named \"Julia\" was found (available: ir)"
    );
}

#[test]
fn python_in_a_command_is_the_interpreter_whose_environment_was_searched() {
    let mut scene = Scene::isolated();
    let [own, other] = ["own", "other"].map(|name| scene.virtual_environment(name));
    symlink("python", own.join("bin/python3.11")).unwrap();
    fs::write(own.join("bin/python3.12"), "").unwrap();
    scene.set("VIRTUAL_ENV", &other);
    let own_python = own.join("bin/python");
    for (program, expected) in [
        ("python", own_python.to_str().unwrap()),
        ("python3", own_python.to_str().unwrap()),
        ("python3.11", own_python.to_str().unwrap()),
        ("python3.12", own.join("bin/python3.12").to_str().unwrap()),
        ("python3.8", "python3.8"),
        ("python2", "python2"),
        ("pythonista", "pythonista"),
        ("/usr/bin/python3", "/usr/bin/python3"),
    ] {
        scene.install(USER, "k", &format!(r#"{{"argv": ["{program}", "{{prefix}}/x"]}}"#));
        let spec = scene.specs(Some(&own_python)).get("k").unwrap();
        assert_eq!(spec.argv, [expected, &format!("{}/x", own.display())]);
    }
    scene.install("other/share/jupyter", "added", r#"{"argv": ["python"]}"#);
    let added = scene.specs(Some(&own_python)).get("added").unwrap();
    assert_eq!(added.argv, [other.join("bin/python").to_str().unwrap()]);
}

#[test]
fn python3_exists_where_ipykernel_does_and_yields_to_an_installed_spec() {
    let mut scene = Scene::isolated();
    let prefix = scene.virtual_environment("venv");
    let resources = scene.install_ipykernel("venv");
    scene.set("VIRTUAL_ENV", &prefix);
    let python = prefix.join("bin/python");
    let native = scene.specs(None).get("python3").unwrap();
    let expected = [
        python.to_str().unwrap(),
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
    ];
    assert_eq!(native.argv, expected);
    assert_eq!(native.resource_dir, resources);
    scene.install(USER, "python3", &spec("mine"));
    assert_eq!(scene.specs(None).get("python3").unwrap().display_name, "mine");
}

#[test]
fn the_native_kernel_of_the_chosen_python_precedes_other_environments() {
    let mut scene = Scene::isolated();
    let chosen = scene.virtual_environment("chosen");
    scene.install_ipykernel("chosen");
    scene.set("VIRTUAL_ENV", scene.virtual_environment("venv"));
    scene.install("venv/share/jupyter", "python3", &spec("other"));
    let spec = scene.specs(Some(&chosen)).get("python3").unwrap();
    assert_eq!(spec.display_name, "Python 3 (ipykernel)");
}

#[test]
fn python_is_another_name_for_python3_unless_a_spec_has_it() {
    let scene = Scene::isolated();
    scene.install(USER, "python3", &spec("three"));
    assert_eq!(scene.specs(None).get("python").unwrap().name, "python3");
    scene.install(USER, "python", &spec("own"));
    assert_eq!(scene.specs(None).get("Python").unwrap().display_name, "own");
}

#[test]
fn an_interpreter_with_ipykernel_is_a_kernelspec() {
    let mut scene = Scene::new();
    let prefix = scene.virtual_environment("venv");
    scene.install_ipykernel("venv");
    scene.set("PATH", prefix.join("bin"));
    symlink("python", prefix.join("bin/python3.12")).unwrap();
    for (python, executable) in [
        (prefix.clone(), "bin/python"),
        (prefix.join("bin/python"), "bin/python"),
        (prefix.join("lib/../bin/python3.12"), "bin/python3.12"),
        (PathBuf::from("python3.12"), "bin/python3.12"),
    ] {
        let spec = scene.specs(None).chosen_python(&python).unwrap();
        assert_eq!(spec.argv[0], prefix.join(executable).to_str().unwrap(), "{python:?}");
        assert_eq!((&*spec.name, &*spec.language), ("python3", "python"));
    }
}

#[test]
fn what_is_no_python_is_refused_with_the_reason() {
    let scene = Scene::new();
    fs::create_dir(scene.path("folder")).unwrap();
    fs::write(scene.path("text"), "").unwrap();
    for (python, fault) in [
        (scene.path("missing"), "there is no such file"),
        (PathBuf::from("no-such-command"), "there is no such file"),
        (scene.path("folder"), "is a folder without bin/python"),
        (scene.path("text"), "cannot be started as a Python interpreter"),
        (
            PathBuf::from("/bin/false"),
            "is no Python 3 that works: it ended with exit status: 1",
        ),
        (PathBuf::from("/bin/echo"), "is no Python 3 that works"),
    ] {
        let error = scene.specs(None).chosen_python(&python).unwrap_err();
        assert!(matches!(error, KernelError::InvalidKernelSpec { .. }), "{error:?}");
        let expected = format!("{}: {fault}", python.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
