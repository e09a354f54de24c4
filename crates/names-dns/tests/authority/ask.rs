//! A plain client: questions as octets, answers read with our own reader and
//! made comparable.

use std::{
    collections::BTreeSet,
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use ropewalk_names_dns::proto::{
    Class, Edns, Header, Message, MessageWriter, Name, NameRef, RecordType, Section, rdata,
};

/// A question without EDNS.
pub(crate) fn question(name: &str, record_type: &str) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    ask(name.as_ref(), record_type.parse().unwrap(), 0, None)
}

/// A question with these flags, and EDNS of this size, with DO if it is odd.
pub(crate) fn ask(
    name: NameRef<'_>,
    record_type: RecordType,
    flags: u16,
    edns: Option<(u16, bool)>,
) -> Vec<u8> {
    let mut writer = MessageWriter::new();
    let header = Header {
        id: 0x1234,
        flags,
        ..Header::default()
    };
    writer.begin(header, 512);
    writer
        .question(name.as_wire(), record_type, Class::IN)
        .unwrap();
    if let Some((udp_size, dnssec)) = edns {
        let edns = Edns {
            udp_size,
            flags: if dnssec { Edns::DO } else { 0 },
            ..Edns::default()
        };
        writer.opt(&edns).unwrap();
    }
    writer.finish().to_vec()
}

/// A client of one server.
pub(crate) struct Client {
    udp: UdpSocket,
    address: SocketAddr,
    timeout: Duration,
    tcp: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, timeout: Duration) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(address).unwrap();
        udp.set_read_timeout(Some(timeout)).unwrap();
        Self {
            udp,
            address,
            timeout,
            tcp: None,
        }
    }

    /// The answer over UDP, if one comes in time.
    pub(crate) fn try_udp(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        self.udp.send(question).ok()?;
        let mut buffer = vec![0; 65_535];
        let length = self.udp.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    pub(crate) fn udp(&mut self, question: &[u8]) -> Vec<u8> {
        self.try_udp(question)
            .unwrap_or_else(|| panic!("{} does not answer {question:x?}", self.address))
    }

    pub(crate) fn tcp(&mut self, question: &[u8]) -> Vec<u8> {
        // Servers close what is idle for a while, or after so many questions.
        let again = self
            .tcp
            .take()
            .and_then(|stream| self.exchange(stream, question));
        again
            .or_else(|| {
                let stream = TcpStream::connect(self.address).ok()?;
                self.exchange(stream, question)
            })
            .unwrap_or_else(|| panic!("{} does not answer {question:x?}", self.address))
    }

    fn exchange(&mut self, mut stream: TcpStream, question: &[u8]) -> Option<Vec<u8>> {
        stream.set_read_timeout(Some(self.timeout)).ok()?;
        let length = u16::try_from(question.len()).ok()?;
        let frame = [&length.to_be_bytes(), question].concat();
        stream.write_all(&frame).ok()?;
        let answer = read_frame(&mut stream)?;
        self.tcp = Some(stream);
        Some(answer)
    }
}

fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// An answer whose order and letters do not matter.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) rcode: u16,
    pub(crate) flags: u16,
    pub(crate) sections: [BTreeSet<String>; 3],
    pub(crate) opt: bool,
    /// A record stands there twice.
    pub(crate) twice: bool,
}

impl Answer {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let message = Message::read(bytes).unwrap();
        let header = message.header();
        let mut answer = Self {
            rcode: header.flags & 0xF,
            flags: header.flags & !0xF,
            sections: Default::default(),
            opt: false,
            twice: false,
        };
        for record in message.records() {
            let record = record.unwrap();
            if record.record_type == RecordType::OPT {
                answer.opt = true;
                answer.rcode |= u16::from(record.ttl.to_be_bytes()[0]) << 4;
                continue;
            }
            let mut data = Vec::new();
            record.expand_rdata(&mut data).unwrap();
            rdata::canonicalise(Class::IN, record.record_type, &mut data);
            let name = record.name().unwrap();
            let name = NameRef::from_wire(name.as_bytes()).unwrap().to_lowercase();
            let text = format!(
                "{name} {} {} {}",
                record.ttl,
                record.record_type,
                data.escape_ascii()
            );
            let section = match record.section {
                Section::Answer => 0,
                Section::Authority => 1,
                Section::Additional => 2,
            };
            answer.twice |= !answer.sections[section].insert(text);
        }
        answer
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "rcode {} flags {:04x} opt {}",
            self.rcode, self.flags, self.opt
        )?;
        for (name, section) in ["answer", "authority", "additional"]
            .iter()
            .zip(&self.sections)
        {
            for record in section {
                let short: String = record.chars().take(150).collect();
                writeln!(f, "  {name}: {short}")?;
            }
        }
        Ok(())
    }
}
