//! Vectors of dnspython, round trips, truncation, time, replay and streams.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

fn key(algorithm: Algorithm) -> Key {
    Key::new(
        "Transfer.Example.".parse().unwrap(),
        algorithm,
        b"0123456789abcdef0123456789abcdef",
    )
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

const NOW: u64 = 1_700_000_000;

/// A question for the SOA of example.
fn question() -> Vec<u8> {
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\0\0\x06\0\x01".to_vec()
}

/// An answer to it, which the checks do not read.
fn answer(n: u8) -> Vec<u8> {
    [
        b"\x12\x34\x84\0\0\x01\0\0\0\0\0\0\x07example\0\0\x06\0".as_slice(),
        &[n],
    ]
    .concat()
}

fn signed(algorithm: Algorithm) -> (Keys, Vec<u8>, Verifier) {
    let mut request = question();
    let verifier = sign(&mut request, &key(algorithm), at(NOW));
    (Keys::from_iter([key(algorithm)]), request, verifier)
}

/// Cuts the signature of a message to so many bytes.
fn cut(message: &[u8], bytes: usize) -> Vec<u8> {
    let record = Record::find(message).unwrap().unwrap();
    let mut cut = message[..record.start].to_vec();
    let count = u16::from_be_bytes([cut[10], cut[11]]) - 1;
    cut[10..12].copy_from_slice(&count.to_be_bytes());
    record::append_for(
        &mut cut,
        &record.key,
        &record.algorithm,
        &record::Fields {
            time: record.time,
            fudge: record.fudge,
            mac: &message[record.mac.start..record.mac.start + bytes],
            original_id: record.original_id,
            error: record.error,
            other: &message[record.other.clone()],
        },
    );
    cut
}

#[test]
fn every_algorithm_signs_and_verifies() {
    for algorithm in Algorithm::ALL {
        let (keys, request, mut verifier) = signed(algorithm);
        assert!(request.len() - question().len() <= key(algorithm).signature_len());
        let good = keys.check(&request, at(NOW + 300)).unwrap().unwrap();
        assert_eq!(good.unsigned(&request), question());
        let mut reply = answer(1);
        good.into_signer().sign(&mut reply, at(NOW + 3));
        assert!(verifier.verify(&mut reply, at(NOW + 3)).unwrap());
        assert_eq!(reply, answer(1), "{algorithm}");
        assert!(verifier.is_complete());
    }
}

#[test]
fn a_relay_may_change_the_id_and_the_case_of_the_key() {
    let (keys, mut request, _) = signed(Algorithm::HmacSha256);
    request[0] = 0xff;
    let name = request
        .windows(8)
        .position(|bytes| bytes == b"transfer")
        .unwrap();
    request[name] = b'T';
    let good = keys.check(&request, at(NOW)).unwrap().unwrap();
    assert_eq!(good.unsigned(&request), question());
}

/// RFC 8945, section 5.2: each changed bit is BADSIG, BADKEY, BADTIME or a
/// malformed message, and never good.
#[test]
fn no_bit_may_change() {
    let (keys, request, _) = signed(Algorithm::HmacSha256);
    let name = Record::find(&request).unwrap().unwrap().start;
    let fixed = name + key(Algorithm::HmacSha256).wire().len();
    for bit in 16..request.len() * 8 {
        let mut changed = request.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // The case of the key's and the algorithm's name is all that may.
        let case = bit % 8 == 5
            && request[bit / 8].is_ascii_alphabetic()
            && (bit / 8 >= name && bit / 8 < fixed + 10 + 13);
        let result = keys.check(&changed, at(NOW));
        let good = matches!(result, Ok(Some(_)));
        // A changed count may also hide that there is a signature at all.
        assert!(good == case, "bit {bit}: {result:?}");
    }
}

#[test]
fn an_unknown_key_is_told_without_a_signature() {
    let (_, request, mut verifier) = signed(Algorithm::HmacSha256);
    for keys in [
        Keys::new(),
        // The same name with another algorithm is another key.
        Keys::from_iter([key(Algorithm::HmacSha512)]),
    ] {
        let rejected = keys.check(&request, at(NOW)).unwrap_err();
        assert_eq!(
            (rejected.rcode(), rejected.error()),
            (9, Some(TsigError::BadKey))
        );
        let mut reply = answer(1);
        rejected.sign(&mut reply);
        let record = Record::find(&reply).unwrap().unwrap();
        assert_eq!((record.mac.len(), record.error, record.time), (0, 17, NOW));
        assert_eq!(
            verifier.verify(&mut reply, at(NOW)),
            Err(VerifyError::Refused(TsigError::BadKey))
        );
    }
}

#[test]
fn another_secret_is_bad_sig() {
    let (_, request, _) = signed(Algorithm::HmacSha256);
    let other = Key::new(
        key(Algorithm::HmacSha256).name().clone(),
        Algorithm::HmacSha256,
        b"x",
    );
    let rejected = Keys::from_iter([other])
        .check(&request, at(NOW))
        .unwrap_err();
    assert_eq!(
        (rejected.rcode(), rejected.error()),
        (9, Some(TsigError::BadSig))
    );
    let mut reply = answer(1);
    rejected.sign(&mut reply);
    assert_eq!(Record::find(&reply).unwrap().unwrap().mac.len(), 0);
}

/// Section 5.2.3: the answer is signed, with the client's time and ours beside
/// it, so that a client with a wrong clock can verify it.
#[test]
fn a_time_outside_the_fudge_is_told_with_a_signature() {
    for late in [NOW + 301, NOW - 301] {
        let (keys, request, mut verifier) = signed(Algorithm::HmacSha256);
        let rejected = keys.check(&request, at(late)).unwrap_err();
        assert_eq!(rejected.error(), Some(TsigError::BadTime));
        let mut reply = answer(1);
        rejected.sign(&mut reply);
        let record = Record::find(&reply).unwrap().unwrap();
        assert_eq!(record.time, NOW);
        assert_eq!(reply[record.other.clone()], late.to_be_bytes()[2..]);
        assert_eq!(
            verifier.verify(&mut reply, at(NOW)),
            Err(VerifyError::Refused(TsigError::BadTime))
        );
    }
}

/// Section 5.2.2.1.
#[test]
fn truncation_is_refused_unless_allowed_and_never_below_half() {
    for algorithm in Algorithm::ALL {
        let (keys, request, mut verifier) = signed(algorithm);
        let whole = algorithm.mac_len();
        for bytes in 0..whole {
            let cut = cut(&request, bytes);
            let rejected = keys.check(&cut, at(NOW)).unwrap_err();
            let least = algorithm.least_mac_len();
            match bytes < least {
                true => assert_eq!((rejected.rcode(), rejected.error()), (1, None)),
                false => {
                    assert_eq!(rejected.error(), Some(TsigError::BadTrunc), "{bytes}");
                    let mut reply = answer(1);
                    rejected.sign(&mut reply);
                    let record = Record::find(&reply).unwrap().unwrap();
                    assert_eq!((record.mac.len(), record.error), (whole, 22));
                }
            }
            let allowing = Keys::from_iter([key(algorithm).with_least_mac(bytes)]);
            let result = allowing.check(&cut, at(NOW));
            assert_eq!(result.is_ok(), bytes >= least, "{algorithm} {bytes}");
        }
        // One byte more than there can be.
        let mut long = request.clone();
        let record = Record::find(&long).unwrap().unwrap();
        let at_mac = record.mac.start;
        long.insert(record.mac.end, 0);
        long[at_mac - 1] += 1;
        let length = at_mac - 10 - algorithm.wire().len() - 2;
        long[length + 1] += 1;
        assert_eq!(keys.check(&long, at(NOW)).unwrap_err().rcode(), 1);
        // A client takes no cut answer either.
        let mut reply = answer(1);
        let good = keys.check(&request, at(NOW)).unwrap().unwrap();
        good.into_signer().sign(&mut reply, at(NOW));
        if algorithm.least_mac_len() < whole {
            let mut cut = cut(&reply, whole - 1);
            assert_eq!(
                verifier.verify(&mut cut, at(NOW)),
                Err(VerifyError::Truncated)
            );
        }
    }
}

#[test]
fn a_request_is_admitted_once() {
    let (keys, request, _) = signed(Algorithm::HmacSha256);
    let check = |now| keys.check(&request, at(now)).unwrap().unwrap();
    let mut replays = Replays::new(2);
    replays.admit(check(NOW), at(NOW)).unwrap();
    let rejected = replays.admit(check(NOW + 300), at(NOW + 300)).unwrap_err();
    assert_eq!(rejected.error(), Some(TsigError::BadTime));
    // The table is bounded, and what expired makes room.
    let another = |now| {
        let mut request = question();
        request[0] = 0x77;
        sign(&mut request, &key(Algorithm::HmacSha256), at(now));
        keys.check(&request, at(now)).unwrap().unwrap()
    };
    replays.admit(another(NOW), at(NOW)).unwrap();
    assert!(replays.admit(another(NOW + 1), at(NOW + 1)).is_err());
    replays.admit(another(NOW + 301), at(NOW + 301)).unwrap();
    replays.admit(another(NOW + 302), at(NOW + 302)).unwrap();
    assert!(replays.admit(another(NOW + 303), at(NOW + 303)).is_err());
}

/// Section 5.1: a TSIG stands last, in the additional section, once.
#[test]
fn a_tsig_elsewhere_is_malformed() {
    let (keys, request, _) = signed(Algorithm::HmacSha256);
    let record = Record::find(&request).unwrap().unwrap();
    let tsig = request[record.start..].to_vec();
    let root_a = b"\0\0\x01\0\x01\0\0\0\0\0\x04\x7f\0\0\x01";
    let with = |counts: [u8; 3], tail: &[&[u8]]| {
        let mut message = question();
        (message[7], message[9], message[11]) = (counts[0], counts[1], counts[2]);
        message.extend(tail.concat());
        message
    };
    for bad in [
        with([0, 0, 2], &[&tsig, root_a]),
        with([0, 0, 2], &[&tsig, &tsig]),
        with([1, 0, 0], &[&tsig]),
        with([0, 1, 0], &[&tsig]),
        with([0, 0, 1], &[&tsig, b"x"]),
        with([0, 0, 2], &[&tsig]),
        with([0, 0, 1], &[&tsig[..tsig.len() - 1]]),
    ] {
        let rejected = keys.check(&bad, at(NOW)).unwrap_err();
        assert_eq!((rejected.rcode(), rejected.error()), (1, None));
        let mut reply = answer(1);
        rejected.sign(&mut reply);
        assert_eq!(reply, answer(1), "there is nothing that TSIG has to say");
    }
    let unsigned = with([1, 0, 1], &[root_a, root_a]);
    assert!(keys.check(&unsigned, at(NOW)).unwrap().is_none());
    for length in 0..request.len() {
        // Whatever is cut off, nothing panics and nothing is good.
        assert!(!matches!(
            keys.check(&request[..length], at(NOW)),
            Ok(Some(_))
        ));
    }
}

#[test]
fn names_in_a_tsig_may_not_loop() {
    let mut message = question();
    message[11] = 1;
    let start = u8::try_from(message.len()).unwrap();
    for to in [start, start + 1, start + 2, 255] {
        let mut bad = message.clone();
        bad.extend_from_slice(&[0xc0, to, 0, 250, 0, 255, 0, 0, 0, 0, 0, 17]);
        bad.push(0);
        bad.extend_from_slice(&[0; 16]);
        assert!(Record::find(&bad).is_err());
    }
}

/// Section 5.3.1, as we do it: every message is signed.
#[test]
fn a_stream_is_signed_message_by_message() {
    let (keys, request, mut verifier) = signed(Algorithm::HmacSha256);
    let mut signer = keys
        .check(&request, at(NOW))
        .unwrap()
        .unwrap()
        .into_signer();
    let sent: Vec<_> = (0..5)
        .map(|n| {
            let mut message = answer(n);
            signer.sign(&mut message, at(NOW + u64::from(n)));
            message
        })
        .collect();
    for (n, message) in (0..).zip(&sent) {
        let mut message = message.clone();
        assert!(verifier.verify(&mut message, at(NOW)).unwrap());
        assert_eq!(message, answer(n));
    }
    // Neither the order may change, nor may one be left out, nor come twice.
    for order in [vec![1], vec![0, 2], vec![0, 0]] {
        let (_, _, mut verifier) = signed(Algorithm::HmacSha256);
        let results: Vec<_> = order
            .iter()
            .map(|n| verifier.verify(&mut sent[*n].clone(), at(NOW)))
            .collect();
        assert_eq!(
            results.last(),
            Some(&Err(VerifyError::Signature)),
            "{order:?}"
        );
    }
}

/// Section 5.3.1, as others do it: some messages have no signature, and the
/// next one covers them.
#[test]
fn up_to_99_messages_of_a_stream_may_be_unsigned() {
    for between in [1, 99, 100] {
        let (_, request, mut verifier) = signed(Algorithm::HmacSha256);
        let record = Record::find(&request).unwrap().unwrap();
        let mut signer = Signer {
            key: key(Algorithm::HmacSha256),
            prior: request[record.mac.clone()].to_vec(),
            first: true,
        };
        let mut first = answer(0);
        signer.sign(&mut first, at(NOW));
        assert!(verifier.verify(&mut first, at(NOW)).unwrap());
        let mut hash = sign::start(signer.key(), &signer.prior);
        let mut results = Vec::new();
        for _ in 0..between {
            hash.update(&answer(7));
            results.push(verifier.verify(&mut answer(7), at(NOW)));
        }
        let Some(last) = results.pop() else {
            unreachable!("there is one between")
        };
        assert!(results.iter().all(|result| *result == Ok(false)));
        if between == 100 {
            assert_eq!(last, Err(VerifyError::Unsigned));
            continue;
        }
        assert_eq!(last, Ok(false));
        assert!(!verifier.is_complete(), "the last one was not signed");
        let mut end = answer(9);
        hash.update(&end);
        let mac = sign::finish(
            signer.key(),
            hash,
            &sign::Variables::Timers {
                time: NOW,
                fudge: 300,
            },
        );
        record::append(
            &mut end,
            signer.key(),
            &record::Fields {
                time: NOW,
                fudge: 300,
                mac: &mac,
                original_id: 0x1234,
                error: 0,
                other: &[],
            },
        );
        assert!(verifier.verify(&mut end, at(NOW)).unwrap());
        assert!(verifier.is_complete());
    }
}

#[test]
fn an_unsigned_answer_to_a_signed_request_is_not_believed() {
    let (_, _, mut verifier) = signed(Algorithm::HmacSha256);
    assert_eq!(
        verifier.verify(&mut answer(1), at(NOW)),
        Err(VerifyError::Unsigned)
    );
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!(
        "{:?} {:?}",
        key(Algorithm::HmacSha256),
        signed(Algorithm::HmacSha256).2
    );
    assert!(
        shown.contains("hmac-sha256") && !shown.contains("0123"),
        "{shown}"
    );
}

/// Another program's signatures: each algorithm, and streams with a message
/// that is not signed.
#[test]
fn what_dnspython_signs_is_good_and_ours_is_the_same() {
    let mut algorithms = 0;
    let lines = include_str!("vectors.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let mut fields = line.split(' ');
        let algorithm = Algorithm::from_name(fields.next().unwrap()).unwrap();
        let mut messages = fields.map(unhex);
        let request = messages.next().unwrap();
        let keys = Keys::from_iter([key(algorithm)]);
        let good = keys.check(&request, at(NOW)).unwrap().unwrap();
        let mut ours = good.unsigned(&request);
        let mut verifier = sign(&mut ours, &key(algorithm), at(NOW));
        let mac = |message: &[u8]| {
            let record = Record::find(message).unwrap().unwrap();
            message[record.mac].to_vec()
        };
        assert_eq!(mac(&ours), mac(&request));
        for (n, message) in messages.enumerate() {
            let mut plain = message.clone();
            let signed = verifier.verify(&mut plain, at(NOW));
            assert_eq!(signed, Ok(n != 1), "{algorithm}, message {n}");
        }
        assert!(verifier.is_complete());
        algorithms += 1;
    }
    assert_eq!(algorithms, Algorithm::ALL.len());
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|c| c.to_digit(16).unwrap()).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap();
    digits.chunks(2).map(byte).collect()
}
