//! Reads `diagnostic_msgs/msg/DiagnosticArray` as it was serialized: what others tell is not trusted.

use std::borrow::Cow;

use cdr::{Fault, Reader};

/// The most statuses of a message, and the most values of a status, that are read.
const COUNT_MAX: usize = 1 << 16;

/// One status; texts that are not UTF-8 are mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status<'a> {
    pub(crate) level: u8,
    pub(crate) name: Cow<'a, str>,
    pub(crate) message: Cow<'a, str>,
    pub(crate) hardware_id: Cow<'a, str>,
    pub(crate) values: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// The statuses of a message.
///
/// # Errors
/// When the bytes are not such a message.
pub(crate) fn statuses(message: &[u8]) -> Result<Vec<Status<'_>>, Fault> {
    let mut reader = Reader::open(message)?;
    let _stamp = reader.stamp()?;
    let _frame_id = reader.string()?;
    let count = reader.count(COUNT_MAX)?;
    // Not reserved in advance: a count is a claim.
    (0..count).map(|_| status(&mut reader)).collect()
}

fn status<'a>(reader: &mut Reader<'a>) -> Result<Status<'a>, Fault> {
    let level = reader.u8()?;
    let [name, message, hardware_id] = [text(reader)?, text(reader)?, text(reader)?];
    let count = reader.count(COUNT_MAX)?;
    let values: Result<_, Fault> = (0..count).map(|_| Ok((text(reader)?, text(reader)?))).collect();
    Ok(Status { level, name, message, hardware_id, values: values? })
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, Fault> {
    Ok(String::from_utf8_lossy(reader.string()?))
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;
    use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};

    use super::*;

    fn message() -> Vec<u8> {
        let value = |key: &str, value: &str| KeyValue { key: key.into(), value: value.into() };
        let status = |level, name: &str, values| DiagnosticStatus {
            level,
            name: name.into(),
            message: "a message".into(),
            hardware_id: "arm".into(),
            values,
        };
        let status =
            vec![status(2, "motor: 1", vec![value("temperature", "71.5"), value("", "")]), status(0, "", Vec::new())];
        DiagnosticArray { status, ..Default::default() }.to_serialized_bytes().expect("a serialized message")
    }

    #[test]
    fn what_ros_has_serialized_is_read() {
        let message = message();
        let found = statuses(&message).expect("statuses");
        let told: Vec<_> = found.iter().map(|status| (status.level, &*status.name, &*status.hardware_id)).collect();
        assert_eq!(told, [(2, "motor: 1", "arm"), (0, "", "arm")]);
        assert_eq!(found[0].message, "a message");
        assert_eq!(found[0].values, [("temperature".into(), "71.5".into()), ("".into(), "".into())]);
    }

    #[test]
    fn whatever_the_bytes_are_they_are_read_or_refused() {
        let message = message();
        let whole = statuses(&message).map(|found| found.len());
        for length in 0..message.len() {
            let cut = statuses(&message[..length]).map(|found| found.len());
            assert!(cut.is_err() || cut == whole, "{length}: {cut:?}");
        }
        for at in 0..message.len() {
            let mut garbled = message.clone();
            garbled[at] = 0xff;
            let _ = statuses(&garbled);
        }
    }
}
