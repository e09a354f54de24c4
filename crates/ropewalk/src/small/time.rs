//! Time (RFC 868): the seconds since 1900 in 32 bits, and the end.
//!
//! They run over on 7 February 2036. The number goes on from 0 then, which is what clients expect
//! who take the era from their own clock, as those of NTP do (RFC 5905, section 6).

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Buf as _;
use ropewalk_core::{
    DatagramProtocol, DatagramTransport, Datagrams, Input, Protocol, Result, Transport,
};

use super::{Small, may_answer};
use crate::plan::Service;

/// Tells the time.
#[derive(Default)]
pub(crate) struct Time;

impl Small for Time {
    const SERVICE: Service = Service {
        name: "time",
        files: 1,
    };
}

/// From 1 January 1900 to 1 January 1970, as the RFC has it.
const TO_1970: i128 = 2_208_988_800;

/// A point in time as the four bytes on the wire.
fn on_the_wire(at: SystemTime) -> [u8; 4] {
    let since_1970 = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::from(after.as_secs()),
        // A clock that was never set, before 1970.
        Err(before) => -i128::from(before.duration().as_secs()),
    };
    let seconds = (TO_1970 + since_1970).rem_euclid(1 << 32);
    u32::try_from(seconds)
        .expect("it is less than 2^32")
        .to_be_bytes()
}

fn now() -> [u8; 4] {
    on_the_wire(SystemTime::now())
}

impl Protocol for Time {
    type Message = ();
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write(&now()[..]);
        t.close();
        Ok(())
    }

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.advance(data.len());
        Ok(())
    }
}

impl DatagramProtocol for Time {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (_, from) in batch {
            if may_answer(from) {
                t.send(&now()[..], from);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_and_what_comes_after_2036() {
        let check = |since_1970: i64, expected: u32| {
            let off = Duration::from_secs(since_1970.unsigned_abs());
            let at = match since_1970 < 0 {
                true => UNIX_EPOCH - off,
                false => UNIX_EPOCH + off,
            };
            assert_eq!(on_the_wire(at), expected.to_be_bytes(), "{since_1970}");
        };
        // 1 January 1970, 1976 and 1980, 1 May 1983, and 17 November 1858.
        check(0, 2_208_988_800);
        check(189_302_400, 2_398_291_200);
        check(315_532_800, 2_524_521_600);
        check(420_595_200, 2_629_584_000);
        check(-3_506_716_800, 2_997_239_296);
        // The last second of 32 bits, 7 February 2036, 06:28:15, and the one after it.
        check(2_085_978_495, u32::MAX);
        check(2_085_978_496, 0);
        // 1 January 2050.
        check(2_524_608_000, 438_629_504);
    }
}
