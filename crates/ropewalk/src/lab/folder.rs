//! The lab's folder: the CA's certificate, the site, the Unix socket.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::failure::Failure;

/// A folder of the lab's own, removed when this is dropped; or one that somebody named.
pub(super) struct Folder {
    /// As text, since all that stands in it is named in endpoints and in the table.
    path: String,
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Opens the folder that was named, making it if it is not there; or makes a temporary one.
    /// Either is made for this account alone: who may connect to a Unix socket is who may enter.
    pub(super) fn open(named: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = named else {
            let temporary = tempfile::Builder::new()
                .prefix("ropewalk-lab-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir()
                .map_err(|error| Failure::run(format!("no temporary folder: {error}")))?;
            return Ok(Self {
                path: text(temporary.path())?,
                _temporary: Some(temporary),
            });
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        // The table's lines are for a shell that may stand elsewhere.
        let path = made
            .and_then(|()| fs::canonicalize(path))
            .map_err(|error| {
                let why = format!("{error}, expected a folder, or a place for one");
                Failure::usage("--dir", path.display(), why)
            })?;
        Ok(Self {
            path: text(&path)?,
            _temporary: None,
        })
    }

    /// The path of something in it.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), Failure> {
        let path = self.path(name);
        fs::write(&path, content).map_err(|error| unwritten(&path, &error))
    }

    /// The folder of the site. What somebody put there before stays.
    pub(super) fn site(&self) -> Result<PathBuf, Failure> {
        let site = self.path("site");
        fs::create_dir_all(&site).map_err(|error| unwritten(&site, &error))?;
        for (name, content) in SITE {
            let path = format!("{site}/{name}");
            if !Path::new(&path).exists() {
                fs::write(&path, content).map_err(|error| unwritten(&path, &error))?;
            }
        }
        Ok(site.into())
    }
}

/// The site at first.
const SITE: &[(&str, &str)] = &[
    ("index.html", include_str!("pages/index.html")),
    ("style.css", include_str!("pages/style.css")),
];

fn text(path: &Path) -> Result<String, Failure> {
    match path.to_str() {
        Some(path) => Ok(path.trim_end_matches('/').to_owned()),
        None => Err(Failure::usage(
            "--dir",
            path.display(),
            "expected a name in UTF-8",
        )),
    }
}

fn unwritten(path: &str, error: &io::Error) -> Failure {
    Failure::run(format!("cannot write {path}: {error}"))
}
