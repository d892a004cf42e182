//! What holds for whatever is sent: it is read or refused, and what is made of it is OTLP.
//!
//! The property tests and the fuzz targets call it.

use tidegate_pdata::{Signal, canonical_items};

use crate::grouped::Grouped;
use crate::thrift::{Binary, Compact};
use crate::{jaeger, zipkin};

/// Reads bytes as one of Zipkin's formats, of which `way` names one.
pub fn zipkin(way: u8, bytes: &[u8]) {
    check(|out| drop(zipkin::read(way, bytes, out)));
}

/// Reads bytes in one of Jaeger's encodings, of which `way` names one.
pub fn jaeger(way: u8, bytes: &[u8]) {
    check(|out| match way % 5 {
        0 => drop(jaeger::protobuf::translate(bytes, out)),
        1 => drop(jaeger::thrift::translate(&mut Compact::new(bytes), out)),
        2 => drop(jaeger::thrift::translate(&mut Binary::new(bytes), out)),
        3 => drop(jaeger::thrift::translate_call(Compact::new(bytes), out)),
        _ => drop(jaeger::thrift::translate_call(Binary::new(bytes), out)),
    });
}

fn check(read: impl FnOnce(&mut Grouped<'_>)) {
    let mut asked = 0;
    let mut room = |bytes| {
        asked = bytes;
        true
    };
    let mut out = Grouped::new(&mut room);
    read(&mut out);
    // What was read before a fault must be whole, too.
    let request = out.finish();
    let (items, size) = (request.items(), request.size());
    assert!(
        size <= asked,
        "{size} bytes were written, {asked} asked for"
    );
    let payload = request.finish(None).expect("what is written is OTLP");
    assert_eq!(payload.items(), items);
    for segment in payload.segments() {
        let items = canonical_items(Signal::Traces, segment.bytes());
        assert_eq!(items, Some(segment.items()));
    }
}
