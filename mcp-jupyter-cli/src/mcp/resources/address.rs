//! The URIs of resources.

use std::fmt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::mcp::answer::Refusal;

/// What stands for itself in a path (RFC 3986).
const PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mcp) enum Address {
    Outline {
        path: String,
    },
    Cell {
        path: String,
        cell: String,
    },
    Output {
        path: String,
        cell: String,
        output: usize,
        lines: Option<String>,
    },
    Asset {
        digest: String,
        lines: Option<String>,
        bytes: Option<String>,
    },
    Kernel {
        path: String,
    },
    Run {
        run: String,
        since: u64,
    },
}

impl Address {
    /// Reads a URI; what is wrong with it, where it is none of these.
    fn parse(uri: &str) -> Result<Self, String> {
        let unknown = || format!("{uri:?} is no resource; resources/templates/list shows how they are named");
        let (scheme, rest) = uri.split_once(":///").ok_or_else(unknown)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = Query(query);
        let path = decoded(path);
        match scheme {
            "notebook" => of_notebook(&path, &query).ok_or_else(unknown),
            "asset" => Ok(Self::Asset {
                digest: path,
                lines: query.get("lines"),
                bytes: query.get("bytes"),
            }),
            "kernel" => Ok(Self::Kernel { path }),
            "run" => Ok(Self::Run {
                run: path,
                since: query
                    .get("since")
                    .map_or(Ok(0), |since| since.parse())
                    .map_err(|_| unknown())?,
            }),
            _ => Err(unknown()),
        }
    }

    /// Reads a URI of a resource that is shown by one of the tools that are offered.
    pub(in crate::mcp) fn offered(uri: &str, offered: &[&str]) -> Result<Self, Refusal> {
        let address = Self::parse(uri).map_err(Refusal::new)?;
        if offered.contains(&address.tool()) {
            return Ok(address);
        }
        Err(Refusal::new(format!(
            "{} is not allowed on this server",
            address.tool()
        )))
    }

    /// An output as a whole.
    pub(in crate::mcp) fn output(path: &str, cell: &str, output: usize) -> Self {
        Self::Output {
            path: path.to_owned(),
            cell: cell.to_owned(),
            output,
            lines: None,
        }
    }

    /// The tool that shows the same.
    fn tool(&self) -> &'static str {
        match self {
            Self::Outline { .. } | Self::Cell { .. } | Self::Output { .. } => "notebook_read",
            Self::Asset { .. } => "asset_read",
            Self::Kernel { .. } => "kernel_list",
            Self::Run { .. } => "run_status",
        }
    }
}

/// What a path of the scheme `notebook` means. A notebook's name ends in `.ipynb`, which a cell's id may do as well.
fn of_notebook(path: &str, query: &Query<'_>) -> Option<Address> {
    let Some((notebook, rest)) = path.split_once(".ipynb/cells/") else {
        let is_notebook = Path::new(path)
            .extension()
            .is_some_and(|extension| extension == "ipynb");
        return is_notebook.then(|| Address::Outline { path: path.to_owned() });
    };
    let path = format!("{notebook}.ipynb");
    match rest.rsplit_once("/outputs/") {
        None => Some(Address::Cell {
            path,
            cell: rest.to_owned(),
        }),
        Some((cell, output)) => Some(Address::Output {
            path,
            cell: cell.to_owned(),
            output: output.parse().ok()?,
            lines: query.get("lines"),
        }),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text: &str| utf8_percent_encode(text, &PATH).to_string();
        match self {
            Self::Outline { path } => write!(f, "notebook:///{}", encoded(path)),
            Self::Cell { path, cell } => write!(f, "notebook:///{}/cells/{}", encoded(path), encoded(cell)),
            Self::Output { path, cell, output, .. } => write!(
                f,
                "notebook:///{}/cells/{}/outputs/{output}",
                encoded(path),
                encoded(cell)
            ),
            // The colon of a digest is no port after three slashes.
            Self::Asset { digest, .. } => write!(f, "asset:///{digest}"),
            Self::Kernel { path } => write!(f, "kernel:///{}", encoded(path)),
            Self::Run { run, .. } => write!(f, "run:///{}", encoded(run)),
        }
    }
}

struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(known, _)| *known == name)?;
        Some(decoded(value))
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = "some folder/ä?.ipynb".to_owned();
        for address in [
            Address::Outline { path: path.clone() },
            Address::Outline {
                path: "/absolute/a.ipynb".to_owned(),
            },
            Address::Cell {
                path: path.clone(),
                cell: "a#1".to_owned(),
            },
            Address::Output {
                path: path.clone(),
                cell: "x.ipynb".to_owned(),
                output: 3,
                lines: None,
            },
            Address::Asset {
                digest: "sha256:ab".to_owned(),
                lines: None,
                bytes: None,
            },
            Address::Kernel { path },
            Address::Run {
                run: "1234".to_owned(),
                since: 0,
            },
        ] {
            let uri = address.to_string();
            assert_eq!(Address::parse(&uri).unwrap(), address, "{uri}");
        }
    }

    #[test]
    fn ranges_are_in_the_query() {
        let output = Address::parse("notebook:///a%2Fb.ipynb/cells/c/outputs/0?lines=10-20").unwrap();
        let Address::Output { path, lines, .. } = output else {
            panic!("{output:?}")
        };
        assert_eq!((path.as_str(), lines.as_deref()), ("a/b.ipynb", Some("10-20")));
        let asset = Address::parse("asset:///sha256:ab?lines=-5&bytes=0-9").unwrap();
        let Address::Asset { lines, bytes, .. } = asset else {
            panic!("{asset:?}")
        };
        assert_eq!((lines.as_deref(), bytes.as_deref()), (Some("-5"), Some("0-9")));
    }

    #[test]
    fn what_is_no_resource_is_refused() {
        for uri in [
            "",
            "a.ipynb",
            "file:///a.ipynb",
            "notebook:///a.txt",
            "notebook:///a.ipynb/cells/c/outputs/x",
            "run:///a?since=x",
        ] {
            assert!(Address::parse(uri).is_err(), "{uri}");
        }
    }
}
