//! TensorBoard's file format. It is written by hand, because it has only six protobuf messages with
//! some twenty fields. A protobuf library would cost more build time than this file costs to read.
//!
//! A file is a sequence of frames. A frame is the payload's length (u64, little endian), the masked
//! CRC32C of those eight bytes, the payload, and the masked CRC32C of the payload. Field numbers
//! are those of TensorFlow's `event.proto`, `summary.proto` and `tensor.proto`.

/// A protobuf message that is built field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn int(mut self, field: u64, value: u64) -> Self {
        self.tag(field, 0);
        self.varint(value);
        self
    }

    fn double(mut self, field: u64, value: f64) -> Self {
        self.tag(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.tag(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, &value.0)
    }
}

/// The data of one tag at one step.
pub(super) enum Shown {
    /// A point of a curve.
    Scalar(f32),
    /// Bins as (left, right, count).
    Histogram(Vec<[f64; 3]>),
    /// Markdown.
    Text(String),
}

/// A tag with its description and its data.
pub(super) struct Value {
    pub tag: String,
    pub description: String,
    pub shown: Shown,
}

// Values of TensorFlow's enums `DataType` and `DataClass`.
const DT_DOUBLE: u64 = 2;
const DT_STRING: u64 = 7;
const CLASS_SCALAR: u64 = 1;
const CLASS_TENSOR: u64 = 2;

impl Value {
    /// Encodes the message `Summary.Value`.
    fn encode(&self) -> Message {
        let value = Message::default().bytes(1, self.tag.as_bytes());
        let (plugin, class, value) = match &self.shown {
            // Every reader knows `simple_value`. TensorBoard converts it to a tensor.
            Shown::Scalar(number) => ("scalars", CLASS_SCALAR, value.float(2, *number)),
            Shown::Histogram(bins) => {
                let content: Vec<u8> = bins
                    .iter()
                    .flatten()
                    .flat_map(|v| v.to_le_bytes())
                    .collect();
                let shape = shape(&[bins.len() as u64, 3]);
                let tensor = Message::default().int(1, DT_DOUBLE).message(2, shape);
                (
                    "histograms",
                    CLASS_TENSOR,
                    value.message(8, tensor.bytes(4, &content)),
                )
            }
            Shown::Text(text) => {
                let tensor = Message::default().int(1, DT_STRING).message(2, shape(&[]));
                (
                    "text",
                    CLASS_TENSOR,
                    value.message(8, tensor.bytes(8, text.as_bytes())),
                )
            }
        };
        let metadata = Message::default()
            .message(1, Message::default().bytes(1, plugin.as_bytes()))
            .bytes(3, self.description.as_bytes())
            .int(4, class);
        value.message(9, metadata)
    }
}

/// The message `TensorShapeProto`.
fn shape(sizes: &[u64]) -> Message {
    sizes.iter().fold(Message::default(), |shape, &size| {
        shape.message(2, Message::default().int(1, size))
    })
}

/// The event that begins every file, as a frame.
pub(super) fn version(wall_time: f64) -> Vec<u8> {
    frame(
        &Message::default()
            .double(1, wall_time)
            .bytes(3, b"brain.Event:2"),
    )
}

/// The event with values at one step, as a frame.
pub(super) fn event(wall_time: f64, step: u64, values: &[Value]) -> Vec<u8> {
    let summary = values.iter().fold(Message::default(), |summary, value| {
        summary.message(1, value.encode())
    });
    let event = Message::default().double(1, wall_time).int(2, step);
    frame(&event.message(5, summary))
}

/// The event that starts a session at this step, as a frame.
pub(super) fn session_start(wall_time: f64, step: u64) -> Vec<u8> {
    // `SessionLog` with the status `START`.
    let session = Message::default().int(1, 1);
    let event = Message::default().double(1, wall_time).int(2, step);
    frame(&event.message(7, session))
}

fn frame(Message(payload): &Message) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut frame = Vec::with_capacity(payload.len() + 16);
    frame.extend(length);
    frame.extend(masked_crc(&length).to_le_bytes());
    frame.extend(payload);
    frame.extend(masked_crc(payload).to_le_bytes());
    frame
}

/// The mask prevents degenerate checksums of data that itself contains checksums.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with the Castagnoli polynomial, reflected.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ 0x82f6_3b78
                } else {
                    crc >> 1
                };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc, &byte| {
        TABLE[((crc ^ u32::from(byte)) & 0xff) as usize] ^ crc >> 8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // Test vectors of RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
