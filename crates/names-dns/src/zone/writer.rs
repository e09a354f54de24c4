//! Zones as text: one record a line, all names complete, in canonical order.

use std::io::{self, Write};

use super::store::Zone;
use crate::proto::rdata;

impl Zone {
    /// Writes the zone as a file that reads back the same: the SOA first, then
    /// all others in canonical order, each with owner, TTL, class, type and data.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = Vec::new();
        let mut owner = Vec::new();
        let mut owner_of = None;
        let mut wire = Vec::new();
        for record in self.records() {
            let node = record.set.node();
            if owner_of != Some(node.number()) {
                wire.clear();
                node.write_name(&mut wire);
                owner.clear();
                crate::proto::NameRef::trusted(&wire).write_text(&mut owner);
                owner_of = Some(node.number());
            }
            line.clear();
            line.extend_from_slice(&owner);
            let (ttl, record_type) = (record.set.ttl(), record.set.record_type());
            write!(line, " {ttl} {} {record_type} ", self.class())?;
            rdata::write_text(self.class(), record_type, record.rdata, &mut line);
            line.push(b'\n');
            out.write_all(&line)?;
        }
        Ok(())
    }

    /// The zone as [`Zone::write_text`] writes it.
    pub fn to_text(&self) -> String {
        let mut text = Vec::new();
        self.write_text(&mut text).expect("memory takes all");
        // All that is not printable ASCII is escaped.
        String::from_utf8_lossy(&text).into_owned()
    }
}
