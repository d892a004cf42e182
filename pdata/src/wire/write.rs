//! Writing: sizes known beforehand, and the fields themselves.

use super::WireType;

/// The bytes that a varint takes.
#[must_use]
#[inline]
pub const fn varint_len(value: u64) -> usize {
    // Seven bits a byte: 9/64 is close enough to 1/7 for 1 to 64 bits.
    (((64 - (value | 1).leading_zeros()) * 9 + 64) / 64) as usize
}

/// The bytes that a tag takes.
#[must_use]
#[inline]
pub const fn tag_len(number: u32) -> usize {
    varint_len((number as u64) << 3)
}

/// The bytes that a length-prefixed field takes, its tag and length included.
#[must_use]
#[inline]
pub const fn field_len(number: u32, body: usize) -> usize {
    head_len(number, body) + body
}

/// The bytes that the tag and the length of a field with so many bytes take.
#[must_use]
#[inline]
pub const fn head_len(number: u32, body: usize) -> usize {
    tag_len(number) + varint_len(body as u64)
}

/// Writes a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The tag of a field whose number is below 16.
#[must_use]
#[inline]
pub const fn tag(number: u32, wire: WireType) -> u8 {
    (number << 3) as u8 | wire as u8
}

/// Writes a tag.
#[inline]
pub fn put_tag(out: &mut Vec<u8>, number: u32, wire: WireType) {
    put_varint(out, u64::from(number) << 3 | wire as u64);
}

/// Writes the tag and the length of a field whose `body` bytes follow.
#[inline]
pub fn put_head(out: &mut Vec<u8>, number: u32, body: usize) {
    if number < 16 && body < 0x80 {
        out.extend_from_slice(&[tag(number, WireType::Len), body as u8]);
        return;
    }
    put_tag(out, number, WireType::Len);
    put_varint(out, body as u64);
}

/// Writes a length-prefixed field.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, number: u32, body: &[u8]) {
    put_head(out, number, body.len());
    out.extend_from_slice(body);
}

/// Writes a varint field.
#[inline]
pub fn put_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, WireType::Varint);
    put_varint(out, value);
}

/// Writes an eight-byte field.
#[inline]
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, WireType::Fixed64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a four-byte field.
#[inline]
pub fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_tag(out, number, WireType::Fixed32);
    out.extend_from_slice(&value.to_le_bytes());
}
