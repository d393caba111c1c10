//! What can be thought of the twin as a whole, and why.

/// The state of the synchronization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum State {
    Waiting,
    Mirroring,
    Synced,
    Degraded,
    Diverged,
    Lost,
    Stopped,
}

impl State {
    /// Every state, in the order of declaration.
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Mirroring, Self::Synced, Self::Degraded, Self::Diverged, Self::Lost, Self::Stopped];

    /// The name as users see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Mirroring => "MIRRORING",
            Self::Synced => "SYNCED",
            Self::Degraded => "DEGRADED",
            Self::Diverged => "DIVERGED",
            Self::Lost => "LOST",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why a state was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Cause {
    NoReference,
    ReferenceLost,
    TwinLost,
    ReferenceStale,
    TwinStale,
    NoTwin,
    NoCommonJoint,
    Divergence,
    Lag,
    Delay,
    ClocksDiffer,
    JointsMissing,
    MeanError,
    WithinLimits,
    StopRequested,
    StoppedOnDivergence,
    FaultCleared,
    Resync,
}

impl Cause {
    /// Every cause, in the order of declaration.
    pub const ALL: [Self; 18] = [
        Self::NoReference,
        Self::ReferenceLost,
        Self::TwinLost,
        Self::ReferenceStale,
        Self::TwinStale,
        Self::NoTwin,
        Self::NoCommonJoint,
        Self::Divergence,
        Self::Lag,
        Self::Delay,
        Self::ClocksDiffer,
        Self::JointsMissing,
        Self::MeanError,
        Self::WithinLimits,
        Self::StopRequested,
        Self::StoppedOnDivergence,
        Self::FaultCleared,
        Self::Resync,
    ];

    /// The name as the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoReference => "no_reference",
            Self::ReferenceLost => "reference_lost",
            Self::TwinLost => "twin_lost",
            Self::ReferenceStale => "reference_stale",
            Self::TwinStale => "twin_stale",
            Self::NoTwin => "no_twin",
            Self::NoCommonJoint => "no_common_joint",
            Self::Divergence => "divergence",
            Self::Lag => "lag",
            Self::Delay => "delay",
            Self::ClocksDiffer => "clocks_differ",
            Self::JointsMissing => "joints_missing",
            Self::MeanError => "mean_error",
            Self::WithinLimits => "within_limits",
            Self::StopRequested => "stop_requested",
            Self::StoppedOnDivergence => "stopped_on_divergence",
            Self::FaultCleared => "fault_cleared",
            Self::Resync => "resync",
        }
    }

    /// The cause in words, for a log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoReference => "the reference has brought nothing yet",
            Self::ReferenceLost => "the reference has brought nothing new for longer than lost_timeout",
            Self::TwinLost => "the twin has brought nothing new for longer than lost_timeout",
            Self::ReferenceStale => "the reference has brought nothing new for longer than stale_timeout",
            Self::TwinStale => "the twin has brought nothing new for longer than stale_timeout",
            Self::NoTwin => "there is a reference and no twin yet",
            Self::NoCommonJoint => "reference and twin have no joint in common at one time",
            Self::Divergence => "the error of a joint stayed beyond divergence_threshold for divergence_hold",
            Self::Lag => "the twin's lag is beyond max_latency",
            Self::Delay => "messages are delayed by more than max_latency over the least seen",
            Self::ClocksDiffer => "joints of one input are stamped by clocks more than 0.1 s apart",
            Self::JointsMissing => {
                "an input tells nothing of a joint that is selected or that both had, for longer than lost_timeout or not yet"
            }
            Self::MeanError => "the mean error is beyond state_threshold",
            Self::WithinLimits => "lag and errors are within their limits",
            Self::StopRequested => "a safety stop was asked for",
            Self::StoppedOnDivergence => "stop_on_divergence is set and the twin has diverged",
            Self::FaultCleared => "the fault was cleared",
            Self::Resync => "a resynchronization was asked for",
        }
    }
}

/// From one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state since.
    pub to: State,
    /// Why.
    pub cause: Cause,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_cause_has_a_name_of_its_own() {
        let states = std::collections::HashSet::from(State::ALL.map(State::name));
        let causes = std::collections::HashSet::from(Cause::ALL.map(Cause::name));
        let texts = std::collections::HashSet::from(Cause::ALL.map(Cause::text));
        assert_eq!((states.len(), causes.len(), texts.len()), (7, 18, 18));
    }
}
