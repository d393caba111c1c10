"""How a twin follows its robot: the state, the errors of its joints, its lag, its clocks, the synchronizer's own work."""

from .frame import Frame, Section, Variable
from .panels import Query, distribution, history, lines, number, timeline
from .promql import SYNCHRONIZER, greatest, number_of_state, per_second, quantile, select, total
from .states import TWIN_STATES

ROBOT = "{{robot}}"
JOINT = "{{robot}} {{joint_name}}"
SOURCE = "{{robot}} {{source}}"
OF_JOINT = 'joint_name=~"$joint"'
COMPENSATED = f'{OF_JOINT}, compensation="lag"'
ERROR_UNIT = "suffix: rad or m"


def of_twin(metric: str, where: str = "") -> str:
    return select(metric, SYNCHRONIZER, where=where)


def rate_of(metric: str) -> str:
    return per_second(of_twin(metric))


RAW_RMS = of_twin("ros_twin_joint_error_rms", f'{OF_JOINT}, compensation="none"')
RMS = of_twin("ros_twin_joint_error_rms", COMPENSATED)
LAG = of_twin("ros_twin_lag_seconds")
TWIN_CLOCK = of_twin("ros_twin_clock_offset_seconds", 'source="twin"')
REFERENCE_CLOCK = of_twin("ros_twin_clock_offset_seconds", 'source="reference"')

NOW = Section(
    "Now",
    [
        number(
            "Quality",
            "percentunit",
            "1 less the mean error over state_threshold.",
            Query(f"min({of_twin('ros_twin_quality_ratio')})"),
        ),
        number(
            "Mean error",
            ERROR_UNIT,
            "Of the joints, with the lag taken out where it is known.",
            Query(f"max({of_twin('ros_twin_mean_error')})"),
        ),
        number(
            "Joint farthest off", ERROR_UNIT, "The greatest error of a joint.", Query(f"max({of_twin('ros_twin_worst_error')})")
        ),
        number("Lag", "s", "By how much the twin is behind: the median of its joints.", Query(f"max({LAG})")),
        number(
            "Joints compared",
            "none",
            "Joints that errors and quality are of.",
            Query(f"sum({of_twin('ros_twin_compared_joints')})"),
        ),
        number(
            "Joints missing",
            "none",
            "Joints that are expected of both and of which one tells nothing.",
            Query(f"sum({of_twin('ros_twin_missing_joints')})"),
            bad_from=1,
        ),
        timeline(
            "State",
            "The state of each robot and its twin: docs/synchronization_node.md tells how each begins and ends.",
            Query(number_of_state(TWIN_STATES, "ros_twin_state", SYNCHRONIZER, "state"), ROBOT),
            TWIN_STATES,
            width=16,
            height=7,
        ),
        lines(
            "Changes of the state",
            "none",
            "In the last minute, by the state that was entered and the cause. A line begins with the second of its kind.",
            Query(
                total(f"increase({of_twin('ros_twin_state_transitions_total')}[1m])", "to", "cause"),
                "{{robot}} {{to}}: {{cause}}",
            ),
            width=8,
            height=7,
            minimum=0,
        ),
    ],
)

DIVERGENCE = Section(
    "Divergence",
    [
        lines(
            "Errors",
            ERROR_UNIT,
            "Of all joints: the mean, and the greatest, with the lag taken out where it is known.",
            Query(greatest(of_twin("ros_twin_mean_error")), f"{ROBOT} mean"),
            Query(greatest(of_twin("ros_twin_worst_error")), f"{ROBOT} farthest off"),
            minimum=0,
        ),
        lines(
            "What the lag adds",
            ERROR_UNIT,
            "Mean over the joints of the root mean square error, as it is and with the lag taken out: a twin that is late has "
            "the first, a twin that is wrong has both.",
            Query(f"avg by (region, robot) ({RAW_RMS})", f"{ROBOT} as it is"),
            Query(f"avg by (region, robot) ({RMS})", f"{ROBOT} without the lag"),
            minimum=0,
        ),
        history(
            "Which joints are off, and when",
            ERROR_UNIT,
            "Root mean square error over the node's window, with the lag taken out.",
            Query(greatest(RMS, "joint_name"), JOINT),
        ),
        lines(
            "Error of each joint",
            ERROR_UNIT,
            "Robot minus twin at the last tick, with the lag taken out.",
            Query(of_twin("ros_twin_joint_error", COMPENSATED), JOINT),
            height=10,
            legend_beside=True,
        ),
        lines(
            "Drift of each joint",
            "suffix: rad/s or m/s",
            "Slope of the error over the node's window: what grows will be a divergence.",
            Query(of_twin("ros_twin_joint_error_drift_per_second", COMPENSATED), JOINT),
            height=10,
            legend_beside=True,
        ),
        distribution(
            "Sizes of errors",
            ERROR_UNIT,
            "How often the error of a joint was how great, at each tick, with the lag taken out.",
            f"sum by (le) ({per_second(of_twin('ros_twin_joint_error_magnitude_bucket', COMPENSATED))})",
        ),
        lines(
            "Errors of velocity",
            "suffix: rad/s or m/s",
            "Root mean square error of each joint's velocity, with the lag taken out.",
            Query(of_twin("ros_twin_joint_velocity_error_rms", COMPENSATED), JOINT),
            legend_beside=True,
            minimum=0,
        ),
    ],
)

LAGS = Section(
    "Lag and clocks",
    [
        lines(
            "Lag",
            "s",
            "By how much the twin is behind, as the median of its joints. No line where no motion shows it.",
            Query(greatest(LAG), ROBOT),
            threshold="twin_lag_seconds",
        ),
        lines(
            "Lag of each joint",
            "s",
            "By how much a joint of the twin is behind.",
            Query(of_twin("ros_twin_joint_lag_seconds", OF_JOINT), JOINT),
            legend_beside=True,
        ),
        lines(
            "Age and delay of sources",
            "s",
            "How old the newest sample is, and by how much later than the least delayed the last message came.",
            Query(greatest(of_twin("ros_twin_source_age_seconds"), "source"), f"{SOURCE} age"),
            Query(greatest(of_twin("ros_twin_source_delay_seconds"), "source"), f"{SOURCE} delay"),
            minimum=0,
        ),
        lines(
            "Clock of the twin against that of the robot",
            "s",
            "The clock of the twin's stamps less that of the robot's, with the least delays seen: how it changes tells clocks "
            "that go apart.",
            Query(f"{greatest(REFERENCE_CLOCK)} - {greatest(TWIN_CLOCK)}", ROBOT),
        ),
        lines(
            "Real-time factor",
            "none",
            "Seconds that pass by the clock of a source's stamps in a second: below 1, a simulator does not keep up.",
            Query(greatest(of_twin("ros_twin_real_time_factor"), "source"), SOURCE),
            threshold="real_time_factor",
        ),
        lines(
            "Samples and clocks that were refused",
            "cps",
            "Values of joints that were left out, by reason; samples that were forgotten; clocks that leapt.",
            Query(total(rate_of("ros_twin_samples_dropped_total"), "source", "reason"), f"{SOURCE} {{{{reason}}}}"),
            Query(total(rate_of("ros_twin_flushes_total"), "source", "reason"), f"{SOURCE} flush: {{{{reason}}}}"),
            Query(total(rate_of("ros_twin_clock_steps_total"), "source"), f"{SOURCE} clock step"),
            minimum=0,
        ),
    ],
)

WORK = Section(
    "Ticks and commands",
    [
        lines(
            "Ticks",
            "hertz",
            "Ticks per second: done, and left out since those before took too long.",
            Query(total(rate_of("ros_twin_ticks_total")), f"{ROBOT} done"),
            Query(total(rate_of("ros_twin_tick_overruns_total")), f"{ROBOT} left out"),
            minimum=0,
        ),
        lines(
            "Time",
            "s",
            "99 of 100 ticks take no longer, and 99 of 100 messages of the robot are in a tick that is done no later.",
            Query(quantile(0.99, of_twin("ros_twin_tick_duration_seconds_bucket")), f"{ROBOT} tick"),
            Query(quantile(0.99, of_twin("ros_twin_added_latency_seconds_bucket")), f"{ROBOT} added latency"),
            minimum=0,
        ),
        lines(
            "Commands",
            "cps",
            "Commands that the twin was given, and joints of them that a limit has changed.",
            Query(total(rate_of("ros_twin_commands_total")), f"{ROBOT} given"),
            Query(total(rate_of("ros_twin_commands_clamped_total")), f"{ROBOT} clamped"),
            minimum=0,
        ),
        lines(
            "Commands that were refused",
            "cps",
            "By reason: to follow the robot, and of the robot that were to be passed on.",
            Query(total(rate_of("ros_twin_commands_refused_total"), "reason"), f"{ROBOT} {{{{reason}}}}"),
            Query(total(rate_of("ros_twin_forwarded_commands_refused_total"), "reason"), f"{ROBOT} forwarded: {{{{reason}}}}"),
            minimum=0,
        ),
    ],
)

FRAME = Frame(
    uid="digital-twin-synchronization",
    title="Digital Twin Synchronization",
    description="How far a twin is from its robot, with its lag taken out, and what its clocks and commands do.",
    sections=[NOW, DIVERGENCE, LAGS, WORK],
    variables=[Variable("joint", "Joint", of_twin("ros_twin_joint_error"), "joint_name")],
)
