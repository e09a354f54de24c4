//! The real programs that tests talk to: which they are, whether they are here, and how to get them.
//!
//! A test in a module `with_curl` needs the line of [`PROGRAMS`] whose `module` is `curl`. A new program
//! is a new line: one of Debian's, or a Python package, which the tests find as [`python`] tells.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo;
use crate::failure::{Failure, Result};
use crate::python;

/// A program of which a test may need the real thing.
pub(crate) struct Program {
    /// The test's module, without `with_`.
    module: &'static str,
    kind: Kind,
}

enum Kind {
    Debian {
        /// What the test runs.
        command: &'static str,
        /// The package that brings it.
        package: &'static str,
        /// Where other programs bear the same name: arguments, and a word that only the right one
        /// answers.
        tell: Option<(&'static [&'static str], &'static str)>,
    },
    Python(python::Package),
}

/// Module, command, Debian package; or module, Python package, version. Sorted by module.
const PROGRAMS: &[Program] = &[
    Program::new("curl", "curl", "curl"),
    Program::new("delv", "delv", "bind9-dnsutils"),
    Program::new("dig", "dig", "bind9-dnsutils"),
    Program::new("dnsperf", "dnsperf", "dnsperf"),
    Program::new("doveadm", "doveadm", "dovecot-core"),
    Program::new("drill", "drill", "ldnsutils"),
    Program::new("gsasl", "gsasl", "gsasl"),
    Program::new("haproxy", "haproxy", "haproxy"),
    Program::new("htpasswd", "htpasswd", "apache2-utils"),
    Program::new("ii", "ii", "ii"),
    Program::new("inspircd", "inspircd", "inspircd"),
    Program::new("irssi", "irssi", "irssi"),
    Program::new("kdig", "kdig", "knot-dnsutils"),
    Program::new("knotd", "knotd", "knot"),
    Program::new("kzonecheck", "kzonecheck", "knot-dnssecutils"),
    Program::new("ldns_read_zone", "ldns-read-zone", "ldnsutils"),
    Program::new("microsocks", "microsocks", "microsocks"),
    Program::new("named", "named", "bind9"),
    Program::new("named_checkzone", "named-checkzone", "bind9-utils"),
    // The traditional netcat bears the same name, and has neither Unix sockets nor the same options.
    Program::new("nc", "nc", "netcat-openbsd").told_by(&["-h"], "OpenBSD"),
    Program::new("ngircd", "ngircd", "ngircd"),
    Program::new("nsd", "nsd", "nsd"),
    Program::new("nsd_checkzone", "nsd-checkzone", "nsd"),
    Program::new("nsupdate", "nsupdate", "bind9-dnsutils"),
    Program::new("openssl", "openssl", "openssl"),
    Program::new("postgres", "postgres", "postgresql"),
    Program::python("python_dnspython", "dnspython", "2.9.2"),
    Program::python("python_irc", "irc", "20.5.0"),
    Program::python("python_websockets", "websockets", "17.4"),
    Program::new("sic", "sic", "sic"),
    Program::new("socat", "socat", "socat"),
    Program::new("sslscan", "sslscan", "sslscan"),
    Program::new(
        "systemd_socket_activate",
        "systemd-socket-activate",
        "systemd",
    ),
    Program::new("tinyproxy", "tinyproxy", "tinyproxy-bin"),
    Program::new("unbound", "unbound", "unbound"),
    Program::new("weechat", "weechat-headless", "weechat-headless"),
];

/// The program of a module's name.
pub(crate) fn find(module: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.module == module)
}

impl Program {
    const fn new(module: &'static str, command: &'static str, package: &'static str) -> Self {
        let kind = Kind::Debian {
            command,
            package,
            tell: None,
        };
        Self { module, kind }
    }

    /// A package of PyPI.
    const fn python(module: &'static str, name: &'static str, version: &'static str) -> Self {
        let kind = Kind::Python(python::Package { name, version });
        Self { module, kind }
    }

    const fn told_by(mut self, arguments: &'static [&'static str], word: &'static str) -> Self {
        if let Kind::Debian { tell, .. } = &mut self.kind {
            *tell = Some((arguments, word));
        }
        self
    }

    /// Whether the right program of this name is on the path.
    pub(crate) fn is_here(&self) -> bool {
        let (command, tell) = match &self.kind {
            Kind::Debian { command, tell, .. } => (command, tell),
            Kind::Python(package) => return package.is_here(),
        };
        let Some(path) = on_path(command) else {
            return false;
        };
        let Some((arguments, word)) = tell else {
            return true;
        };
        let output = Command::new(path)
            .args(*arguments)
            .stdin(std::process::Stdio::null())
            .output();
        output.is_ok_and(|output| {
            [output.stdout, output.stderr]
                .iter()
                .any(|text| contains(text, word))
        })
    }
}

fn contains(text: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(text).contains(word)
}

/// The path to look for programs in, and to run tests with: the user's, and the folders of daemons,
/// which Debian keeps off it; PostgreSQL's by version; and, last, the commands of Python packages.
pub(crate) fn search_path() -> OsString {
    let user = env::var_os("PATH").unwrap_or_default();
    let postgres = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let postgres = postgres.flatten().map(|version| version.path().join("bin"));
    let folders = env::split_paths(&user)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain(postgres)
        .chain(python::commands());
    // Only a folder with a colon cannot be joined, and what was split by colons has none.
    env::join_paths(folders).unwrap_or(user)
}

fn on_path(command: &str) -> Option<PathBuf> {
    let is_executable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0)
    };
    env::split_paths(&search_path())
        .map(|folder| folder.join(command))
        .find(is_executable)
}

/// Installs the programs of these modules: from Debian's packages, without starting any daemon, and from
/// PyPI. What fails of the one does not hinder the other.
pub(crate) fn install<'a>(modules: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let (mut debian, mut pypi) = (BTreeSet::new(), Vec::new());
    for program in modules.into_iter().filter_map(find) {
        match program.kind {
            Kind::Debian { package, .. } => _ = debian.insert(package),
            Kind::Python(package) => pypi.push(package),
        }
    }
    if !pypi.is_empty() && !python::can_make_environments() {
        debian.insert("python3-venv");
    }
    let from_debian = match debian.is_empty() {
        true => Ok(()),
        false => install_from_debian(&Vec::from_iter(debian)),
    };
    let from_pypi = match pypi.is_empty() {
        true => Ok(()),
        false => python::install(&pypi),
    };
    from_debian.and(from_pypi)
}

fn install_from_debian(packages: &[&str]) -> Result<()> {
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if on_path("apt-get").is_none() {
        return Err(Failure::new(format!(
            "this system has no apt-get to install the programs that tests need; on Debian it would be `{by_hand}`: \
             install them as your system does, or leave --interop (and CI=true) out"
        )));
    }
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
        return Err(Failure::new(format!(
            "only root may install the programs that tests need: run `sudo {by_hand}` yourself, or leave --interop \
             (and CI=true) out"
        )));
    }
    let _no_daemons = NoDaemons::begin(Path::new("/usr/sbin")).map_err(|error| {
        Failure::new(format!(
            "cannot forbid daemons to start by /usr/sbin/policy-rc.d: {error}"
        ))
    })?;
    // Old lists still install most things, and a mirror that is out of reach is told by the second command.
    let _ = cargo::run(apt_get().arg("update"))?;
    if !cargo::run(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )? {
        return Err(Failure::new(format!(
            "the programs that tests need could not be installed: `{by_hand}` failed"
        )));
    }
    Ok(())
}

fn apt_get() -> Command {
    let mut command = cargo::command("apt-get");
    // Another apt-get may be at work: wait for it rather than fail.
    command.args([
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Dpkg::Use-Pty=0",
    ]);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// While this lives, Debian's packages start no daemon, which would take a port that a test wants.
///
/// The means is `policy-rc.d`, a script that maintainers' scripts ask; whatever was in its place is put
/// back, also after a run that was killed in between.
struct NoDaemons {
    policy: PathBuf,
    saved: PathBuf,
}

impl NoDaemons {
    fn begin(folder: &Path) -> io::Result<Self> {
        let no_daemons = Self {
            policy: folder.join("policy-rc.d"),
            saved: folder.join("policy-rc.d.before-xtask"),
        };
        let is_ours = fs::read_to_string(&no_daemons.policy).is_ok_and(|text| text == POLICY);
        if !is_ours && fs::exists(&no_daemons.policy)? {
            fs::rename(&no_daemons.policy, &no_daemons.saved)?;
        }
        fs::write(&no_daemons.policy, POLICY)?;
        fs::set_permissions(&no_daemons.policy, fs::Permissions::from_mode(0o755))?;
        Ok(no_daemons)
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        let restored = match fs::rename(&self.saved, &self.policy) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_file(&self.policy),
            other => other,
        };
        if let Err(error) = restored {
            eprintln!(
                "warning: cannot put {} back: {error}",
                self.policy.display()
            );
        }
    }
}

/// 101 is "forbidden by policy".
const POLICY: &str =
    "#!/bin/sh\n# Ropewalk's tests are being set up: no daemon may start.\nexit 101\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_module_twice() {
        assert!(PROGRAMS.is_sorted_by(|a, b| a.module < b.module));
    }

    #[test]
    fn modules_are_identifiers() {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(
            PROGRAMS
                .iter()
                .all(|program| program.module.chars().all(is_plain))
        );
    }

    #[test]
    fn programs_are_found_and_told_apart() {
        let shell = || Program::new("sh", "sh", "dash");
        assert!(shell().is_here());
        assert!(shell().told_by(&["-c", "echo Debian"], "Debian").is_here());
        assert!(!shell().told_by(&["-c", "echo Debian"], "OpenBSD").is_here());
        let none = Program::new("none", "there-is-no-such-program", "none");
        assert!(!none.is_here());
        let no_package = Program::python("none", "there-is-no-such-package", "1");
        assert!(!no_package.is_here());
    }

    #[test]
    fn the_policy_before_is_put_back() {
        let folder = scratch("policy-before");
        let policy = folder.join("policy-rc.d");
        fs::write(&policy, "mine").unwrap();
        let no_daemons = NoDaemons::begin(&folder).unwrap();
        assert_eq!(fs::read_to_string(&policy).unwrap(), POLICY);
        assert_eq!(fs::metadata(&policy).unwrap().mode() & 0o777, 0o755);
        drop(no_daemons);
        assert_eq!(fs::read_to_string(&policy).unwrap(), "mine");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn no_policy_is_left_where_none_was() {
        let folder = scratch("policy-none");
        drop(NoDaemons::begin(&folder).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_killed_run_is_repaired_by_the_next() {
        let folder = scratch("policy-killed");
        fs::write(folder.join("policy-rc.d"), "mine").unwrap();
        std::mem::forget(NoDaemons::begin(&folder).unwrap());
        drop(NoDaemons::begin(&folder).unwrap());
        assert_eq!(
            fs::read_to_string(folder.join("policy-rc.d")).unwrap(),
            "mine"
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    fn scratch(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("ropewalk-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}
