//! Zones of a secondary on disk, so that a restart serves them at once.
//!
//! A file is the messages of a transfer behind a first line, each with its two
//! octets of length; its time of change is when the zone was last known to be
//! the primary's. It is written beside, and put in its place at once.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    apply::Receiving,
    source::{Records, WholeZone},
};
use crate::{
    proto::{
        Class, Header, MessageWriter, Name, RecordType,
        transfer::{Inbound, InboundOptions, Outbound, Progress},
    },
    zone::Zone,
};

/// What a file begins with.
const FIRST: &[u8] = b"ropewalk zone 1\n";

/// A folder of zones.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where a zone is kept: its name in lower case, with what is no letter,
    /// digit, dot, hyphen or underscore as `%` and two digits.
    pub(super) fn file(&self, zone: &Name) -> PathBuf {
        let mut file = String::new();
        for label in zone.labels() {
            for octet in label {
                match octet.to_ascii_lowercase() {
                    octet @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => file.push(octet.into()),
                    octet => file += &format!("%{octet:02x}"),
                }
            }
            file.push('.');
        }
        if file.is_empty() {
            file += "%root.";
        }
        self.0.join(file + "axfr")
    }

    /// Reads a zone, and when it was last known to be the primary's; `None` if
    /// it is not kept.
    pub(super) fn load(&self, zone: &Name, class: Class) -> io::Result<Option<(Zone, SystemTime)>> {
        let file = match File::open(self.file(zone)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let checked = file.metadata()?.modified()?;
        let broken = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut file = BufReader::new(file);
        let mut first = [0; FIRST.len()];
        file.read_exact(&mut first)?;
        if first != *FIRST {
            return Err(broken("not a zone that was kept here".into()));
        }
        let options = InboundOptions::default();
        let (mut inbound, _) = Inbound::axfr(zone.clone(), class, 0, None, options);
        let mut receiving = Receiving::new(zone.clone(), class, None);
        loop {
            let mut length = [0; 2];
            file.read_exact(&mut length)?;
            let mut message = vec![0; u16::from_be_bytes(length).into()];
            file.read_exact(&mut message)?;
            let progress = inbound.receive(&mut message, SystemTime::UNIX_EPOCH, &mut |change| {
                receiving.change(change)
            });
            match progress.map_err(|error| broken(error.to_string()))? {
                Progress::More => {}
                _ => return Ok(Some((receiving.finish().map_err(broken)?, checked))),
            }
        }
    }

    /// Writes a zone in the place of the version before.
    pub(super) fn save(&self, zone: Arc<Zone>, checked: SystemTime) -> io::Result<()> {
        let origin = zone.origin().to_name();
        let class = zone.class();
        let path = self.file(&origin);
        let beside = path.with_extension("axfr.new");
        fs::create_dir_all(&self.0)?;
        let mut file = BufWriter::new(File::create(&beside)?);
        file.write_all(FIRST)?;
        let records = Records::Whole(WholeZone::new(zone));
        let mut outbound =
            Outbound::new(records, Header::default(), origin, RecordType::AXFR, class);
        let mut writer = MessageWriter::new();
        while let Some(message) = outbound
            .next_message(&mut writer, checked)
            .map_err(io::Error::other)?
        {
            let length = u16::try_from(message.len()).map_err(io::Error::other)?;
            file.write_all(&length.to_be_bytes())?;
            file.write_all(&message)?;
        }
        let file = file.into_inner().map_err(|error| error.into_error())?;
        file.set_modified(checked)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        // The new name must last too.
        File::open(&self.0)?.sync_all()
    }

    /// Notes that the zone is still the primary's.
    pub(super) fn touch(&self, zone: &Name, checked: SystemTime) -> io::Result<()> {
        File::options()
            .append(true)
            .open(self.file(zone))?
            .set_modified(checked)
    }
}
