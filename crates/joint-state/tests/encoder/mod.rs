//! A `sensor_msgs/msg/JointState` and a naive CDR encoder for it, written from the specification and sharing nothing with the reader.
#![allow(dead_code, reason = "each test binary uses its part")]

#[derive(Clone, Debug, Default)]
pub struct JointState {
    pub sec: i32,
    pub nanosec: u32,
    pub frame_id: Vec<u8>,
    pub name: Vec<Vec<u8>>,
    pub position: Vec<f64>,
    pub velocity: Vec<f64>,
    pub effort: Vec<f64>,
}

impl JointState {
    /// Joints with these positions, and no velocities or efforts.
    pub fn of<N: AsRef<[u8]>>(joints: impl IntoIterator<Item = (N, f64)>) -> Self {
        let (name, position) = joints.into_iter().map(|(name, position)| (name.as_ref().to_vec(), position)).unzip();
        JointState { name, position, ..JointState::default() }
    }

    /// As most senders would have it: little endian, zeros in the padding.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_as(&Encoding::default())
    }

    pub fn encode_as(&self, encoding: &Encoding) -> Vec<u8> {
        let mut writer = Writer { bytes: Vec::new(), encoding, padding: encoding.padding.iter().cycle() };
        writer.u32(self.sec.cast_unsigned());
        writer.u32(self.nanosec);
        writer.string(&self.frame_id);
        writer.u32(self.name.len() as u32);
        self.name.iter().for_each(|name| writer.string(name));
        [&self.position, &self.velocity, &self.effort].into_iter().for_each(|values| writer.doubles(values));
        let encapsulation = if encoding.big_endian { [0, 0] } else { [0, 1] };
        [&encapsulation[..], &encoding.options, &writer.bytes, &encoding.trailing].concat()
    }
}

#[derive(Clone, Debug)]
pub struct Encoding {
    pub big_endian: bool,
    pub options: [u8; 2],
    /// Repeated for as much padding as is needed.
    pub padding: Vec<u8>,
    pub trailing: Vec<u8>,
    /// Whether empty strings are sent with length 0 and no NUL.
    pub bare_empty_strings: bool,
}

impl Default for Encoding {
    fn default() -> Self {
        Encoding {
            big_endian: false,
            options: [0, 0],
            padding: vec![0],
            trailing: Vec::new(),
            bare_empty_strings: false,
        }
    }
}

struct Writer<'a> {
    bytes: Vec<u8>,
    encoding: &'a Encoding,
    padding: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl Writer<'_> {
    fn align(&mut self, to: usize) {
        while !self.bytes.len().is_multiple_of(to) {
            self.bytes.push(*self.padding.next().expect("some padding"));
        }
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend(if self.encoding.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn string(&mut self, text: &[u8]) {
        if text.is_empty() && self.encoding.bare_empty_strings {
            return self.u32(0);
        }
        self.u32(text.len() as u32 + 1);
        self.bytes.extend(text);
        self.bytes.push(0);
    }

    fn doubles(&mut self, values: &[f64]) {
        self.u32(values.len() as u32);
        for value in values {
            self.align(8);
            self.bytes.extend(if self.encoding.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
        }
    }
}
