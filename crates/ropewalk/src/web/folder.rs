//! A folder of files, for the web: by tower-http, which knows ranges, conditions and types.
//!
//! What is served is what is in the folder and is meant to be seen. A name that begins with a dot
//! is not, but for `.well-known` (RFC 8615) at the top, which is there to be seen. Symbolic links
//! are followed as long as they lead to something in the folder; the folder itself may be one, and
//! may be made to point elsewhere while it is served. There are no listings.

use std::{
    ffi::OsStr,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use http_body_util::BodyExt as _;
use hyper::{Request, Response, StatusCode, body::Incoming, service::Service as _};
use hyper_util::service::TowerToHyperService;
use tower_http::services::fs::{
    Backend, DefaultServeDirFallback, ServeDir, TokioBackend, TokioFile,
};

use super::http::{Answer, Body, plain};

/// Answers with the files of a folder.
pub(crate) struct Folder {
    files: TowerToHyperService<ServeDir<DefaultServeDirFallback, Confined>>,
}

impl Folder {
    /// The files below `root`, which need not be there yet.
    pub(crate) fn new(root: &Path) -> Self {
        // Of the working folder as it is now; what is asked for begins with it, letter for letter.
        // It fails only for a path that is empty, or where there is no such folder.
        let root = std::path::absolute(root).unwrap_or_else(|_| root.into());
        let backend = Confined {
            root: root.as_path().into(),
        };
        let files = ServeDir::with_backend(&root, backend)
            // Several at once would need a body in parts; all of it is as good (RFC 9110, 14.2).
            .ignore_multi_range_requests(true);
        Self {
            files: TowerToHyperService::new(files),
        }
    }
}

impl Answer for Folder {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        // A redirect to `//name/` would lead to a host of that name.
        if request.uri().path().starts_with("//") {
            return not_found();
        }
        let Ok(response) = self.files.call(request).await;
        match response.status() {
            StatusCode::NOT_FOUND => not_found(),
            _ => response.map(|body| body.map_err(Into::into).boxed_unsync()),
        }
    }
}

fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "not found\n")
}

/// The file system, as far as it is in the folder.
#[derive(Clone)]
struct Confined {
    root: Arc<Path>,
}

impl Confined {
    /// What a path is in the end, or that there is nothing.
    async fn resolve(self, path: PathBuf) -> io::Result<PathBuf> {
        tokio::task::spawn_blocking(move || resolve(&self.root, &path)).await?
    }
}

impl Backend for Confined {
    type File = TokioFile;
    type Metadata = std::fs::Metadata;
    type OpenFuture = Pin<Box<dyn Future<Output = io::Result<TokioFile>> + Send>>;
    type MetadataFuture = Pin<Box<dyn Future<Output = io::Result<std::fs::Metadata>> + Send>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let resolving = self.clone().resolve(path);
        Box::pin(async move { TokioBackend.open(resolving.await?).await })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let resolving = self.clone().resolve(path);
        Box::pin(async move { TokioBackend.metadata(resolving.await?).await })
    }
}

fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let nothing = || io::Error::from(io::ErrorKind::NotFound);
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(|error| match error.raw_os_error() {
                // Links in a circle, and names that no file can have.
                Some(libc::ELOOP | libc::ENAMETOOLONG) => nothing(),
                _ => error,
            })
    };
    let seen = |path: &Path, root: &Path| path.strip_prefix(root).is_ok_and(is_public);
    if !seen(path, root) {
        return Err(nothing());
    }
    let (root, path) = (real(root)?, real(path)?);
    if !seen(&path, &root) {
        return Err(nothing());
    }
    // To open a pipe is to wait for who writes to it; devices are not for the web either.
    let kind = path.metadata()?;
    match kind.is_file() || kind.is_dir() {
        true => Ok(path),
        false => Err(nothing()),
    }
}

/// Whether no part of a path within the folder is hidden.
fn is_public(path: &Path) -> bool {
    let is_hidden = |part: &OsStr| part.as_encoded_bytes().starts_with(b".");
    let mut parts = path.iter().peekable();
    parts.next_if(|first| *first == ".well-known");
    !parts.any(is_hidden)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn only_what_is_in_the_folder_and_meant_to_be_seen() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("site");
        for folder in ["sub", ".git", ".well-known/acme", "sub/.well-known"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let files = [
            "page",
            "sub/page",
            ".hidden",
            "sub/.hidden",
            ".git/config",
            ".well-known/acme/token",
            ".well-known/.hidden",
            "sub/.well-known/x",
            "..page",
        ];
        for file in files {
            fs::write(root.join(file), file).unwrap();
        }
        fs::write(scratch.path().join("secret"), "").unwrap();
        symlink("sub/page", root.join("inside")).unwrap();
        symlink("sub", root.join("to-sub")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(".git", root.join("to-git")).unwrap();
        symlink("sub/page", root.join(".link")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();

        let check = |root: &Path, path: &str, expected: bool| {
            let found = resolve(root, &root.join(path));
            assert_eq!(found.is_ok(), expected, "{path}: {found:?}");
            if let Err(error) = found {
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{path}");
            }
        };
        let all = |root: &Path| {
            for path in [
                "",
                "page",
                "sub/page",
                "inside",
                "to-sub",
                "to-sub/page",
                "up/site/page",
                ".well-known/acme/token",
            ] {
                check(root, path, true);
            }
            for path in [
                "nothing",
                ".hidden",
                "sub/.hidden",
                ".git",
                ".git/config",
                ".well-known/.hidden",
                "sub/.well-known/x",
                "..page",
                "outside",
                "up",
                "up/secret",
                "to-git",
                "to-git/config",
                ".link",
                "circle",
                "socket",
                "../secret",
            ] {
                check(root, path, false);
            }
        };
        all(&root);
        // The folder may itself be a link.
        let link = scratch.path().join("current");
        symlink("site", &link).unwrap();
        all(&link);
    }
}
