//! What a twin is told, and what it does to it.

mod pair;

use pair::{Pair, turn};
use twin_sync::{
    JointId, JointLimits, JointValue, Refusal, ResyncProgress, Settings, Source, State, Synchronizer, Tick,
};

const MS_NS: i64 = 1_000_000;

/// A twin that goes at once where it is told to, beside a reference that stands.
struct Loop {
    synchronizer: Synchronizer,
    reference: f64,
    twin: f64,
    now_ms: i64,
    /// Who sends nothing.
    silent: Option<Source>,
    /// Added to the time for the stamps of each source; there are none while it is 0.
    stamp_offset_ms: [i64; 2],
    /// What a stuck joint does is nothing.
    is_stuck: bool,
}

impl Loop {
    fn new(settings: Settings, reference: f64, twin: f64) -> Self {
        let limits = JointLimits { is_continuous: false, position: Some(-2.0..=2.0), velocity: None };
        let mut synchronizer = Synchronizer::new(Settings { commands: true, ..settings });
        synchronizer.set_limits([("elbow".to_owned(), limits)].into());
        Self { synchronizer, reference, twin, now_ms: 0, silent: None, stamp_offset_ms: [0; 2], is_stuck: false }
    }

    fn step(&mut self) -> Tick {
        let mut value = |source, position| JointValue {
            joint: self.synchronizer.joint(source, "elbow").expect("room").expect("it is followed"),
            position,
            velocity: f64::NAN,
            effort: f64::NAN,
        };
        let values = [
            (Source::Reference, value(Source::Reference, self.reference)),
            (Source::Twin, value(Source::Twin, self.twin)),
        ];
        for (source, value) in values {
            let offset_ms = self.stamp_offset_ms[source as usize];
            let stamp_ns = (offset_ms != 0).then_some((self.now_ms + offset_ms) * MS_NS);
            if self.silent != Some(source) {
                self.synchronizer.ingest(source, stamp_ns, self.now_ms * MS_NS, &[value]);
            }
        }
        let tick = turn(&mut self.synchronizer, self.now_ms * MS_NS).clone();
        if !self.is_stuck {
            self.twin = tick.joints[0].command.unwrap_or(self.twin);
        }
        self.now_ms += 10;
        tick
    }

    /// How a resynchronization ends and how long it takes.
    fn resync(&mut self) -> (ResyncProgress, i64) {
        let start_ms = self.now_ms;
        self.synchronizer.resync(start_ms * MS_NS).expect("it is not stopped");
        loop {
            match self.step().resync.expect("a resynchronization") {
                ResyncProgress::Running => {}
                end => return (end, self.now_ms - start_ms),
            }
        }
    }
}

#[test]
fn a_position_that_is_published_once_stands_on_the_other_side() {
    let mut synchronizer = Synchronizer::new(Settings::default());
    let joint = synchronizer.joint(Source::Reference, "test_joint").expect("room").expect("it is followed");
    let value = JointValue { joint, position: 1.5, velocity: f64::NAN, effort: f64::NAN };
    synchronizer.ingest(Source::Reference, Some(0), 5, &[value]);
    let tick = turn(&mut synchronizer, 10 * MS_NS);
    assert_eq!(tick.joints[0].reference.map(|reading| reading.position), Some(1.5));
    assert_eq!((tick.state, tick.joints[0].command), (State::Mirroring, None));
}

#[test]
fn a_resync_brings_the_twin_to_the_reference_at_the_velocity_that_is_set() {
    let mut closed = Loop::new(Settings { max_joint_velocity: 0.5, ..Settings::default() }, 0.0, 0.0);
    (0..100).for_each(|_| drop(closed.step()));
    closed.twin = 0.6;
    let (end, took_ms) = closed.resync();
    assert_eq!(end, ResyncProgress::Converged);
    assert!((1_200..1_300).contains(&took_ms), "0.6 rad at 0.5 rad/s: {took_ms} ms");
    assert!(closed.twin.abs() < 1e-9, "{}", closed.twin);
    assert_eq!(closed.step().resync, None);
}

#[test]
fn a_resync_that_does_not_converge_ends_after_five_seconds() {
    let mut closed = Loop::new(Settings::default(), 0.0, 0.6);
    closed.is_stuck = true;
    assert_eq!(closed.resync(), (ResyncProgress::TimedOut, 5_010));
}

#[test]
fn a_stop_ends_a_resync_at_once_even_if_it_is_cleared() {
    for is_cleared in [false, true] {
        let mut closed = Loop::new(Settings::default(), 0.0, 0.6);
        closed.synchronizer.resync(0).expect("it is not stopped");
        assert_eq!(closed.step().resync, Some(ResyncProgress::Running));
        closed.synchronizer.safety_stop();
        if is_cleared {
            closed.synchronizer.clear_fault();
        }
        assert_eq!(closed.step().resync, Some(ResyncProgress::Stopped));
        assert_eq!(closed.step().resync, None);
    }
}

#[test]
fn without_a_twin_a_resync_does_not_converge() {
    let mut pair = Pair::new(Settings::default(), 2);
    pair.twin.loss = 1.0;
    pair.run(0, 1_000);
    assert!(pair.synchronizer.resync(1_000 * MS_NS).is_ok());
    assert_eq!(pair.run(1_000, 5_999).resync, Some(ResyncProgress::Running));
    assert_eq!(pair.run(6_000, 6_000).resync, Some(ResyncProgress::TimedOut));
}

#[test]
fn a_resync_that_only_measures_waits_for_both_sources() {
    let mut pair = Pair::new(Settings::default(), 2);
    pair.run(0, 1_000);
    assert!(pair.synchronizer.resync(1_000 * MS_NS).is_ok());
    let converged_ms =
        (1_000..6_000).find(|now_ms| pair.run(*now_ms, now_ms + 1).resync == Some(ResyncProgress::Converged));
    assert!(converged_ms.is_some_and(|now_ms| (1_500..2_000).contains(&now_ms)), "{converged_ms:?}");
}

/// A synchronizer of an elbow and a wrist that may be anywhere within +-2 rad, at any velocity.
fn arm(settings: Settings) -> (Synchronizer, [JointId; 2]) {
    let limits = JointLimits { is_continuous: false, position: Some(-2.0..=2.0), velocity: None };
    let mut synchronizer = Synchronizer::new(settings);
    synchronizer.set_limits(["elbow", "wrist"].map(|name| (name.to_owned(), limits.clone())).into());
    let joints = ["elbow", "wrist"].map(|name| {
        let ids = Source::ALL.map(|source| synchronizer.joint(source, name).expect("room"));
        ids[0].expect("it is followed")
    });
    (synchronizer, joints)
}

fn send(synchronizer: &mut Synchronizer, source: Source, now_ms: i64, positions: &[(JointId, f64)]) {
    let value = |(joint, position): &(JointId, f64)| JointValue {
        joint: *joint,
        position: *position,
        velocity: f64::NAN,
        effort: f64::NAN,
    };
    let values: Vec<_> = positions.iter().map(value).collect();
    synchronizer.ingest(source, None, now_ms * MS_NS, &values);
}

#[test]
fn a_resync_waits_for_every_joint() {
    let (mut synchronizer, [elbow, wrist]) = arm(Settings::default());
    synchronizer.resync(0).expect("it is not stopped");
    let mut told = Vec::new();
    for now_ms in (0..5_100).step_by(10) {
        send(&mut synchronizer, Source::Reference, now_ms, &[(elbow, 0.0), (wrist, 0.0)]);
        send(&mut synchronizer, Source::Twin, now_ms, &[(elbow, 0.0), (wrist, 0.6)]);
        told.extend(
            turn(&mut synchronizer, now_ms * MS_NS).resync.filter(|progress| *progress != ResyncProgress::Running),
        );
    }
    assert_eq!(told, [ResyncProgress::TimedOut], "the wrist is off");
}

/// How far the command is at most from where the twin was, over a second.
fn farthest_step(closed: &mut Loop) -> f64 {
    let steps = (0..100).map(|_| {
        let twin = closed.twin;
        (closed.step().joints[0].command.unwrap_or(twin) - twin).abs()
    });
    steps.fold(0.0, f64::max)
}

#[test]
fn after_a_silence_the_twin_is_brought_to_the_reference_without_a_leap() {
    for silent in Source::ALL {
        let mut closed = Loop::new(Settings::default(), 0.5, 0.5);
        (0..100).for_each(|_| drop(closed.step()));
        closed.silent = Some(silent);
        (0..50).for_each(|_| drop(closed.step()));
        // In the meantime the robot has moved, and the twin is held where it was.
        closed.reference = 1.5;
        (0..21).for_each(|_| drop(closed.step()));
        assert_eq!(closed.twin, 0.5, "{silent:?}");
        closed.silent = None;
        let step = farthest_step(&mut closed);
        assert!(step < 0.011, "1 rad/s: {step} {silent:?}");
    }
}

#[test]
fn after_a_flush_the_twin_is_brought_to_the_reference_without_a_leap() {
    for source in Source::ALL {
        let mut closed = Loop::new(Settings::default(), 0.5, 0.5);
        closed.stamp_offset_ms = [1_000_000; 2];
        (0..100).for_each(|_| drop(closed.step()));
        closed.stamp_offset_ms[source as usize] = 10_000;
        let is_reset = source == Source::Twin;
        (closed.reference, closed.twin) = if is_reset { (0.5, -0.5) } else { (1.5, 0.5) };
        let step = farthest_step(&mut closed);
        assert!(step < 0.011, "1 rad/s: {step} {source:?}");
    }
}

#[test]
fn a_stop_is_one_hold_and_lasts_until_it_is_cleared() {
    let mut closed = Loop::new(Settings::default(), 0.5, 0.0);
    (0..20).for_each(|_| drop(closed.step()));
    let twin = closed.twin;
    closed.synchronizer.safety_stop();
    closed.is_stuck = true;
    let told: Vec<_> = (0..100).map(|_| closed.step().joints[0].command).collect();
    assert_eq!((told[0], &told[1..]), (Some(twin), &vec![None; 99][..]));
    assert_eq!(closed.synchronizer.resync(0), Err(Refusal::Stopped));
    closed.synchronizer.clear_fault();
    closed.is_stuck = false;
    (0..100).for_each(|_| drop(closed.step()));
    assert_eq!((closed.twin, closed.synchronizer.state()), (0.5, State::Synced));
}

#[test]
fn a_stop_holds_a_twin_whose_reference_is_lost_and_one_that_is_cleared_at_once_too() {
    let mut closed = Loop::new(Settings::default(), 0.5, 0.0);
    (0..20).for_each(|_| drop(closed.step()));
    closed.silent = Some(Source::Reference);
    (0..250).for_each(|_| drop(closed.step()));
    let elbow = closed.synchronizer.joint(Source::Reference, "elbow").expect("room").expect("it is followed");
    assert_eq!(closed.synchronizer.state(), State::Lost);
    assert_eq!(closed.synchronizer.may_forward(), Err(Refusal::Lost));
    assert_eq!(closed.synchronizer.forward(elbow, 0.2), Err(Refusal::Lost));
    closed.twin = 0.25;
    closed.synchronizer.safety_stop();
    let tick = closed.step();
    assert_eq!((tick.joints[0].command, tick.is_hold), (Some(0.25), true));
    closed.synchronizer.clear_fault();
    closed.silent = None;
    (0..100).for_each(|_| drop(closed.step()));
    assert_eq!(closed.synchronizer.may_forward(), Ok(()));
    // The robot runs away from a twin that has arrived.
    closed.reference = -0.5;
    closed.twin = 0.25;
    closed.synchronizer.safety_stop();
    closed.synchronizer.clear_fault();
    let told = [closed.step(), closed.step()].map(|tick| (tick.joints[0].command, tick.is_hold));
    assert_eq!(told, [(Some(0.25), true), (Some(0.24), false)]);
}

/// A loop that has arrived, and whose twin goes on by itself from then on, as one does that follows a trajectory.
fn arrived(settings: Settings) -> Loop {
    let mut closed = Loop::new(settings, 0.5, 0.5);
    (0..100).for_each(|_| drop(closed.step()));
    closed.is_stuck = true;
    closed
}

#[test]
fn a_stop_while_the_twin_is_nowhere_holds_it_when_it_is_there_again() {
    let mut closed = arrived(Settings::default());
    closed.synchronizer.resync(closed.now_ms * MS_NS).expect("it is not stopped");
    closed.silent = Some(Source::Twin);
    closed.synchronizer.safety_stop();
    assert_eq!([closed.step(), closed.step()].map(|tick| tick.joints[0].command), [None; 2]);
    (closed.silent, closed.twin) = (None, 0.25);
    let told = [closed.step(), closed.step()].map(|tick| (tick.joints[0].command, tick.is_hold));
    assert_eq!(told, [(Some(0.25), true), (None, false)]);
    assert_eq!(closed.synchronizer.safety_stop(), None, "stopped already");
    assert_eq!(closed.step().joints[0].command, Some(0.25), "and held again");
}

#[test]
fn a_stop_goes_by_no_position_that_is_stale() {
    for (silent_ticks, is_held) in [(25, true), (26, false)] {
        let mut closed = arrived(Settings::default());
        closed.silent = Some(Source::Twin);
        (1..silent_ticks).for_each(|_| drop(closed.step()));
        closed.synchronizer.safety_stop();
        assert_eq!(closed.step().is_hold, is_held, "{silent_ticks} ticks of 10 ms");
    }
}

#[test]
fn a_stop_on_divergence_while_commands_are_off_leaves_the_hold_to_a_safety_stop() {
    let mut closed = arrived(Settings { stop_on_divergence: true, ..Settings::default() });
    closed.synchronizer.enable(false);
    closed.twin = 0.0;
    let told: Vec<_> = (0..100).map(|_| closed.step().joints[0].command).collect();
    assert_eq!((closed.synchronizer.state(), told), (State::Stopped, vec![None; 100]));
    assert_eq!(closed.synchronizer.safety_stop(), None, "stopped already");
    assert_eq!(closed.step().joints[0].command, Some(0.0));
}

#[test]
fn where_others_lead_the_twin_only_a_resync_moves_it_and_a_stop_holds_what_they_told() {
    let (mut synchronizer, [elbow, wrist]) =
        arm(Settings { commands: true, forward_commands: true, ..Settings::default() });
    let mut now_ms = 0;
    let mut told = |synchronizer: &mut Synchronizer| {
        now_ms += 10;
        send(synchronizer, Source::Reference, now_ms, &[(elbow, 0.5), (wrist, 0.5)]);
        send(synchronizer, Source::Twin, now_ms, &[(elbow, 0.0), (wrist, 0.0)]);
        let tick = turn(synchronizer, now_ms * MS_NS);
        [elbow, wrist].map(|joint| tick.joints[joint.index()].command)
    };
    assert_eq!([told(&mut synchronizer), told(&mut synchronizer)], [[None; 2]; 2]);
    synchronizer.safety_stop();
    assert_eq!(told(&mut synchronizer), [None; 2], "nothing was told");
    synchronizer.clear_fault();
    told(&mut synchronizer);
    assert_eq!(synchronizer.may_forward(), Ok(()));
    synchronizer.forwarded(&[wrist]);
    synchronizer.safety_stop();
    assert_eq!(told(&mut synchronizer), [None, Some(0.0)], "and no other joint");
    synchronizer.clear_fault();
    synchronizer.resync(0).expect("it is not stopped");
    assert_eq!(synchronizer.may_forward(), Err(Refusal::Resync));
    assert_eq!(told(&mut synchronizer), [Some(0.01); 2], "brought to the reference");
    assert_eq!(synchronizer.forward(wrist, 0.0), Err(Refusal::Resync));
    synchronizer.safety_stop();
    assert_eq!((told(&mut synchronizer), synchronizer.may_forward()), ([Some(0.0); 2], Err(Refusal::Stopped)));
}

#[test]
fn what_a_joint_cannot_reach_in_time_from_where_the_twin_is_is_told() {
    let limits =
        |is_continuous, velocity| JointLimits { is_continuous, position: Some(-9.0..=9.0), velocity: Some(velocity) };
    let mut synchronizer = Synchronizer::new(Settings {
        sign_map: [("elbow".to_owned(), twin_sync::Sign::Opposite)].into(),
        max_latency_seconds: 0.1,
        state_threshold: 0.01,
        ..Settings::default()
    });
    synchronizer.set_limits([("elbow".to_owned(), limits(false, 2.0)), ("wheel".to_owned(), limits(true, 2.0))].into());
    let [elbow, wheel, loose] = ["elbow", "wheel", "loose"]
        .map(|name| synchronizer.joint(Source::Twin, name).expect("room").expect("it is followed"));
    for joint in [elbow, loose] {
        assert_eq!(synchronizer.is_in_reach(joint, 0.0, 1.0, 0), Err(Refusal::Lost), "nobody knows from where");
    }
    send(&mut synchronizer, Source::Twin, 0, &[(elbow, 0.5), (wheel, 6.2), (loose, 0.0)]);
    assert_eq!(synchronizer.is_in_reach(loose, 9.0, 0.0, 0), Ok(true), "it has no limit");
    // In the twin's own sense; 0.21 for the lag and the error that a twin may have.
    for (joint, position, seconds, is_in_reach) in [
        (elbow, 0.705, 0.0, true),
        (elbow, 0.72, 0.0, false),
        (elbow, 0.68, -0.05, true),
        (elbow, 2.70, 1.0, true),
        (elbow, 2.72, 1.0, false),
        (elbow, -0.5, 0.0, false),
        (wheel, 0.1, 0.0, true),
        (wheel, 3.0, 0.0, false),
    ] {
        let found = synchronizer.is_in_reach(joint, position, seconds, 2_000 * MS_NS);
        assert_eq!(found, Ok(is_in_reach), "{position} in {seconds} s");
    }
    for joint in [elbow, loose] {
        assert_eq!(synchronizer.is_in_reach(joint, 0.5, 1.0, 2_001 * MS_NS), Err(Refusal::Lost));
    }
}

#[test]
fn a_divergence_stops_the_commands_where_that_is_set() {
    let mut closed = Loop::new(Settings { stop_on_divergence: true, ..Settings::default() }, 0.0, 0.0);
    (0..100).for_each(|_| drop(closed.step()));
    (closed.is_stuck, closed.twin) = (true, 0.3);
    let states: Vec<_> = (0..100).filter_map(|_| closed.step().transition).map(|transition| transition.to).collect();
    assert_eq!(states[states.len() - 2..], [State::Diverged, State::Stopped]);
    assert_eq!(closed.step().joints[0].command, None);
}

#[test]
fn a_twin_that_turns_the_other_way_is_told_so() {
    let sign_map = [("elbow".to_owned(), twin_sync::Sign::Opposite)].into();
    let mut closed = Loop::new(Settings { sign_map, ..Settings::default() }, 0.5, 0.0);
    let last = (0..200).map(|_| closed.step()).last().expect("a tick");
    assert_eq!((closed.twin, last.state), (-0.5, State::Synced));
    let elbow = closed.synchronizer.joint(Source::Twin, "elbow").expect("room").expect("it is followed");
    assert_eq!(closed.synchronizer.forward(elbow, 0.2), Ok((-0.2, false)));
}

#[test]
fn a_velocity_that_goes_along_keeps_to_the_limit_of_the_joint() {
    let mut synchronizer = Synchronizer::new(Settings {
        sign_map: [("elbow".to_owned(), twin_sync::Sign::Opposite)].into(),
        ..Settings::default()
    });
    let limits = JointLimits { is_continuous: true, position: None, velocity: Some(2.0) };
    synchronizer.set_limits([("elbow".to_owned(), limits)].into());
    let elbow = synchronizer.joint(Source::Reference, "elbow").expect("room").expect("it is followed");
    let wrist = synchronizer.joint(Source::Reference, "wrist").expect("room").expect("it is followed");
    for (joint, velocity, told) in [(elbow, 1.0, -1.0), (elbow, -9.0, 2.0), (wrist, 9.0, 9.0)] {
        assert_eq!(synchronizer.forward_velocity(joint, velocity), Ok(told));
    }
    for velocity in [f64::NAN, f64::INFINITY] {
        assert_eq!(synchronizer.forward_velocity(elbow, velocity), Err(Refusal::NotFinite));
    }
}

#[test]
fn what_is_refused_or_changed_is_counted() {
    let mut closed = Loop::new(Settings::default(), 3.0, 1.9);
    (0..100).for_each(|_| drop(closed.step()));
    let tick = closed.step();
    assert_eq!((tick.clamped, tick.refused, tick.joints[0].command), (1, 0, Some(2.0)));
    closed.synchronizer.set_limits(std::collections::HashMap::new());
    let tick = closed.step();
    assert_eq!((tick.clamped, tick.refused, tick.joints[0].command), (0, 1, None));
}

#[test]
fn a_joint_that_the_twin_does_not_name_any_more_is_told_nothing() {
    let mut synchronizer = Synchronizer::new(Settings { commands: true, ..Settings::default() });
    let limits = JointLimits { is_continuous: true, position: None, velocity: None };
    synchronizer.set_limits(["left", "right"].map(|name| (name.to_owned(), limits.clone())).into());
    let mut values = |source| {
        ["left", "right"].map(|name| {
            let joint = synchronizer.joint(source, name).expect("room").expect("it is followed");
            JointValue { joint, position: 0.5, velocity: f64::NAN, effort: f64::NAN }
        })
    };
    let (reference, twin) = (values(Source::Reference), values(Source::Twin));
    let mut told = Vec::new();
    for now_ms in (0..4_000).step_by(10) {
        synchronizer.ingest(Source::Reference, None, now_ms * MS_NS, &reference);
        let named = if now_ms < 1_000 { &twin[..] } else { &twin[..1] };
        synchronizer.ingest(Source::Twin, None, now_ms * MS_NS, named);
        let tick = turn(&mut synchronizer, now_ms * MS_NS);
        told.push([0, 1].map(|joint| tick.joints[joint].command.is_some()));
    }
    assert_eq!((told[99], told[298], told[301], told[399]), ([true; 2], [true; 2], [true, false], [true, false]));
}
