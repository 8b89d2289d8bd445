//! Decodes event files with a reader that shares no code with the writer: it computes checksums bit by bit and
//! reads any protobuf message.

use super::*;
use crate::{GridLayout, Images};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Varint(u64),
    Eight([u8; 8]),
    Bytes(Vec<u8>),
    Four([u8; 4]),
}

fn take<'a>(from: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, tail) = from.split_at(n);
    *from = tail;
    head
}

fn read_varint(from: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(from, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn fields(mut from: &[u8]) -> BTreeMap<u64, Field> {
    let mut found = BTreeMap::new();
    while !from.is_empty() {
        let key = read_varint(&mut from);
        let field = match key % 8 {
            0 => Field::Varint(read_varint(&mut from)),
            1 => Field::Eight(take(&mut from, 8).try_into().unwrap()),
            2 => {
                let n = read_varint(&mut from) as usize;
                Field::Bytes(take(&mut from, n).to_vec())
            }
            5 => Field::Four(take(&mut from, 4).try_into().unwrap()),
            other => panic!("wire type {other}"),
        };
        assert_eq!(found.insert(key / 8, field), None);
    }
    found
}

fn inner(fields: &BTreeMap<u64, Field>, number: u64) -> BTreeMap<u64, Field> {
    match &fields[&number] {
        Field::Bytes(bytes) => self::fields(bytes),
        other => panic!("{other:?} is no message"),
    }
}

fn masked_bit_by_bit(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |i| u32::from(byte >> i & 1))) {
        let carry = (crc & 1) ^ bit;
        crc >>= 1;
        if carry == 1 {
            crc ^= 0x82f6_3b78;
        }
    }
    let crc = !crc;
    crc.rotate_left(17).wrapping_add(0xa282_ead8)
}

/// The events of a file; checksums must hold.
fn events(path: &Path) -> Vec<BTreeMap<u64, Field>> {
    let bytes = fs_err::read(path).unwrap();
    let mut from = &bytes[..];
    let mut events = Vec::new();
    while !from.is_empty() {
        let sum = |from: &mut &[u8]| u32::from_le_bytes(take(from, 4).try_into().unwrap());
        let length = take(&mut from, 8);
        assert_eq!(sum(&mut from), masked_bit_by_bit(length));
        let data = take(&mut from, u64::from_le_bytes(length.try_into().unwrap()) as usize);
        assert_eq!(sum(&mut from), masked_bit_by_bit(data));
        events.push(fields(data));
    }
    events
}

fn text(text: &str) -> Field {
    Field::Bytes(text.as_bytes().to_vec())
}

#[test]
fn scalars_and_images_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let canvas =
        GridLayout::single(3).draw(&Images::new(&[1, 2, 3, 4, 5, 6], [1, 3, 1, 2]).unwrap()).unwrap();
    let mut writer = EventWriter::create(folder.path(), None).unwrap();
    writer.scalar("loss/train", 300, 0.125).unwrap();
    writer.image("samples", 1 << 40, &canvas).unwrap();
    let events = events(writer.path());
    assert_eq!(events.len(), 3);
    assert_eq!(events[0][&3], text("brain.Event:2"));
    for event in &events {
        let Field::Eight(time) = event[&1] else { panic!("{event:?}") };
        assert!((seconds_since_epoch() - f64::from_le_bytes(time)).abs() < 600.0);
    }
    let scalar = inner(&inner(&events[1], 5), 1);
    assert_eq!(events[1][&2], Field::Varint(300));
    assert_eq!(scalar, BTreeMap::from([(1, text("loss/train")), (2, Field::Four(0.125f32.to_le_bytes()))]));
    let value = inner(&inner(&events[2], 5), 1);
    assert_eq!((&events[2][&2], &value[&1]), (&Field::Varint(1 << 40), &text("samples")));
    let want = [
        (1, Field::Varint(3)),
        (2, Field::Varint(6)),
        (3, Field::Varint(3)),
        (4, Field::Bytes(canvas.to_png().unwrap())),
    ];
    assert_eq!(inner(&value, 4), BTreeMap::from(want));
}

#[test]
fn a_resume_is_a_second_file_that_supersedes() {
    let folder = tempfile::tempdir().unwrap();
    let first = EventWriter::create(folder.path(), None).unwrap();
    let second = EventWriter::create(folder.path(), Some(77)).unwrap();
    assert!(first.path().file_name() < second.path().file_name());
    let events = events(second.path());
    assert_eq!(events[1][&2], Field::Varint(77));
    assert_eq!(inner(&events[1], 7), BTreeMap::from([(1, Field::Varint(1))]));
    let message = EventWriter::create(&folder.path().join("absent"), None).unwrap_err().to_string();
    assert!(message.contains("absent"), "{message}");
}
