//! Clocks as they may be, from the stamps and arrivals of their messages.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const MS_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MS_NS;
/// A stamp of today's, so that no test rests on small numbers.
const EPOCH_NS: i64 = 1_800_000_000 * SECOND_NS;

/// A stream of 100 messages a second whose delays repeat: the least of them is 2 ms.
fn delay_ns(message: i64) -> i64 {
    [7, 2, 30, 4, 9, 3, 15][(message % 7) as usize] * MS_NS
}

/// Feeds messages sent every 10 ms from local time `from_ms` to `to_ms`, with `rate` seconds of the source in a second.
fn feed(map: &mut TimeMap, from_ms: i64, to_ms: i64, start_ns: i64, rate: f64) -> Vec<Observation> {
    let (sent, mut arrival_ns) = ((from_ms..to_ms).step_by(10), 0);
    sent.map(|sent_ms| {
        let source_ns = start_ns + ((sent_ms - from_ms) as f64 * 1e6 * rate) as i64;
        arrival_ns = arrival_ns.max(sent_ms * MS_NS + delay_ns(sent_ms / 10));
        map.observe(source_ns, arrival_ns)
    })
    .collect()
}

fn local_ms(map: &TimeMap, source_ns: i64) -> f64 {
    map.to_local_ns(source_ns).expect("a map") as f64 / 1e6
}

#[test]
fn the_offset_is_that_of_the_least_delayed() {
    let mut map = TimeMap::new();
    assert_eq!(map.to_local_ns(0), None);
    feed(&mut map, 0, 3_000, EPOCH_NS, 1.0);
    assert_eq!(map.to_local_ns(EPOCH_NS + SECOND_NS), Some(SECOND_NS + 2 * MS_NS));
    assert_eq!(map.to_source_ns(SECOND_NS + 2 * MS_NS), Some(EPOCH_NS + SECOND_NS));
    assert_eq!(map.delay_ns(), delay_ns(299) - 2 * MS_NS);
    let found = map.real_time_factor().expect("enough time");
    assert!((found - 1.0).abs() < 0.01, "{found}");
    assert_eq!(map.rate(), 1.0, "not worth a slope");
}

#[test]
fn what_was_least_ten_seconds_ago_is_forgotten() {
    let mut map = TimeMap::new();
    map.observe(EPOCH_NS, 0);
    feed(&mut map, 10, 9_000, EPOCH_NS + 10 * MS_NS, 1.0);
    assert_eq!(map.to_local_ns(EPOCH_NS), Some(0));
    feed(&mut map, 9_000, 12_000, EPOCH_NS + 9 * SECOND_NS, 1.0);
    assert_eq!(map.to_local_ns(EPOCH_NS), Some(2 * MS_NS));
}

#[test]
fn a_simulator_at_another_rate_is_followed() {
    for rate in [0.1, 0.5, 0.97, 0.999, 0.9996, 0.99995, 1.0004, 1.5, 5.0] {
        let mut map = TimeMap::new();
        let observed = feed(&mut map, 0, 12_000, EPOCH_NS, rate);
        assert!(observed.iter().all(|observation| *observation == Observation::Steady), "{rate}");
        let found = map.real_time_factor().expect("enough time");
        assert!((found / rate - 1.0).abs() < 0.005, "{rate}: {found}");
        let sent_ms = local_ms(&map, EPOCH_NS + (11_000e6 * rate) as i64);
        assert!((sent_ms - 11_002.0).abs() < 1.5, "{rate}: {sent_ms}");
    }
}

#[test]
fn a_pause_of_the_simulator_is_forgotten_within_a_second() {
    let mut map = TimeMap::new();
    feed(&mut map, 0, 5_000, EPOCH_NS, 1.0);
    let observed = feed(&mut map, 8_000, 9_000, EPOCH_NS + 5 * SECOND_NS, 1.0);
    assert_eq!(observed.iter().filter(|observation| **observation == Observation::Stepped).count(), 1);
    assert_eq!((map.steady_since_ns(), map.is_in_doubt()), (Some(EPOCH_NS + 5 * SECOND_NS), false));
    assert!((local_ms(&map, EPOCH_NS + 6 * SECOND_NS) - 9_002.0).abs() < 1.0);
}

#[test]
fn a_pause_does_not_change_the_rate() {
    let mut map = TimeMap::new();
    feed(&mut map, 0, 5_000, EPOCH_NS, 0.5);
    feed(&mut map, 8_000, 8_600, EPOCH_NS + 5 * SECOND_NS / 2, 0.5);
    assert!(map.steady_since_ns().is_some());
    assert!((map.rate() - 0.5).abs() < 0.01, "{}", map.rate());
}

#[test]
fn a_rate_that_changes_is_followed_within_a_second() {
    for (before, after) in [(1.0, 0.5), (0.5, 1.0), (0.2, 5.0), (0.7, 1.0)] {
        let mut map = TimeMap::new();
        feed(&mut map, 0, 12_000, EPOCH_NS, before);
        let shown_ns = EPOCH_NS + (12_000e6 * before) as i64;
        feed(&mut map, 12_000, 13_500, shown_ns, after);
        let found_ms = local_ms(&map, shown_ns + (1_000e6 * after) as i64);
        assert!((found_ms - 13_002.0).abs() < 4.0, "{before} {after}: {found_ms}");
        let steady_ns = map.steady_since_ns().expect("a change") - shown_ns;
        assert!(steady_ns >= 0, "{before} {after}: {steady_ns}");
    }
}

/// What the documentation promises of a rate that goes from 1 to this and back every so often: how far the newest time
/// is off while it is not in doubt, in ms: the most, and of all but a twentieth.
#[test]
fn a_rate_that_keeps_changing_is_followed_within_bounds() {
    for (rate, every_ms, most_ms, mostly_ms) in
        [(0.95, 3_000, 60.0, 25.0), (0.9, 3_000, 60.0, 25.0), (0.7, 2_000, 60.0, 25.0), (0.5, 2_000, 100.0, 25.0)]
    {
        let (mut map, mut shown_ns, mut off_ms) = (TimeMap::new(), EPOCH_NS, Vec::new());
        for sent_ms in (0..60_000).step_by(10) {
            let observed_ms = sent_ms + delay_ns(sent_ms / 10) / MS_NS / 4;
            map.observe(shown_ns, observed_ms * MS_NS);
            if sent_ms > 15_000 && !map.is_in_doubt() {
                off_ms.push((local_ms(&map, shown_ns) - sent_ms as f64).abs());
            }
            shown_ns += ((if sent_ms / every_ms % 2 == 0 { 1.0 } else { rate }) * 10e6) as i64;
        }
        off_ms.sort_unstable_by(f64::total_cmp);
        let (mostly, most) = (off_ms[off_ms.len() * 19 / 20], off_ms[off_ms.len() - 1]);
        assert!(mostly < mostly_ms && most < most_ms, "{rate} {every_ms}: {mostly} {most}");
        assert!(off_ms.len() > 4_000, "{rate} {every_ms}: seldom in doubt");
    }
}

#[test]
fn a_route_that_becomes_longer_is_no_rate() {
    let mut map = TimeMap::new();
    feed(&mut map, 0, 5_000, EPOCH_NS, 1.0);
    // By 60 ms: late, and told to be.
    let observed = feed(&mut map, 5_060, 7_060, EPOCH_NS + 5 * SECOND_NS, 1.0);
    assert!(observed.iter().all(|observation| *observation == Observation::Steady));
    assert_eq!((map.rate(), map.is_in_doubt()), (1.0, false));
    assert!(map.delay_ns() >= 60 * MS_NS, "{}", map.delay_ns());
}

#[test]
fn a_route_that_becomes_a_little_longer_is_no_rate() {
    let mut map = TimeMap::new();
    feed(&mut map, 0, 5_000, EPOCH_NS, 1.0);
    feed(&mut map, 5_000, 10_000, EPOCH_NS + 5 * SECOND_NS - MS_NS / 4, 1.0);
    assert_ne!(map.real_time_factor(), Some(1.0));
    assert_eq!(map.rate(), 1.0);
}

#[test]
fn a_clock_set_forward_is_followed_at_once() {
    let mut map = TimeMap::new();
    feed(&mut map, 0, 5_000, EPOCH_NS, 1.0);
    assert_eq!(map.observe(2 * EPOCH_NS, 5_010 * MS_NS), Observation::Stepped);
    assert_eq!(map.to_local_ns(2 * EPOCH_NS), Some(5_010 * MS_NS));
}

#[test]
fn one_message_that_hung_in_the_network_changes_nothing() {
    let mut map = TimeMap::new();
    feed(&mut map, 0, 5_000, EPOCH_NS, 1.0);
    let before = map.line;
    assert_eq!(map.observe(EPOCH_NS + 5 * SECOND_NS, 5_900 * MS_NS), Observation::Steady);
    assert_eq!((map.delay_ns(), map.is_in_doubt()), (898 * MS_NS, false));
    feed(&mut map, 5_910, 6_000, EPOCH_NS + 5_910 * MS_NS, 1.0);
    assert_eq!(map.line.map(|line| line.local_ns(0)), before.map(|line| line.local_ns(0)));
}

#[test]
fn the_rate_outlives_a_reset_of_the_simulator() {
    let mut map = TimeMap::new();
    feed(&mut map, 0, 5_000, EPOCH_NS, 0.5);
    map.clear(true);
    map.observe(0, 6_000 * MS_NS);
    let found = local_ms(&map, SECOND_NS);
    assert!((found - 8_000.0).abs() < 20.0, "{found}");
    map.clear(false);
    map.observe(0, 7_000 * MS_NS);
    assert_eq!(map.to_local_ns(SECOND_NS), Some(8_000 * MS_NS));
}

proptest! {
    #[test]
    fn it_never_maps_a_message_to_after_its_arrival(
        messages in vec((0..300_i64, 0..60_i64), 1..120),
        rate in prop_oneof![Just(1.0), 0.2..3.0],
    ) {
        let (mut map, mut sent_ms, mut arrival_ns) = (TimeMap::new(), 0, 0);
        for (step_ms, delay_ms) in messages {
            sent_ms += step_ms;
            let source_ns = EPOCH_NS + (sent_ms as f64 * 1e6 * rate) as i64;
            arrival_ns = arrival_ns.max((sent_ms + delay_ms) * MS_NS);
            map.observe(source_ns, arrival_ns);
            let mapped_ns = map.to_local_ns(source_ns).expect("a map");
            prop_assert!(mapped_ns <= arrival_ns + 1, "{mapped_ns} {arrival_ns}");
            let back_ns = map.to_source_ns(mapped_ns).expect("a map");
            prop_assert!((back_ns - source_ns).abs() <= 4, "{back_ns} {source_ns}");
        }
    }
}
