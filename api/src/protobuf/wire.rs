//! The wire format (protobuf.dev/programming-guides/encoding): varints and lengths.
//!
//! In: bytes and numbers. Out: the other. Never knows what a field means.

use super::ProtobufError::{self, Malformed};

/// A value with its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads the fields of a message one by one.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, ProtobufError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|n| *n > 0).ok_or(Malformed("illegal tag 0 in a message"))?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed("unexpected EOF"))?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Malformed("illegal wire type in a message")),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("unexpected EOF"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("unexpected EOF"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("integer overflow"))
    }
}

/// Writes a message from its end to its start: lengths are known when they are written.
#[derive(Default)]
pub(super) struct Backwards {
    /// What is written fills the end of it.
    buffer: Vec<u8>,
    free: usize,
}

impl Backwards {
    /// Bytes that are written so far.
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.free
    }

    /// Writes bytes before all that is there.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() > self.free {
            self.grow(bytes.len());
        }
        let start = self.free - bytes.len();
        self.buffer[start..self.free].copy_from_slice(bytes);
        self.free = start;
    }

    /// Makes room before what is there, as much again at least.
    fn grow(&mut self, room: usize) {
        let mut buffer = vec![0; self.len() + room.max(self.len()).max(64)];
        let free = buffer.len() - self.len();
        buffer[free..].copy_from_slice(&self.buffer[self.free..]);
        (self.buffer, self.free) = (buffer, free);
    }

    /// Writes a field of bytes.
    pub(super) fn field(&mut self, number: u32, bytes: &[u8]) {
        self.bytes(bytes);
        self.close(number, bytes.len());
    }

    /// Writes a field that is a number.
    pub(super) fn number(&mut self, number: u32, value: u64) {
        self.varint(value);
        self.varint(u64::from(number) << 3);
    }

    /// Writes a field that is a floating-point number.
    pub(super) fn double(&mut self, number: u32, value: f64) {
        self.bytes(&value.to_le_bytes());
        self.varint(u64::from(number) << 3 | 1);
    }

    /// Makes the last `length` bytes that were written a field.
    pub(super) fn close(&mut self, number: u32, length: usize) {
        self.varint(length as u64);
        self.varint(u64::from(number) << 3 | 2);
    }

    /// What was written, from start to end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.buffer.drain(..self.free);
        self.buffer
    }

    fn varint(&mut self, mut value: u64) {
        let (mut digits, mut count) = ([0; 10], 0);
        loop {
            let low = u8::try_from(value & 0x7f).unwrap_or_default();
            value >>= 7;
            digits[count] = if value == 0 { low } else { low | 0x80 };
            count += 1;
            if value == 0 {
                break;
            }
        }
        self.bytes(&digits[..count]);
    }
}
