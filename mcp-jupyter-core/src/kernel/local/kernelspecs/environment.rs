use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf, absolute};

use super::interpreter::Interpreter;

/// The environment variables, as they were when the search was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<OsString, OsString>);

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(variables.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Environment {
    pub(super) fn variables(&self) -> &BTreeMap<OsString, OsString> {
        &self.0
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable that names a file; an empty one counts as unset.
    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Source: `jupyter_core.paths.envset`.
    fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?.to_string_lossy().to_lowercase();
        Some(!matches!(value.as_str(), "no" | "n" | "false" | "off" | "0" | "0.0"))
    }

    /// The user's home folder without symlinks.
    fn home(&self) -> PathBuf {
        let home = self.path("HOME").or_else(|| {
            let user = nix::unistd::User::from_uid(nix::unistd::getuid());
            Some(user.ok()??.dir)
        });
        let home = home.unwrap_or_else(|| PathBuf::from("/"));
        fs::canonicalize(&home).unwrap_or(home)
    }

    /// The environments that the user has activated, the virtual environment before the conda environment.
    pub(super) fn active_prefixes(&self) -> Vec<PathBuf> {
        let named = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter();
        let prefixes = named.filter_map(|name| absolute(self.path(name)?).ok());
        prefixes.filter(|prefix| prefix.is_dir()).collect()
    }

    /// The files on the PATH that have this name.
    pub(super) fn on_path(&self, name: &Path) -> Option<PathBuf> {
        let folders = std::env::split_paths(self.get("PATH")?);
        let mut files = folders.filter_map(|folder| absolute(folder.join(name)).ok());
        files.find(|file| file.is_file())
    }

    /// The folders that `jupyter_client` searches when it is run by this interpreter.
    pub(super) fn kernel_folders(&self, interpreter: Option<&Interpreter>) -> Vec<PathBuf> {
        let data = self.data_folders(interpreter).into_iter();
        let mut folders: Vec<_> = data.map(|folder| folder.join("kernels")).collect();
        folders.push(self.ipython_folder().join("kernels"));
        folders
    }

    /// Source: `jupyter_core.paths.jupyter_path`.
    fn data_folders(&self, interpreter: Option<&Interpreter>) -> Vec<PathBuf> {
        let system = self.system_folders();
        let prefix = interpreter.map(|interpreter| interpreter.prefix.join("share/jupyter"));
        let prefix: Vec<_> = prefix.into_iter().filter(|folder| !system.contains(folder)).collect();
        let user = self.user_folders(interpreter);
        let mut folders = self.jupyter_path();
        folders.extend(if self.prefers_prefix(interpreter) {
            [prefix, user].concat()
        } else {
            [user, prefix].concat()
        });
        for folder in system {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    fn jupyter_path(&self) -> Vec<PathBuf> {
        let Some(path) = self.get("JUPYTER_PATH").filter(|path| !path.is_empty()) else {
            return Vec::new();
        };
        let entries = path.as_bytes().split(|byte| *byte == b':');
        entries.map(|entry| without_final_slashes(entry).into()).collect()
    }

    fn user_folders(&self, interpreter: Option<&Interpreter>) -> Vec<PathBuf> {
        let mut folders = vec![self.user_data_folder()];
        let site = interpreter.and_then(|interpreter| interpreter.user_base.as_ref());
        if let Some(site) = site.map(|base| base.join("share/jupyter"))
            && !folders.contains(&site)
        {
            folders.push(site);
        }
        folders
    }

    /// Source: `jupyter_core.paths.jupyter_data_dir`.
    fn user_data_folder(&self) -> PathBuf {
        if let Some(folder) = self.path("JUPYTER_DATA_DIR") {
            return folder;
        }
        let platform = self.uses_platform_folders();
        if cfg!(target_os = "macos") {
            let home = self.home();
            return match self.absolute_path("XDG_DATA_HOME").filter(|_| platform) {
                Some(folder) => folder.join("Jupyter"),
                None if platform => home.join("Library/Application Support/Jupyter"),
                None => home.join("Library/Jupyter"),
            };
        }
        let data_home = if platform {
            self.absolute_path("XDG_DATA_HOME")
        } else {
            self.path("XDG_DATA_HOME")
        };
        data_home
            .unwrap_or_else(|| self.home().join(".local/share"))
            .join("jupyter")
    }

    /// Source: `jupyter_core.paths.SYSTEM_JUPYTER_PATH`, and `site_data_dir` of platformdirs.
    fn system_folders(&self) -> Vec<PathBuf> {
        if !self.uses_platform_folders() {
            return ["/usr/local/share/jupyter", "/usr/share/jupyter"]
                .map(PathBuf::from)
                .into();
        }
        let (name, defaults): (_, &[&str]) = if cfg!(target_os = "macos") {
            ("Jupyter", &["/Library/Application Support"])
        } else {
            ("jupyter", &["/usr/local/share", "/usr/share"])
        };
        let listed = self.get("XDG_DATA_DIRS").unwrap_or_default();
        let listed = std::env::split_paths(listed).filter(|folder| folder.is_absolute());
        let listed: Vec<_> = listed.map(|folder| folder.join(name)).collect();
        if listed.is_empty() {
            defaults.iter().map(|folder| Path::new(folder).join(name)).collect()
        } else {
            listed
        }
    }

    fn uses_platform_folders(&self) -> bool {
        self.flag("JUPYTER_PLATFORM_DIRS").unwrap_or(false)
    }

    fn absolute_path(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }

    /// Whether the interpreter's environment comes before the user's own folders.
    ///
    /// Source: `jupyter_core.paths.prefer_environment_over_user`.
    fn prefers_prefix(&self, interpreter: Option<&Interpreter>) -> bool {
        self.flag("JUPYTER_PREFER_ENV_PATH").unwrap_or_else(|| {
            interpreter.is_some_and(|interpreter| {
                (interpreter.is_virtual || self.is_conda_environment(&interpreter.prefix))
                    && is_ours(&interpreter.prefix)
            })
        })
    }

    /// Whether the prefix is of the active conda environment, and that one is not conda's own.
    fn is_conda_environment(&self, prefix: &Path) -> bool {
        let active = self.get("CONDA_PREFIX").map(OsStr::as_bytes);
        let name = self.get("CONDA_DEFAULT_ENV").unwrap_or(OsStr::new("base"));
        name != "base" && active.is_some_and(|active| prefix.as_os_str().as_bytes().starts_with(active))
    }

    /// Where IPython 3 and earlier kept kernelspecs, which `jupyter_client` still searches last.
    ///
    /// Source: `IPython.paths.get_ipython_dir`.
    fn ipython_folder(&self) -> PathBuf {
        if let Some(folder) = self.get("IPYTHONDIR") {
            return self.without_tilde(folder);
        }
        let folder = self.home().join(".ipython");
        let config = self
            .path("XDG_CONFIG_HOME")
            .unwrap_or_else(|| self.home().join(".config"));
        let old = config.join("ipython");
        if !folder.exists() && old.is_dir() && !old.is_symlink() {
            old
        } else {
            folder
        }
    }

    fn without_tilde(&self, folder: &OsStr) -> PathBuf {
        match Path::new(folder).strip_prefix("~") {
            Ok(rest) => self.home().join(rest),
            Err(_) => folder.into(),
        }
    }
}

fn without_final_slashes(entry: &[u8]) -> OsString {
    let end = entry.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    OsString::from_vec(entry[..end].to_vec())
}

/// Whether the file, or the folder that it would be made in, belongs to this process's user.
fn is_ours(path: &Path) -> bool {
    let owner = path.ancestors().find_map(|path| fs::metadata(path).ok());
    owner.is_some_and(|owner| owner.uid() == nix::unistd::geteuid().as_raw())
}
