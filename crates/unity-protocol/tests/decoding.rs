//! Frames out of bytes, however these are cut.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use unity_protocol::{Decoder, Frame, FrameError, Limits, encode};

const LIMITS: Limits = Limits { destination_bytes_max: 16, payload_bytes_max: 100 };

/// All frames of what is received in `pieces`, and why there are no more.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Result<(), FrameError>) {
    let (mut decoder, mut received, mut frames) = (Decoder::new(LIMITS), BytesMut::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut received) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(()))
}

fn decode_one(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
    Decoder::new(LIMITS).decode(&mut BytesMut::from(bytes))
}

/// `bytes` in pieces of these lengths, over and over.
fn pieces<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in lengths.iter().cycle() {
        let Some((piece, rest)) = bytes.split_at_checked(length) else { break };
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

#[test]
fn a_frame_is_a_destination_and_a_payload() {
    let frame = decode_one(b"\x02\0\0\0/a\x03\0\0\0x\0y").expect("good").expect("whole");
    assert_eq!((frame.destination(), &frame.payload[..]), ("/a", &b"x\0y"[..]));
    assert!(!frame.is_keepalive());
}

#[test]
fn nuls_at_the_end_are_stripped_of_a_destination_and_not_of_a_payload() {
    let frame = decode_one(&encode::frame("__subscribe\0\0", b"{}\0")).expect("good").expect("whole");
    assert_eq!((frame.destination(), &frame.payload[..]), ("__subscribe", &b"{}\0"[..]));
    let frame = decode_one(&encode::frame("a\0b\0", b"")).expect("good").expect("whole");
    assert_eq!(frame.destination(), "a\0b");
}

#[test]
fn a_keepalive_is_eight_zeros_and_nothing_else_is() {
    let is_keepalive = |bytes: &[u8]| decode_one(bytes).expect("good").expect("whole").is_keepalive();
    assert!(is_keepalive(&[0; 8]));
    assert!(is_keepalive(&encode::frame("\0", b"")), "an empty name as Unity ends it");
    assert!(!is_keepalive(&encode::frame("", b"\0")));
    assert!(!is_keepalive(&encode::frame("a", b"")));
}

#[test]
fn as_much_as_is_allowed_is_decoded_and_no_more() {
    let longest = encode::frame(&"d".repeat(16), &[7; 100]);
    assert!(decode_one(&longest).expect("within limits").is_some());
    let error = decode_one(&encode::frame(&"d".repeat(17), b"")).expect_err("over the limit");
    assert_eq!(error, FrameError::DestinationTooLong { bytes: 17, max: 16 });
    let error = decode_one(&encode::frame("/scan\0", &[0; 101])).expect_err("over the limit");
    assert_eq!(error, FrameError::PayloadTooLong { destination: "/scan".into(), bytes: 101, max: 100 });
    assert!(error.to_string().contains("101 bytes for \"/scan\", at most 100"), "{error}");
}

#[test]
fn what_is_too_long_is_refused_before_it_comes() {
    let announced = u32::MAX as usize;
    let too_long = FrameError::DestinationTooLong { bytes: announced, max: 16 };
    assert_eq!(decode_one(b"\xff\xff\xff\xff"), Err(too_long));
    let too_long = FrameError::PayloadTooLong { destination: "a".into(), bytes: announced, max: 100 };
    assert_eq!(decode_one(b"\x01\0\0\0a\xff\xff\xff\xff"), Err(too_long));
    assert_eq!(decode_one(b"\x01\0\0\0\xff\x64\0\0\0"), Err(FrameError::DestinationNotUtf8));
}

#[test]
fn an_error_is_given_again_and_takes_nothing() {
    let mut received = BytesMut::from(&b"\x11\0\0\0"[..]);
    let mut decoder = Decoder::new(LIMITS);
    let error = decoder.decode(&mut received).expect_err("too long");
    received.put_slice(&[0; 40]);
    assert_eq!(decoder.decode(&mut received), Err(error));
    assert_eq!(received.len(), 44);
}

#[test]
fn what_is_missing_is_known_as_far_as_it_was_announced() {
    let frame = encode::frame("/topic", &[7; 50]);
    let mut decoder = Decoder::new(LIMITS);
    // The two lengths; then the destination too; then the payload too.
    for (received, missing) in [(0, 8), (3, 5), (4, 10), (13, 1), (14, 50), (63, 1)] {
        assert_eq!(decoder.decode(&mut BytesMut::from(&frame[..received])), Ok(None));
        assert_eq!(decoder.missing_bytes(), missing, "of {received}");
    }
}

#[test]
fn every_error_has_a_kind_of_its_own() {
    let errors = [
        FrameError::DestinationTooLong { bytes: 0, max: 0 },
        FrameError::PayloadTooLong { destination: String::new(), bytes: 0, max: 0 },
        FrameError::DestinationNotUtf8,
    ];
    assert_eq!(errors.map(|error| error.kind()), FrameError::KINDS);
}

/// A payload that comes byte by byte: its lengths, and the UTF-8 of its destination, are looked at once.
#[test]
fn a_header_is_read_once() {
    let mut received = BytesMut::from(&b"\x01\0\0\0a\x64\0\0\0"[..]);
    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(decoder.decode(&mut received), Ok(None));
    received[4] = 0xff;
    received.put_slice(&[1; 99]);
    assert_eq!(decoder.decode(&mut received), Ok(None));
    assert_eq!(decoder.missing_bytes(), 1);
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(
        frames in vec(("[a-z/_]{0,14}", "\0{0,2}", vec(any::<u8>(), 0..100)), 0..10),
        lengths in vec(1..60_usize, 1..6),
    ) {
        let mut bytes = BytesMut::new();
        for (destination, nuls, payload) in &frames {
            bytes.extend(encode::frame(&(destination.clone() + nuls), payload));
        }
        let expected: Vec<_> = frames
            .into_iter()
            .map(|(destination, _, payload)| Frame::new((&*destination).into(), Bytes::from(payload)))
            .collect();
        prop_assert_eq!(decode([&bytes[..]]), (expected.clone(), Ok(())));
        prop_assert_eq!(decode(pieces(&bytes, &lengths)), (expected, Ok(())));
    }

    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        bytes in vec(prop_oneof![3 => 0..3_u8, 1 => any::<u8>()], 0..300),
        lengths in vec(1..20_usize, 1..6),
    ) {
        prop_assert_eq!(decode(pieces(&bytes, &lengths)), decode([&bytes[..]]));
    }
}
