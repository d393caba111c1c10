//! Robots and twins as they may be, from messages to ticks.

mod pair;

use pair::{Pair, turn};
use twin_sync::{
    Alignment, Cause, Flush, JointError, JointId, JointLimits, JointValue, Moment, Settings, Source, State,
    Synchronizer, Tick, TimeAlignment,
};

const JOINTS: usize = 5;
const MS_NS: i64 = 1_000_000;

fn pair() -> Pair {
    Pair::new(Settings::default(), JOINTS)
}

/// The greatest error of all joints that is told by `which`.
fn greatest(tick: &Tick, which: impl Fn(JointError) -> Option<f64>) -> f64 {
    let errors = tick.joints.iter().map(|joint| which(joint.error.expect("an error")).expect("this error").abs());
    errors.fold(0.0, f64::max)
}

#[track_caller]
fn assert_lag(pair: &Pair, expected: f64) {
    let found = pair.synchronizer.lag_seconds().expect("a lag");
    assert!((found - expected).abs() < 0.002, "{found} and not {expected}");
}

/// What is told at the first tick from the time on at which `is_so`.
fn first_ms(pair: &mut Pair, from_ms: i64, to_ms: i64, is_so: impl Fn(&Tick) -> bool) -> Option<i64> {
    (from_ms..to_ms).find(|now_ms| is_so(pair.run(*now_ms, now_ms + 1)))
}

#[test]
fn a_lag_is_found_and_taken_out_through_jitter_and_loss() {
    for (lag_seconds, twin_interval_ms) in [(0.08, 10), (0.08, 17), (0.0, 17), (-0.03, 16), (0.0417, 3)] {
        let mut pair = pair();
        (pair.twin.lag_seconds, pair.twin.interval_ms) = (lag_seconds, twin_interval_ms);
        for sender in [&mut pair.reference, &mut pair.twin] {
            (sender.loss, sender.jitter_ms) = (0.05, 20.0);
        }
        let tick = pair.run(0, 8_000).clone();
        assert_lag(&pair, lag_seconds);
        assert_eq!(tick.alignment, Alignment::Stamp);
        let compensated = greatest(&tick, |error| error.compensated);
        assert!(compensated < 0.005, "{compensated}");
        let expected = if lag_seconds.abs() > 0.05 { State::Degraded } else { State::Synced };
        assert_eq!(tick.state, expected);
    }
}

#[test]
fn a_lag_makes_the_raw_error_large_and_the_compensated_one_small() {
    let mut pair = pair();
    pair.twin.lag_seconds = 0.08;
    let (mut raw, mut compensated) = (0.0_f64, 0.0_f64);
    pair.run(0, 3_000);
    for now_ms in 3_000..5_000 {
        let tick = pair.run(now_ms, now_ms + 1);
        raw = raw.max(greatest(tick, |error| Some(error.raw)));
        compensated = compensated.max(greatest(tick, |error| error.compensated));
    }
    assert!(raw > 0.15 && compensated < 0.002, "{raw} {compensated}");
}

#[test]
fn without_stamps_arrivals_are_compared() {
    let mut pair = pair();
    (pair.reference.has_stamps, pair.twin.has_stamps, pair.twin.lag_seconds) = (false, false, 0.08);
    let tick = pair.run(0, 6_000).clone();
    assert_lag(&pair, 0.08);
    assert_eq!(tick.alignment, Alignment::Arrival);
    assert_eq!(tick.refers_to, Some(Moment::Arrival(5_991_000_000)));
}

#[test]
fn a_simulator_at_half_the_rate_is_followed() {
    let mut pair = pair();
    (pair.twin.rate, pair.twin.start_ns, pair.twin.lag_seconds, pair.twin.jitter_ms) = (0.5, 7_000_000_000, 0.08, 5.0);
    let tick = pair.run(0, 8_000).clone();
    assert_lag(&pair, 0.08);
    assert_eq!(tick.alignment, Alignment::MinOffset);
    let factor = pair.synchronizer.clock(Source::Twin, 8_000_000_000).expect("a clock").real_time_factor;
    assert!((factor.expect("enough time") - 0.5).abs() < 0.002, "{factor:?}");
    let id = joint(&mut pair, 0);
    let compensated = pair.synchronizer.analysis(id).expect("an analysis").compensated.expect("a lag");
    assert!(compensated.velocity_rmse < 0.02, "by one clock: {compensated:?}");
}

fn joint(pair: &mut Pair, number: usize) -> JointId {
    pair.synchronizer.joint(Source::Reference, &format!("joint_{number}")).expect("room").expect("it is followed")
}

#[test]
fn one_simulator_for_both_is_compared_by_its_own_time() {
    let mut pair = pair();
    for sender in [&mut pair.reference, &mut pair.twin] {
        (sender.rate, sender.start_ns, sender.jitter_ms) = (0.5, 7_000_000_000, 15.0);
    }
    pair.twin.lag_seconds = 0.08;
    let tick = pair.run(0, 8_000).clone();
    assert_lag(&pair, 0.04);
    assert_eq!(tick.alignment, Alignment::Stamp);
    assert!(greatest(&tick, |error| error.compensated) < 1e-3);
}

#[test]
fn clocks_of_their_own_are_brought_together() {
    let mut pair = pair();
    (pair.twin.start_ns, pair.twin.lag_seconds) = (5_000_000_000, 0.03);
    let tick = pair.run(0, 6_000).clone();
    assert_lag(&pair, 0.03);
    assert_eq!((tick.alignment, tick.state), (Alignment::MinOffset, State::Synced));
    let clock = pair.synchronizer.clock(Source::Twin, 6_000_000_000).expect("a clock");
    let offset_seconds = clock.offset_seconds.expect("it is not lost");
    assert!((offset_seconds + 4.999).abs() < 1e-6 && (clock.age_seconds - 0.009).abs() < 1e-6, "{clock:?}");
}

#[test]
fn a_simulator_that_is_reset_is_followed_again() {
    let mut pair = pair();
    pair.twin.start_ns = 100_000_000_000;
    assert_eq!(pair.run(0, 4_000).state, State::Synced);
    pair.keeps_ingested = true;
    pair.twin.start_ns = -4_000_000_000;
    let tick = pair.run(4_000, 5_000).clone();
    let flushes: Vec<_> =
        pair.ingested.iter().filter_map(|(source, ingested)| Some((*source, ingested.flush?))).collect();
    assert_eq!(flushes, [(Source::Twin, Flush::BackwardJump)]);
    assert_eq!(tick.state, State::Synced);
    assert!(greatest(&tick, |error| Some(error.judged())) < 1e-3);
}

#[test]
fn a_simulator_that_pauses_is_stale_then_lost_then_back() {
    let mut pair = pair();
    pair.twin.start_ns = 100_000_000_000;
    pair.run(0, 4_000);
    pair.twin.loss = 1.0;
    let mut states = Vec::new();
    for now_ms in 4_000..9_000 {
        // It stands from 4 s to 8 s.
        if now_ms == 8_000 {
            (pair.twin.loss, pair.twin.start_ns) = (0.0, pair.twin.start_ns - 4_000_000_000);
        }
        let tick = pair.run(now_ms, now_ms + 1);
        assert!(tick.quality.is_none() || !(4_250..8_000).contains(&now_ms), "{now_ms}");
        states.extend(tick.transition.map(|transition| (transition.to, transition.cause)));
    }
    assert_eq!(states[..2], [(State::Degraded, Cause::TwinStale), (State::Lost, Cause::TwinLost)]);
    let has_diverged = states.iter().any(|(state, _)| *state == State::Diverged);
    assert!(!has_diverged, "by another time, not by its own doing: {states:?}");
    let tick = pair.run(9_000, 11_000).clone();
    assert_eq!(tick.state, State::Synced, "{states:?}");
    assert!(greatest(&tick, |error| Some(error.judged())) < 1e-3);
}

#[test]
fn messages_out_of_order_are_put_in_order() {
    let mut pair = pair();
    (pair.is_reordered, pair.keeps_ingested, pair.twin.lag_seconds) = (true, true, 0.02);
    let tick = pair.run(0, 5_000).clone();
    assert_lag(&pair, 0.02);
    let reordered: u32 = pair.ingested.iter().map(|(_, ingested)| ingested.reordered).sum();
    let lost: u32 = pair.ingested.iter().map(|(_, ingested)| ingested.late + ingested.duplicate).sum();
    assert!(reordered > 1000 && lost == 0, "{reordered} {lost}");
    assert!(greatest(&tick, |error| error.compensated) < 1e-3);
}

#[test]
fn bias_and_drift_are_told_joint_by_joint() {
    let mut pair = pair();
    (pair.twin.bias, pair.twin.drift_per_second, pair.twin.lag_seconds) = (-0.03, 0.004, 0.05);
    pair.run(0, 6_000);
    for number in 0..JOINTS {
        let id = joint(&mut pair, number);
        let found = pair.synchronizer.analysis(id).expect("an analysis").compensated.expect("a lag");
        assert!((found.drift_per_second + 0.004).abs() < 5e-4, "{number}: {found:?}");
        assert!((found.bias - (0.03 - 0.004 * 3.4)).abs() < 2e-3, "{number}: {found:?}");
    }
}

#[test]
fn no_twin_is_never_good() {
    let mut pair = pair();
    pair.twin.loss = 1.0;
    let tick = pair.run(0, 3_000);
    assert_eq!((tick.state, tick.quality, tick.worst_error), (State::Mirroring, None, None));
    assert!(tick.joints.iter().all(|joint| joint.reference.is_some() && joint.error.is_none()));
}

#[test]
fn a_twin_elsewhere_has_diverged_until_it_is_back() {
    let mut pair = pair();
    pair.run(0, 3_000);
    pair.twin.bias = 0.2;
    let diverged_ms = first_ms(&mut pair, 3_000, 5_000, |tick| tick.state == State::Diverged).expect("a divergence");
    assert!((3_500..3_530).contains(&diverged_ms), "{diverged_ms}");
    pair.twin.bias = 0.0;
    let back_ms = first_ms(&mut pair, 4_000, 6_000, |tick| tick.state == State::Synced).expect("its end");
    assert!((4_500..4_530).contains(&back_ms), "{back_ms}");
}

#[test]
fn a_twin_that_is_late_has_not_diverged_before_its_lag_is_known() {
    for lag_seconds in [0.1, 0.3, 0.45] {
        let mut pair = Pair::new(Settings { stop_on_divergence: true, ..Settings::default() }, 3);
        pair.twin.lag_seconds = lag_seconds;
        let is_far =
            |tick: &Tick| tick.joints.iter().filter_map(|joint| joint.error).any(|error| error.raw.abs() > 0.11);
        assert!(first_ms(&mut pair, 0, 1_000, is_far).is_some(), "else this shows nothing");
        let stopped_ms = first_ms(&mut pair, 1_000, 8_000, |tick| tick.state == State::Stopped);
        assert_eq!(stopped_ms, None, "{lag_seconds} s");
    }
}

#[test]
fn a_twin_that_moves_otherwise_has_diverged_once_a_lag_would_have_shown() {
    let mut synchronizer = Synchronizer::new(Settings::default());
    let id = |source| synchronizer.joint(source, "arm").expect("room").expect("it is followed");
    let ids = Source::ALL.map(id);
    let diverged_ms = (0..8_000_i64).find(|now_ms| {
        let seconds = *now_ms as f64 / 1e3;
        // Not alike whatever the lag.
        let positions = [(1.3 * seconds).sin(), 0.5 + 0.2 * (31.0 * seconds).sin()];
        for (source, (id, position)) in Source::ALL.into_iter().zip(ids.into_iter().zip(positions)) {
            if now_ms % 10 == 0 {
                synchronizer.ingest(source, Some(now_ms * MS_NS), now_ms * MS_NS, &[value(id, position)]);
            }
        }
        turn(&mut synchronizer, now_ms * MS_NS).state == State::Diverged
    });
    let diverged_ms = diverged_ms.expect("a divergence");
    // Half a second of both, the time in which a lag of half a second shows, and the time that a divergence has to last.
    assert!((3_000..3_800).contains(&diverged_ms), "{diverged_ms}");
}

#[test]
fn what_is_set_by_hand_is_done() {
    let mut pair = Pair::new(
        Settings {
            time_alignment: TimeAlignment::Arrival,
            playout_delay_seconds: 0.025,
            max_extrapolation_seconds: 0.02,
            ..Settings::default()
        },
        1,
    );
    let tick = pair.run(0, 1_000).clone();
    assert_eq!((tick.alignment, tick.refers_to), (Alignment::Arrival, Some(Moment::Arrival(975_000_000))));
    // Messages arrive a millisecond after they are sent.
    let reading = tick.joints[0].reference.expect("the reference");
    assert!((reading.position - pair::motion(0, 0.974).0).abs() < 1e-6, "{reading:?}");
}

#[test]
fn publishers_that_share_a_topic_change_their_own_joints() {
    let mut synchronizer = Synchronizer::new(Settings::default());
    let names = ["arm", "leg"];
    let mut id = |source, name| synchronizer.joint(source, name).expect("room").expect("it is followed");
    let ids = Source::ALL.map(|source| names.map(|name| id(source, name)));
    let motion = |joint: usize, ms: i64| pair::motion(joint, ms as f64 / 1e3).0;
    for now_ms in 0..4_000_i64 {
        // The arm at 100 messages a second, the leg at 40, stamped a little before it; the twin does all at once.
        for (joint, interval_ms, stamped_before_ms) in [(0, 10, 0), (1, 25, 7)] {
            if now_ms % interval_ms == 0 {
                let sent_ms = now_ms - stamped_before_ms;
                let value = value(ids[0][joint], motion(joint, sent_ms));
                synchronizer.ingest(Source::Reference, Some((9_000 + sent_ms) * MS_NS), now_ms * MS_NS, &[value]);
            }
        }
        if now_ms % 5 == 0 {
            let values = [0, 1].map(|joint| value(ids[1][joint], motion(joint, now_ms - 40)));
            synchronizer.ingest(Source::Twin, Some((9_000 + now_ms) * MS_NS), now_ms * MS_NS, &values);
        }
        turn(&mut synchronizer, now_ms * MS_NS);
    }
    let tick = turn(&mut synchronizer, 4_000 * MS_NS).clone();
    assert!(greatest(&tick, |error| error.compensated) < 0.005, "{tick:?}");
    for joint in ids[0] {
        let lag = synchronizer.analysis(joint).and_then(|analysis| analysis.lag).expect("a lag");
        assert!((lag.seconds - 0.04).abs() < 0.002, "{lag:?}");
    }
}

fn value(joint: JointId, position: f64) -> JointValue {
    JointValue { joint, position, velocity: f64::NAN, effort: f64::NAN }
}

#[test]
fn a_joint_that_turns_without_end_is_compared_the_short_way() {
    let mut synchronizer = Synchronizer::new(Settings::default());
    let limits = JointLimits { is_continuous: true, position: None, velocity: None };
    synchronizer.set_limits([("wheel".to_owned(), limits)].into());
    let wheel = synchronizer.joint(Source::Reference, "wheel").expect("room").expect("it is followed");
    let mut worst = 0.0_f64;
    for now_ms in (0..6_000).step_by(10) {
        let seconds = now_ms as f64 / 1e3;
        // One counts its turns, the other does not.
        let turned = 3.0 * seconds + 0.5 * (4.0 * seconds).sin();
        let wrapped = (turned - 0.02 + std::f64::consts::PI).rem_euclid(std::f64::consts::TAU) - std::f64::consts::PI;
        synchronizer.ingest(Source::Reference, None, now_ms * MS_NS, &[value(wheel, turned)]);
        synchronizer.ingest(Source::Twin, None, now_ms * MS_NS, &[value(wheel, wrapped)]);
        let error = turn(&mut synchronizer, now_ms * MS_NS).joints[0].error;
        worst = worst.max(error.map_or(0.0, |error| (error.judged() - 0.02).abs()));
    }
    assert!(worst < 1e-6, "{worst}");
    assert_eq!(synchronizer.state(), State::Degraded, "by the mean error, not by a turn");
}

#[test]
fn what_is_lost_has_no_statistics_and_its_lag_is_forgotten() {
    let mut pair = pair();
    pair.twin.lag_seconds = 0.03;
    pair.run(0, 4_000);
    pair.twin.loss = 1.0;
    let id = joint(&mut pair, 0);
    pair.run(4_000, 5_500);
    assert!(pair.synchronizer.analysis(id).is_some());
    pair.run(5_500, 6_500);
    assert_eq!(pair.synchronizer.analysis(id), None);
    let clock = |source| pair.synchronizer.clock(source, 6_500 * MS_NS).expect("it was there");
    let lost = clock(Source::Twin);
    assert!((lost.age_seconds - 2.509).abs() < 1e-6, "{lost:?}");
    assert_eq!((lost.offset_seconds, lost.delay_seconds, lost.real_time_factor), (None, None, None));
    let there = clock(Source::Reference);
    assert!(there.offset_seconds.is_some() && there.delay_seconds.is_some() && there.real_time_factor.is_some());
    assert_lag(&pair, 0.03);
    pair.run(6_500, 15_000);
    assert_eq!(pair.synchronizer.lag_seconds(), None);
}

#[test]
fn statistics_are_taken_anew_when_they_are_reset() {
    let mut pair = pair();
    pair.twin.bias = 0.05;
    pair.run(0, 3_000);
    pair.twin.bias = 0.0;
    let id = joint(&mut pair, 0);
    pair.run(3_000, 3_100);
    pair.synchronizer.reset_statistics(3_100 * MS_NS);
    assert_eq!(pair.synchronizer.analysis(id), None);
    pair.run(3_100, 4_100);
    let found = pair.synchronizer.analysis(id).expect("an analysis");
    assert!(found.span_seconds < 1.0 && found.raw.max < 1e-6, "{found:?}");
}

#[test]
fn a_simulator_that_changes_its_rate_is_followed_again() {
    for (before, after) in [(1.0, 0.5), (0.5, 1.0), (0.9, 0.6)] {
        let mut pair = pair();
        (pair.twin.rate, pair.twin.start_ns, pair.twin.jitter_ms) = (before, 7_000_000_000, 3.0);
        pair.run(0, 12_000);
        let shown_ns = (12_000e6 * before) as i64 - (12_000e6 * after) as i64;
        (pair.twin.rate, pair.twin.start_ns) = (after, pair.twin.start_ns + shown_ns);
        pair.run(12_000, 14_900);
        for now_ms in (15_000..24_000).step_by(100) {
            let tick = pair.run(now_ms - 100, now_ms).clone();
            assert_eq!(tick.state, State::Synced, "{before} {after} {now_ms} {tick:?}");
            assert!(greatest(&tick, |error| Some(error.judged())) < 0.008, "{before} {after} {now_ms} {tick:?}");
        }
    }
}
