#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_receivers::prometheus::exposition::{Bounds, Format, Page};

// The first byte says what the rest is read as.
fuzz_target!(|bytes: &[u8]| {
    let Some((first, page)) = bytes.split_first() else {
        return;
    };
    let format = match first % 3 {
        0 => Format::Text,
        1 => Format::OpenMetrics,
        _ => Format::Protobuf,
    };
    let native = first & 4 != 0;
    if let Ok(mut page) = Page::new(format, page, Bounds::default(), native, true) {
        while let Ok(Some(_)) = page.next_entry() {
            for example in page.exemplars() {
                for (name, value) in page.labels_of(example) {
                    let _ = (name.to_cow(), value.to_cow());
                }
            }
            for (name, value) in page.labels() {
                let _ = (name.to_cow(), value.to_cow());
            }
        }
    }
});
