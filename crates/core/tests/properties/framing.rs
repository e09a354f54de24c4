//! Framing heeds no segments: what a protocol reads is the same whether it
//! comes whole, in two parts, or byte by byte. The fuzz target and the replay
//! of its corpus include this file.

use ropewalk_core::testing::Rig;
use ropewalk_core::{Framing, Input, Protocol, Result, Transport};

/// The first byte says how it is read, the second how long a line or frame may be, and
/// the rest is what comes.
pub(crate) fn check(data: &[u8]) {
    let [how, limit, bytes @ ..] = data else {
        return;
    };
    let read = |parts: &[&[u8]]| {
        let mut rig = Rig::new(Reader {
            how: *how,
            limit: usize::from(*limit),
            wanted: 0,
            frames: Vec::new(),
        });
        for part in parts {
            rig.receive(part);
        }
        let unread = rig.unread().len();
        let frames = rig.protocol().frames.clone();
        let taken: usize = frames.iter().map(|frame| frame.len()).sum();
        // A line's own end is at most two bytes, and a refusal counts eight.
        assert!(taken <= 8 * bytes.len() + 8 && unread <= bytes.len());
        frames
    };
    let whole = read(&[bytes]);
    let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&bytewise), whole, "byte by byte");
    // Each split, of what is short; some, of what is long.
    for at in (1..bytes.len()).step_by(1 + bytes.len() / 64) {
        let (first, second) = bytes.split_at(at);
        assert_eq!(read(&[first, second]), whole, "split at {at}");
    }
}

struct Reader {
    how: u8,
    limit: usize,
    /// How much a literal still needs.
    wanted: usize,
    frames: Vec<Vec<u8>>,
}

const REFUSED: &[u8] = b"TOO LONG";

impl Protocol for Reader {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let counted = match self.how {
            4 => Some(Framing::Netstring),
            5 => Some(Framing::Length8),
            6 => Some(Framing::Length16),
            7 => Some(Framing::Length32),
            _ => None,
        };
        if let Some(framing) = counted {
            for frame in data.frames(framing, self.limit) {
                let Ok(frame) = frame else {
                    self.frames.push(REFUSED.into());
                    t.close();
                    break;
                };
                assert!(frame.len() <= self.limit);
                self.frames.push(frame.to_vec());
            }
            return Ok(());
        }
        match self.how % 4 {
            0 => {
                for line in data.lines(self.limit) {
                    self.frames
                        .push(line.map_or(REFUSED.into(), |l| l.to_vec()));
                }
            }
            // One a call; the rest is offered again.
            1 => match data.line(self.limit) {
                Ok(Some(line)) => self.frames.push(line.to_vec()),
                Ok(None) => {}
                Err(_) => self.frames.push(REFUSED.into()),
            },
            // A byte that says how many follow.
            2 => {
                while let Some(length) = data.first().map(|n| usize::from(*n))
                    && data.len() > length
                {
                    self.frames.push(data.take(length + 1)[1..].to_vec());
                }
            }
            // Lines, some of which announce a literal, as in IMAP.
            _ => loop {
                if self.wanted > data.len() {
                    break;
                }
                if self.wanted > 0 {
                    let literal = data.take(std::mem::take(&mut self.wanted));
                    self.frames.push(literal.to_vec());
                }
                match data.line(self.limit) {
                    Ok(Some(line)) => {
                        if let [b'{', digit @ b'0'..=b'9'] = line {
                            self.wanted = usize::from(digit - b'0');
                        }
                        self.frames.push(line.to_vec());
                    }
                    Ok(None) => break,
                    Err(_) => self.frames.push(REFUSED.into()),
                }
            },
        }
        Ok(())
    }
}
