//! `ropewalk web`: a folder of files over HTTP/1.1.

mod folder;
mod http;

use std::{fs, path::PathBuf};

use clap::Args;
use ropewalk_core::ServerEndpoint;

pub(crate) use self::{
    folder::Folder,
    http::{Answer, Body, Http, not_allowed, options, plain},
};
use crate::{
    failure::Failure,
    options::Tls,
    plan::{Plan, ServerArgs, Service},
};

pub(crate) const WEB: Service = Service {
    name: "web",
    // The connection, and the file that it is sent.
    files: 2,
};

/// The arguments of `ropewalk web`.
#[derive(Args)]
pub(crate) struct WebServer {
    /// Where to listen: tcp:PORT (loopback; interface=* for all), tls:PORT, unix:PATH, fd:NUMBER,
    /// stdio:; may be repeated
    #[arg(long, value_name = "ENDPOINT", required = true)]
    listen: Vec<ServerEndpoint>,

    /// The folder of the site. A folder in it is its index.html; nothing is listed, names that
    /// begin with a dot are not served (but for /.well-known/), and symbolic links not where they
    /// lead out of the folder
    #[arg(long, value_name = "DIR")]
    path: PathBuf,

    #[command(flatten)]
    tls: Tls,
}

impl ServerArgs for WebServer {
    async fn plan(self, plan: &mut Plan) {
        if let Err(error) = fs::read_dir(&self.path) {
            let why = format!("{error}, expected a folder that can be read");
            plan.fault(Failure::usage("--path", self.path.display(), why));
        }
        let tls = plan.tls(&self.tls);
        let folder = Http::new(Folder::new(&self.path));
        for endpoint in &self.listen {
            let options = options(plan.options(tls.as_ref()));
            plan.stream(WEB, "--listen", endpoint, folder.clone(), options);
        }
    }
}
