//! Ordinary zone files of all forms, `tests/zones/*.zone`, each for `example.org`: read, written
//! and read again here, and read by other servers with the same records found.
//!
//! A file whose first line says `; not for: PROGRAM …` has something that these do not read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ropewalk_names_dns::proto::{Name, RecordType, rdata};
use ropewalk_names_dns::zone::{ReadOptions, Zone};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zones")
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "zone")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 30, "{}", files.len());
    files
}

fn origin() -> Name {
    "example.org".parse().unwrap()
}

fn read(path: &Path) -> Zone {
    Zone::from_file(path, origin(), &ReadOptions::default())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// All records in canonical form, sorted.
fn records(zone: &Zone) -> Vec<(Name, RecordType, u32, String)> {
    let mut records: Vec<_> = zone
        .records()
        .map(|record| {
            let record_type = record.set.record_type();
            let mut data = record.rdata.to_vec();
            rdata::canonicalise(zone.class(), record_type, &mut data);
            let text = rdata::to_text(zone.class(), record_type, &data);
            (
                record.set.node().name().to_lowercase(),
                record_type,
                record.set.ttl(),
                text,
            )
        })
        .collect();
    records.sort();
    records
}

#[test]
fn what_is_written_reads_back_the_same() {
    for path in files() {
        let zone = read(&path);
        let text = zone.to_text();
        let again = Zone::from_text(origin(), &text)
            .unwrap_or_else(|errors| panic!("{}\n{text}\n{errors}", path.display()));
        assert_eq!(again.to_text(), text, "{}", path.display());
        assert_eq!(records(&again), records(&zone), "{}", path.display());
    }
}

#[test]
fn owners_and_addresses_are_what_was_meant() {
    let text = |file: &str| read(&folder().join(file)).to_text();
    for (file, line) in [
        (
            "blank_owner.zone",
            "a.example.org. 3600 IN TXT \"still of a.example.org\"\n",
        ),
        (
            "origin.zone",
            "a.deeper.sub.example.org. 3600 IN A 192.0.2.4\n",
        ),
        (
            "include.zone",
            "three.deep.example.org. 3600 IN A 192.0.2.13\n",
        ),
        (
            "include.zone",
            "before.example.org. 3600 IN TXT \"of the last owner before\"\n",
        ),
        (
            "generate.zone",
            "HEX-C.example.org. 3600 IN CNAME host-3.example.org.\n",
        ),
        (
            "generate.zone",
            "1.1.nibble.example.org. 3600 IN PTR host-17.example.org.\n",
        ),
        (
            "generate.zone",
            "d\\$-2.example.org. 3600 IN CNAME host-2.example.org.\n",
        ),
        ("svcb.zone", "key667=\"hello\\210qoo\"\n"),
        ("escapes.zone", "a\\.b.example.org. 3600 IN A 192.0.2.1\n"),
        (
            "unknown.zone",
            "e.example.org. 3600 IN TYPE65282 \\# 6 ABCDEF012345\n",
        ),
    ] {
        let text = text(file);
        assert!(text.contains(line), "{file}: {line}\n{text}");
    }
}

/// Files with types that other servers do not have by name.
const HAS_TYPES_OF_BIND_ALONE: &[&str] = &["oddities.zone", "people.zone", "texts.zone"];

/// Whether a program reads all of a file.
fn is_for(program: &str, path: &Path) -> bool {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let first = text.lines().next().unwrap_or_default();
    let names = first
        .strip_prefix("; not for: ")
        .map_or("", |rest| rest.split('(').next().unwrap_or_default());
    !names.split_whitespace().any(|name| name == program)
}

/// Compares what a program makes of each file, as text, with what we do.
fn compare(program: &str, run: impl Fn(&Path, &Path) -> Command) {
    let mut compared = 0;
    let mut differences = Vec::new();
    let scratch = tempfile::tempdir().unwrap();
    for path in files() {
        if !is_for(program, &path) {
            continue;
        }
        let output = run(&path, scratch.path())
            .current_dir(folder())
            .output()
            .unwrap();
        compared += 1;
        if let Err(difference) = difference(&path, &output) {
            differences.push(format!("{}: {difference}", path.display()));
        }
    }
    assert!(
        differences.is_empty(),
        "{program}:\n{}",
        differences.join("\n")
    );
    assert!(compared >= 25, "{compared}");
}

fn difference(path: &Path, output: &Output) -> Result<(), String> {
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!(
            "{printed}{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let theirs = Zone::from_text(origin(), &printed).map_err(|e| format!("{e}\n{printed}"))?;
    let (ours, theirs) = (records(&read(path)), records(&theirs));
    let only_ours = ours.iter().filter(|record| !theirs.contains(record));
    let only_theirs = theirs.iter().filter(|record| !ours.contains(record));
    let lines: Vec<String> = only_ours
        .map(|record| format!("only ours: {record:?}"))
        .chain(only_theirs.map(|record| format!("only theirs: {record:?}")))
        .collect();
    if lines.is_empty() {
        Ok(())
    } else {
        Err(lines.join("\n"))
    }
}

mod with_named_checkzone {
    use std::process::Command;

    #[test]
    #[ignore = "needs named-checkzone; cargo xtask test runs it where it is installed"]
    fn bind_reads_the_same_records() {
        super::compare("named-checkzone", |path, _| {
            let mut command = Command::new("named-checkzone");
            command.args([
                "-q",
                "-k",
                "ignore",
                "-i",
                "none",
                "-D",
                "-o",
                "-",
                "example.org",
            ]);
            command.arg(path);
            command
        });
    }

    #[test]
    #[ignore = "needs named-checkzone; cargo xtask test runs it where it is installed"]
    fn bind_reads_what_we_write() {
        for path in super::files() {
            let ours = super::read(&path);
            let folder = tempfile::tempdir().unwrap();
            let written = folder.path().join("zone");
            std::fs::write(&written, ours.to_text()).unwrap();
            let output = Command::new("named-checkzone")
                .args([
                    "-q",
                    "-k",
                    "ignore",
                    "-i",
                    "none",
                    "-D",
                    "-o",
                    "-",
                    "example.org",
                ])
                .arg(&written)
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&output.stdout);
            let theirs = super::Zone::from_text(super::origin(), &printed)
                .unwrap_or_else(|errors| panic!("{}: {errors}\n{printed}", path.display()));
            assert_eq!(
                super::records(&theirs),
                super::records(&ours),
                "{}",
                path.display()
            );
        }
    }
}

mod with_nsd_checkzone {
    use std::process::Command;

    #[test]
    #[ignore = "needs nsd-checkzone; cargo xtask test runs it where it is installed"]
    fn nsd_reads_the_same_records() {
        super::compare("nsd-checkzone", |path, _| {
            let mut command = Command::new("nsd-checkzone");
            command.args(["-p", "example.org"]).arg(path);
            command
        });
    }
}

mod with_kzonecheck {
    use std::process::Command;

    /// It prints no records: what can be told is whether it takes the file.
    fn takes(path: &std::path::Path) {
        let output = Command::new("kzonecheck")
            .args(["-d", "off", "-o", "example.org"])
            .arg(path)
            .current_dir(super::folder())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
    }

    #[test]
    #[ignore = "needs kzonecheck; cargo xtask test runs it where it is installed"]
    fn knot_takes_the_files_and_what_we_write() {
        let scratch = tempfile::tempdir().unwrap();
        for path in super::files() {
            if super::is_for("kzonecheck", &path) {
                takes(&path);
            }
            let written = scratch.path().join("zone");
            std::fs::write(&written, super::read(&path).to_text()).unwrap();
            if !super::HAS_TYPES_OF_BIND_ALONE
                .iter()
                .any(|file| path.ends_with(file))
            {
                takes(&written);
            }
        }
    }
}

mod with_ldns_read_zone {
    use std::process::Command;

    #[test]
    #[ignore = "needs ldns-read-zone; cargo xtask test runs it where it is installed"]
    fn ldns_reads_the_same_records() {
        super::compare("ldns-read-zone", |path, scratch| {
            let mut command = Command::new("ldns-read-zone");
            // ldns knows no origin but what the file says.
            let text = std::fs::read(path).unwrap();
            let headed = scratch.join("zone");
            std::fs::write(&headed, [b"$ORIGIN example.org.\n", &*text].concat()).unwrap();
            command.arg(headed);
            command
        });
    }
}
