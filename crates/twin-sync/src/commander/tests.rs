use super::*;

const STEP_SECONDS: f64 = 0.01;

fn hinge() -> JointLimits {
    JointLimits { is_continuous: false, position: Some(-1.0..=1.0), velocity: Some(5.0) }
}

fn commander() -> Commander {
    let mut commander = Commander::new(&Settings { commands: true, ..Settings::default() });
    commander.admit(1);
    commander
}

fn situation(limits: &JointLimits, reference: f64, twin: f64) -> Situation<'_> {
    Situation {
        limits: Some(limits),
        reference: Some(reference),
        twin: Some(twin),
        is_reference_stale: false,
        is_twin_stale: false,
    }
}

fn position(order: Order) -> Option<f64> {
    match order {
        Order::Position { position, .. } => Some(position),
        Order::Nothing | Order::Refused => None,
    }
}

/// What is told over so many ticks of [`STEP_SECONDS`].
fn follow(commander: &mut Commander, situation: Situation, ticks: usize) -> Vec<f64> {
    (0..ticks).filter_map(|_| position(commander.order(0, Mode::Follow, situation, STEP_SECONDS))).collect()
}

#[test]
fn a_joint_is_brought_to_the_reference_and_then_follows_at_its_own_velocity() {
    let (mut commander, limits) = (commander(), hinge());
    let told = follow(&mut commander, situation(&limits, 0.5, 0.3), 21);
    assert!((told[0] - 0.31).abs() < 1e-9 && (told[9] - 0.4).abs() < 1e-9, "{told:?}");
    assert!(commander.has_arrived() && told[20] == 0.5, "{told:?}");
    let told = follow(&mut commander, situation(&limits, 0.0, 0.3), 1);
    assert!((told[0] - 0.45).abs() < 1e-9, "5 rad/s: {told:?}");
}

#[test]
fn no_joint_is_told_to_leave_its_limits_or_moved_with_none_known() {
    let (mut commander, limits) = (commander(), hinge());
    follow(&mut commander, situation(&limits, 9.0, 0.9), 100);
    let order = commander.order(0, Mode::Follow, situation(&limits, 9.0, 0.9), STEP_SECONDS);
    assert_eq!(order, Order::Position { position: 1.0, is_clamped: true });
    let unknown = JointLimits { position: None, ..hinge() };
    let inverted = JointLimits { position: Some(std::ops::RangeInclusive::new(1.0, -1.0)), ..hinge() };
    for limits in [None, Some(&unknown), Some(&inverted)] {
        let situation = Situation { limits, ..situation(&unknown, 0.0, 0.0) };
        assert_eq!(commander.order(0, Mode::Follow, situation, STEP_SECONDS), Order::Refused);
    }
}

#[test]
fn a_joint_whose_twin_is_nowhere_is_told_nothing() {
    let (mut commander, limits) = (commander(), hinge());
    let unknown = Situation { twin: None, ..situation(&limits, 0.5, 0.0) };
    assert_eq!(commander.order(0, Mode::Follow, unknown, STEP_SECONDS), Order::Nothing);
}

#[test]
fn a_joint_whose_description_makes_no_sense_stays() {
    for velocity in [0.0, -1.0] {
        let (mut commander, limits) = (commander(), JointLimits { velocity: Some(velocity), ..hinge() });
        assert_eq!(follow(&mut commander, situation(&limits, 0.5, 0.1), 2), [0.1, 0.1]);
    }
}

#[test]
fn an_endless_joint_is_brought_the_short_way_without_a_leap() {
    let limits = JointLimits { is_continuous: true, position: None, velocity: None };
    let mut commander = commander();
    let told = follow(&mut commander, situation(&limits, -3.1, 3.1), 20);
    assert!(told.iter().all(|position| (3.1..3.2).contains(position)), "{told:?}");
    let told = follow(&mut commander, situation(&limits, 3.1, 3.1), 1);
    assert!((told[0] - 3.1).abs() < 1e-9, "{told:?}");
}

#[test]
fn what_is_no_number_is_refused_and_not_kept() {
    let endless = JointLimits { is_continuous: true, position: None, velocity: None };
    for limits in [&endless, &hinge()] {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut commander = commander();
            for (reference, twin) in [(bad, 0.0), (0.5, 0.0), (bad, 0.0)] {
                let order = commander.order(0, Mode::Follow, situation(limits, reference, twin), STEP_SECONDS);
                assert_eq!(order == Order::Refused, !reference.is_finite(), "{order:?}");
            }
            let told = follow(&mut commander, situation(limits, 0.5, 0.0), 1);
            assert!(told[0].is_finite(), "{told:?}");
        }
    }
    let mut commander = commander();
    let order = commander.order(0, Mode::Follow, situation(&endless, 1e308, -1e308), STEP_SECONDS);
    assert_eq!(order, Order::Refused, "their difference is no number");
    assert_eq!(follow(&mut commander, situation(&endless, 0.5, 0.3), 1), [0.31]);
}

const STOPPED: Inputs = Inputs { is_stopped: true, is_lost: false, is_stale: false, is_led_by_others: false };
const FOLLOWING: Inputs = Inputs { is_stopped: false, ..STOPPED };

/// What one joint is told in one tick.
fn told(commander: &mut Commander, inputs: Inputs, situation: Situation) -> Order {
    let mode = commander.mode(inputs, [situation].into_iter());
    commander.order(0, mode, situation, STEP_SECONDS)
}

fn held(position: f64) -> Order {
    Order::Position { position, is_clamped: false }
}

#[test]
fn a_stop_is_one_hold_where_the_twin_is_and_silence() {
    let (mut commander, limits) = (commander(), hinge());
    follow(&mut commander, situation(&limits, 0.5, 0.5), 1);
    let moving = situation(&limits, 0.9, 0.6);
    commander.stop();
    assert_eq!([STOPPED; 3].map(|at| told(&mut commander, at, moving)), [held(0.6), Order::Nothing, Order::Nothing]);
    assert_eq!(told(&mut commander, FOLLOWING, moving), held(0.61), "from where it is");
}

#[test]
fn a_stop_holds_what_was_told_whoever_wanted_it_even_while_commands_are_off() {
    for is_enabled in [true, false] {
        let (mut commander, limits) = (commander(), hinge());
        commander.admit(2);
        commander.forwarded(&[JointId(1)]);
        commander.enable(is_enabled);
        commander.stop();
        let alone = Situation { reference: None, ..situation(&limits, 0.0, 0.3) };
        let mode = commander.mode(Inputs { is_lost: true, is_stale: true, ..STOPPED }, [alone; 2].into_iter());
        let orders = [0, 1].map(|joint| commander.order(joint, mode, alone, STEP_SECONDS));
        assert_eq!(orders, [Order::Nothing, held(0.3)], "the first was told nothing");
    }
}

#[test]
fn a_hold_stays_due_until_it_can_be_told() {
    let (mut commander, limits) = (commander(), hinge());
    commander.forwarded(&[JointId(0)]);
    let there = situation(&limits, 0.5, 0.3);
    commander.stop();
    for nowhere in [Situation { twin: None, ..there }, Situation { is_twin_stale: true, ..there }] {
        assert_eq!(told(&mut commander, STOPPED, nowhere), Order::Nothing);
    }
    let alone = Situation { reference: None, is_reference_stale: true, ..there };
    assert_eq!([alone; 2].map(|at| told(&mut commander, STOPPED, at)), [held(0.3), Order::Nothing]);
    commander.stop();
    assert_eq!(told(&mut commander, STOPPED, alone), held(0.3), "asked for again");
}

#[test]
fn a_stop_holds_a_joint_whose_limits_are_not_known_any_more() {
    let unknown = JointLimits { position: None, ..hinge() };
    for limits in [None, Some(&unknown)] {
        let mut commander = commander();
        follow(&mut commander, situation(&hinge(), 0.5, 0.5), 1);
        commander.stop();
        assert_eq!(told(&mut commander, STOPPED, Situation { limits, ..situation(&unknown, 0.5, 0.3) }), held(0.3));
    }
}

#[test]
fn after_a_refusal_a_joint_is_brought_to_the_reference_from_where_the_twin_is() {
    let (mut commander, limits) = (commander(), hinge());
    let gone = Situation { limits: None, ..situation(&limits, 0.5, 0.5) };
    let no_number = situation(&limits, f64::NAN, 0.5);
    for refused in [gone, no_number] {
        follow(&mut commander, situation(&limits, 0.5, 0.5), 50);
        assert!(commander.has_arrived());
        assert_eq!(told(&mut commander, FOLLOWING, refused), Order::Refused);
        assert!(!commander.has_arrived());
        assert_eq!(told(&mut commander, FOLLOWING, situation(&limits, 0.9, 0.25)), held(0.26), "no leap");
    }
}

#[test]
fn a_hold_that_could_not_be_sent_is_told_again_from_where_the_twin_is_then() {
    let (mut commander, limits) = (commander(), hinge());
    commander.admit(2);
    commander.forwarded(&[JointId(0)]);
    commander.stop();
    assert_eq!(told(&mut commander, STOPPED, situation(&limits, 0.5, 0.3)), held(0.3));
    (0..2).for_each(|joint| commander.hold_failed(JointId(joint)));
    let later = situation(&limits, 0.5, 0.4);
    assert_eq!([later; 2].map(|at| told(&mut commander, STOPPED, at)), [held(0.4), Order::Nothing]);
    assert_eq!(commander.order(1, Mode::HoldOnce, later, STEP_SECONDS), Order::Nothing, "it was told nothing");
}

#[test]
fn a_hold_that_could_not_be_told_is_over_when_commands_resume() {
    for is_led_by_others in [false, true] {
        let (mut commander, limits) = (commander(), hinge());
        commander.forwarded(&[JointId(0)]);
        commander.stop();
        let resumed = Inputs { is_led_by_others, ..FOLLOWING };
        let there = situation(&limits, 0.5, 0.3);
        assert_eq!(told(&mut commander, resumed, Situation { twin: None, ..there }), Order::Nothing);
        if is_led_by_others {
            commander.forwarded(&[JointId(0)]);
        }
        let expected = if is_led_by_others { Order::Nothing } else { held(0.31) };
        assert_eq!(told(&mut commander, resumed, there), expected);
    }
}

#[test]
fn when_one_more_joint_can_be_held_all_are() {
    let (mut commander, limits) = (commander(), hinge());
    commander.admit(2);
    commander.forwarded(&[JointId(0), JointId(1)]);
    commander.stop();
    let there = situation(&limits, 0.5, 0.3);
    let mut orders = |second: Situation| {
        let situations = [there, second];
        let mode = commander.mode(STOPPED, situations.into_iter());
        [0, 1].map(|joint| commander.order(joint, mode, situations[joint], STEP_SECONDS))
    };
    assert_eq!(orders(Situation { twin: None, ..there }), [held(0.3), Order::Nothing]);
    assert_eq!(orders(Situation { twin: None, ..there }), [Order::Nothing; 2]);
    assert_eq!(orders(there), [held(0.3); 2]);
    assert_eq!(orders(there), [Order::Nothing; 2]);
}

#[test]
fn a_stop_that_is_cleared_at_once_holds_and_then_brings_to_the_reference() {
    let (mut commander, limits) = (commander(), hinge());
    follow(&mut commander, situation(&limits, 0.5, 0.5), 1);
    commander.stop();
    let moving = situation(&limits, 0.9, 0.25);
    assert_eq!([FOLLOWING; 2].map(|at| told(&mut commander, at, moving)), [held(0.25), held(0.26)]);
}

#[test]
fn a_joint_beyond_its_limits_is_brought_back_at_the_same_velocity_and_held_where_it_is() {
    for (beyond, sign) in [(1.5, 1.0), (-1.5, -1.0)] {
        let (mut commander, limits) = (commander(), hinge());
        let told_so = follow(&mut commander, situation(&limits, sign * 2.0, beyond), 51);
        assert!((told_so[0] - sign * 1.49).abs() < 1e-9, "1 rad/s: {told_so:?}");
        assert_eq!(told_so[50], sign, "and no farther than the limit: {told_so:?}");
        commander.stop();
        assert_eq!(told(&mut commander, STOPPED, situation(&limits, 0.0, beyond)), held(beyond));
    }
}

#[test]
fn stale_input_holds_and_lost_input_is_silent() {
    let (mut commander, limits) = (commander(), hinge());
    follow(&mut commander, situation(&limits, 0.5, 0.5), 1);
    let later = situation(&limits, 0.9, 0.5);
    assert_eq!(told(&mut commander, Inputs { is_stale: true, ..FOLLOWING }, later), held(0.5));
    for stale in [Situation { is_reference_stale: true, ..later }, Situation { is_twin_stale: true, ..later }] {
        assert_eq!(told(&mut commander, FOLLOWING, stale), held(0.5));
    }
    assert!(!commander.has_arrived());
    let elsewhere = situation(&limits, 0.9, 0.25);
    assert_eq!(follow(&mut commander, elsewhere, 1), [0.26], "brought to it from where the twin is");
    assert_eq!(told(&mut commander, Inputs { is_lost: true, is_stale: true, ..FOLLOWING }, later), Order::Nothing);
    assert_eq!(follow(&mut commander, later, 1), [0.51], "brought to it again");
}

#[test]
fn nobody_is_commanded_by_default_or_when_disabled() {
    let (mut shadow, limits) = (Commander::new(&Settings::default()), hinge());
    shadow.admit(1);
    let there = situation(&limits, 0.5, 0.3);
    shadow.stop();
    assert_eq!([FOLLOWING, STOPPED].map(|at| told(&mut shadow, at, there)), [Order::Nothing; 2]);
    let mut commander = commander();
    commander.enable(false);
    assert_eq!(told(&mut commander, FOLLOWING, there), Order::Nothing);
    assert_eq!(commander.may_forward(State::Synced), Err(Refusal::Off));
}

#[test]
fn what_others_want_is_held_to_the_same_limits() {
    assert_eq!(allowed(Some(&hinge()), 3.0), Ok((1.0, true)));
    assert_eq!(allowed(Some(&hinge()), 0.3), Ok((0.3, false)));
    assert_eq!(allowed(None, 0.0), Err(Refusal::NoLimits));
    assert_eq!(allowed(Some(&hinge()), f64::NAN), Err(Refusal::NotFinite));
    for (state, refusal) in
        [(State::Stopped, Refusal::Stopped), (State::Lost, Refusal::Lost), (State::Waiting, Refusal::Lost)]
    {
        assert_eq!(commander().may_forward(state), Err(refusal));
    }
}

#[test]
fn a_tick_that_was_late_does_not_make_joints_leap() {
    let mut commander = commander();
    assert_eq!([0, 10_000_000, 60_000_000_000].map(|now_ns| commander.step_seconds(now_ns)), [0.0, 0.01, 0.1]);
}
