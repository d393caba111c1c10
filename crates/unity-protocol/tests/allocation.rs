//! Memory is taken for buffers, by whoever reads into them, and not for frames.

use allocation_counter::measure;
use bytes::BytesMut;
use unity_protocol::{Decoder, Event, Limits, Session, SessionLimits, encode};

/// Decodes and understands all frames of a buffer with `count` messages; tells how often memory was taken meanwhile.
fn allocations(count: usize) -> u64 {
    let message = encode::frame("/robot1/joint_states\0", &[7; 400]);
    let mut received = BytesMut::from(&message.repeat(count)[..]);
    let mut decoder = Decoder::new(Limits::default());
    let mut session = Session::new(SessionLimits::default());
    let mut messages = 0;
    let allocated = measure(|| {
        while let Ok(Some(frame)) = decoder.decode(&mut received) {
            messages += usize::from(matches!(session.receive(frame), Event::Message { .. }));
        }
    });
    assert_eq!(messages, count);
    allocated.count_total
}

#[test]
fn the_frames_of_a_buffer_share_one_allocation() {
    assert_eq!(allocations(1), 1, "the buffer's counter");
    assert_eq!(allocations(1000), 1);
}

#[test]
fn what_is_announced_takes_no_memory() {
    let mut decoder = Decoder::new(Limits::default());
    let frame = encode::frame("/image", &[]);
    let mut received = BytesMut::from(&frame[..frame.len() - 4]);
    received.extend_from_slice(&(64_u32 << 20).to_le_bytes());
    let allocated = measure(|| assert_eq!(decoder.decode(&mut received), Ok(None)));
    assert_eq!(allocated.count_total, 0);
    assert_eq!(decoder.missing_bytes(), 64 << 20);
}

#[test]
fn a_payload_in_pieces_takes_no_memory() {
    let frame = encode::frame("/image", &[7; 10_000]);
    let mut received = BytesMut::with_capacity(frame.len());
    let mut decoder = Decoder::new(Limits::default());
    let allocated = measure(|| {
        for piece in frame.chunks(10).take(1000) {
            received.extend_from_slice(piece);
            assert_eq!(decoder.decode(&mut received), Ok(None));
        }
    });
    assert_eq!(allocated.count_total, 0);
}
