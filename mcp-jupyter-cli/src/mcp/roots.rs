//! Which paths a client may name: those in the roots, whatever links lead to.

use std::path::{Component, Path, PathBuf};

use super::answer::Refusal;
use crate::error::CliError;

/// The folders whose notebooks may be used, without symbolic links.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    /// What paths are relative to, for every client alike.
    base: PathBuf,
    folders: Vec<PathBuf>,
    /// What a client has narrowed them to, where it has.
    of_client: Option<Vec<PathBuf>>,
}

impl Roots {
    /// These folders; the working directory where there is none.
    pub(super) fn new(named: &[PathBuf]) -> Result<Self, CliError> {
        let here = [PathBuf::from(".")];
        let named = if named.is_empty() { &here[..] } else { named };
        let folders: Vec<PathBuf> = named.iter().map(|folder| root(folder)).collect::<Result<_, _>>()?;
        Ok(Self {
            base: folders[0].clone(),
            folders,
            of_client: None,
        })
    }

    /// What of these folders is in others as well.
    pub(super) fn narrowed(&self, others: &[PathBuf]) -> Self {
        let both = |folder: &PathBuf, other: &PathBuf| {
            if other.starts_with(folder) {
                return Some(other.clone());
            }
            folder.starts_with(other).then(|| folder.clone())
        };
        let others: Vec<PathBuf> = others.iter().filter_map(|other| other.canonicalize().ok()).collect();
        let pairs = self
            .folders
            .iter()
            .flat_map(|folder| others.iter().map(move |other| (folder, other)));
        let mut folders: Vec<PathBuf> = pairs.filter_map(|(folder, other)| both(folder, other)).collect();
        folders.sort();
        folders.dedup();
        Self {
            base: self.base.clone(),
            folders,
            of_client: Some(others),
        }
    }

    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The file or folder that a client names, which is there: absolute, without symbolic links, in a root.
    pub(super) fn existing(&self, named: &str) -> Result<PathBuf, Refusal> {
        let path = self.placed(named)?;
        match path.canonicalize() {
            Ok(real) => self.inside(named, real),
            // Whether it is there is nobody's business where it may not be looked at.
            Err(_) => {
                self.inside(named, nearest(&path))?;
                Err(Refusal::new(format!("{named}: no such file"))
                    .with_advice("notebook_list shows what there is, notebook_create makes a notebook"))
            }
        }
    }

    /// The file that a client wants to be made: its folder is there, in a root, and it is not.
    pub(super) fn new_file(&self, named: &str) -> Result<PathBuf, Refusal> {
        let path = self.placed(named)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Refusal::new(format!("{named:?} names no file")));
        };
        let folder = folder.canonicalize().map_err(|_| {
            let nearest = self.inside(named, nearest(&path));
            nearest
                .err()
                .unwrap_or_else(|| Refusal::new(format!("{named}: there is no such folder to put it in")))
        })?;
        let path = self.inside(named, folder.join(name))?;
        if path.symlink_metadata().is_ok() {
            return Err(Refusal::new(format!("{named}: there is such a file already"))
                .with_advice("notebook_edit changes it; or choose another name"));
        }
        Ok(path)
    }

    /// A path as clients name it: relative to the first root that has it.
    pub(super) fn shown(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.base).ok();
        relative
            .filter(|relative| !relative.as_os_str().is_empty())
            .unwrap_or(path)
            .display()
            .to_string()
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.folders.iter().any(|root| path.starts_with(root))
    }

    fn placed(&self, named: &str) -> Result<PathBuf, Refusal> {
        if named.is_empty() || named.contains('\0') {
            return Err(Refusal::new(format!("{named:?} is no path")));
        }
        Ok(self.base.join(named))
    }

    fn inside(&self, named: &str, real: PathBuf) -> Result<PathBuf, Refusal> {
        if self.contains(&real) {
            return Ok(real);
        }
        Err(Refusal::new(format!(
            "{named} is outside of what this {} may use: {}",
            if self.of_client.is_some() { "client" } else { "server" },
            self.listed()
        )))
    }

    fn listed(&self) -> String {
        let list = |folders: &[PathBuf]| {
            let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            folders.join(", ")
        };
        match &self.of_client {
            Some(others) if self.folders.is_empty() => format!(
                "nothing, because none of the client's own roots ({}) is in a root of the server",
                list(others)
            ),
            _ => list(&self.folders),
        }
    }
}

fn root(named: &Path) -> Result<PathBuf, CliError> {
    let folder = named
        .canonicalize()
        .map_err(|error| CliError::usage(format!("{}: no usable root: {error}", named.display())))?;
    if !folder.is_dir() {
        return Err(CliError::usage(format!("{} is no folder", named.display())));
    }
    if folder.parent().is_none() {
        return Err(CliError::usage_with_hint(
            "the root may not be the whole file system",
            "name the folder with your notebooks: --root DIR",
        ));
    }
    Ok(folder)
}

/// The nearest folder above that is there, without symbolic links; with what is missing below it, where that leads down.
fn nearest(path: &Path) -> PathBuf {
    for above in path.ancestors().skip(1) {
        let Ok(real) = above.canonicalize() else { continue };
        let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
        let leads_down = rest
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        return if leads_down { real.join(rest) } else { PathBuf::new() };
    }
    PathBuf::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        for made in ["in/deep", "out"] {
            std::fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        for made in ["in/a.ipynb", "in/deep/b.ipynb", "out/secret.ipynb"] {
            std::fs::write(folder.path().join(made), "{}").unwrap();
        }
        std::os::unix::fs::symlink("../out", folder.path().join("in/link")).unwrap();
        std::os::unix::fs::symlink("../out/missing", folder.path().join("in/dangling.ipynb")).unwrap();
        let roots = Roots::new(&[folder.path().join("in")]).unwrap();
        (folder, roots)
    }

    #[test]
    fn what_is_in_a_root_is_found() {
        let (folder, roots) = roots();
        let real = folder.path().canonicalize().unwrap();
        assert_eq!(roots.existing("a.ipynb").unwrap(), real.join("in/a.ipynb"));
        assert_eq!(roots.existing("deep/../a.ipynb").unwrap(), real.join("in/a.ipynb"));
        assert_eq!(roots.shown(&real.join("in/deep/b.ipynb")), "deep/b.ipynb");
        assert_eq!(roots.new_file("deep/c.ipynb").unwrap(), real.join("in/deep/c.ipynb"));
    }

    #[test]
    fn nothing_leads_out_of_the_roots() {
        let (folder, roots) = roots();
        let outside = folder.path().join("out/secret.ipynb");
        for named in [
            "../out/secret.ipynb",
            "link/secret.ipynb",
            outside.to_str().unwrap(),
            "link/new.ipynb",
            "deep/../../out/secret.ipynb",
            "../out/missing.ipynb",
            "/etc/passwd",
            "",
            "a\0b",
        ] {
            assert!(roots.existing(named).is_err(), "{named}");
            assert!(roots.new_file(named).is_err(), "{named}");
        }
        // A link that leads nowhere yet would be written through.
        assert!(roots.new_file("dangling.ipynb").is_err());
    }

    #[test]
    fn whether_a_file_outside_is_there_is_not_told() {
        let (_folder, roots) = roots();
        let message = |named: &str| roots.existing(named).unwrap_err().to_string();
        assert!(message("../out/secret.ipynb").contains("outside"));
        assert!(message("../out/missing.ipynb").contains("outside"));
        assert!(message("missing.ipynb").contains("no such file"));
    }

    #[test]
    fn a_client_narrows_the_roots_and_never_widens_them() {
        let (folder, roots) = roots();
        let real = folder.path().canonicalize().unwrap();
        let narrowed = |others: &[&str]| {
            let others: Vec<PathBuf> = others.iter().map(|other| folder.path().join(other)).collect();
            roots.narrowed(&others)
        };
        assert_eq!(narrowed(&["in/deep", "out"]).folders(), [real.join("in/deep")]);
        assert_eq!(narrowed(&["."]).folders(), [real.join("in")]);
        let deep = narrowed(&["in/deep"]);
        assert_eq!(deep.existing("deep/b.ipynb").unwrap(), real.join("in/deep/b.ipynb"));
        let refused = deep.existing("a.ipynb").unwrap_err().to_string();
        assert!(refused.contains("this client may use"), "{refused}");
        for other in ["out", "in/link", "missing"] {
            let refused = narrowed(&[other]).existing("a.ipynb").unwrap_err().to_string();
            assert!(refused.contains("nothing, because"), "{refused}");
        }
    }

    #[test]
    fn the_whole_file_system_is_no_root() {
        let error = Roots::new(&[PathBuf::from("/")]).unwrap_err();
        assert!(error.to_string().contains("whole file system"), "{error}");
    }
}
