//! Why a message, or a joint in it, was refused.

use thiserror::Error;

/// One reason to refuse a message or a joint.
///
/// The first four refuse the whole message, the others only the joints concerned.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The encapsulation header announces neither big-endian nor little-endian plain CDR.
    #[error("the message is not encoded in plain CDR")]
    WrongEncoding,
    /// The message ends before the data that it announces.
    #[error("the message ends before the data that it announces")]
    Truncated,
    /// More than 64 MiB or 1,048,576 names, also if only announced, a string that does not end in NUL where its length says, or data left
    /// over after the last field.
    #[error("the message contradicts its own lengths, or is longer than 64 MiB or 1,048,576 names")]
    BadLength,
    /// More positions, velocities or efforts than names.
    #[error("the message has more values than names")]
    LengthMismatch,
    /// A joint's name is empty, longer than 256 bytes, contains NUL, or is not UTF-8.
    #[error("a joint's name is empty, too long, contains NUL or is not UTF-8")]
    BadName,
    /// A name occurs more than once in the message: none of its values can be told to be the joint's.
    #[error("a joint is named more than once in the message")]
    DuplicateJoint,
    /// A new joint when as many as allowed are known already.
    #[error("more joints than allowed")]
    TooManyJoints,
}

impl Fault {
    /// Every fault, in the order of declaration.
    pub const ALL: [Fault; 7] = [
        Fault::WrongEncoding,
        Fault::Truncated,
        Fault::BadLength,
        Fault::LengthMismatch,
        Fault::BadName,
        Fault::DuplicateJoint,
        Fault::TooManyJoints,
    ];

    /// The reason as the value of a metric's label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Fault::WrongEncoding => cdr::Fault::WrongEncoding.reason(),
            Fault::Truncated => cdr::Fault::Truncated.reason(),
            Fault::BadLength => cdr::Fault::BadLength.reason(),
            Fault::LengthMismatch => "length_mismatch",
            Fault::BadName => "bad_name",
            Fault::DuplicateJoint => "duplicate_joint",
            Fault::TooManyJoints => "too_many_joints",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl From<cdr::Fault> for Fault {
    fn from(fault: cdr::Fault) -> Self {
        match fault {
            cdr::Fault::WrongEncoding => Fault::WrongEncoding,
            cdr::Fault::Truncated => Fault::Truncated,
            cdr::Fault::BadLength => Fault::BadLength,
        }
    }
}

/// A set of faults, of the size of a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FaultSet(u8);

impl FaultSet {
    /// Whether there is no fault.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `fault` is in the set.
    #[must_use]
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// Adds `fault`.
    pub const fn insert(&mut self, fault: Fault) {
        self.0 |= fault.bit();
    }

    /// The faults of the set, in the order of [`Fault::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |&fault| self.contains(fault))
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        let mut set = FaultSet::default();
        faults.into_iter().for_each(|fault| set.insert(fault));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_inserted_and_nothing_else() {
        for fault in Fault::ALL {
            let set = FaultSet::from_iter([fault]);
            assert_eq!(set.iter().collect::<Vec<_>>(), [fault]);
            assert!(!set.is_empty());
        }
        assert!(FaultSet::default().is_empty());
        assert_eq!(FaultSet::from_iter(Fault::ALL).iter().collect::<Vec<_>>(), Fault::ALL);
    }

    #[test]
    fn every_fault_has_a_reason_of_its_own() {
        let reasons = std::collections::HashSet::from(Fault::ALL.map(Fault::reason));
        assert_eq!(reasons.len(), Fault::ALL.len());
    }
}
