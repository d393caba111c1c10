//! What must not allocate does not.

mod pair;

use allocation_counter::measure;
use pair::Pair;
use twin_sync::{Settings, TimeAlignment};

/// Everything that can happen in eleven seconds, with what lies beyond the window of a clock.
fn run(pair: &mut Pair, from_ms: i64) {
    pair.run(from_ms, from_ms + 10_000);
    // A reset, a pause, messages out of order, and a stop.
    pair.twin.start_ns -= 3_000_000_000;
    pair.run(from_ms + 10_000, from_ms + 10_200);
    pair.is_reordered = true;
    pair.run(from_ms + 10_500, from_ms + 11_000);
    pair.is_reordered = false;
    pair.synchronizer.safety_stop();
    pair.synchronizer.clear_fault();
}

#[test]
fn neither_a_message_nor_a_tick_allocates() {
    for time_alignment in [TimeAlignment::Auto, TimeAlignment::Arrival] {
        let mut pair =
            Pair::new(Settings { time_alignment, commands: true, buffer_size: 500, ..Settings::default() }, 9);
        let first = measure(|| assert_eq!(pair.run(0, 100).joints.len(), 9));
        assert_ne!(first.count_total, 0, "joints are admitted");
        let allocated = measure(|| run(&mut pair, 100));
        assert_eq!(allocated.count_total, 0);
        let resynchronized = measure(|| assert!(pair.synchronizer.resync(12_000_000_000).is_ok()));
        assert_eq!(resynchronized.count_total, 0);
    }
}
