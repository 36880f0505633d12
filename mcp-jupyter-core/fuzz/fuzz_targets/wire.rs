//! Any frames are decoded or refused, and what is decoded encodes to a message that decodes to the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcp_jupyter_core::kernel::Channel;
use mcp_jupyter_core::kernel::local::Codec;

fuzz_target!(|data: &[u8]| {
    // The frames are what lies between 0xFE bytes, which valid UTF-8 cannot hold.
    let mut frames: Vec<Bytes> = data.split(|byte| *byte == 0xFE).map(Bytes::copy_from_slice).collect();
    frames.insert(0, Bytes::from_static(b"<IDS|MSG>"));
    let codec = Codec::new(b"");
    let Ok(message) = codec.decode(Channel::Iopub, &frames) else { return };
    let again = codec.decode(Channel::Iopub, &codec.encode(&message)).expect("what was encoded decodes");
    assert_eq!(format!("{message:?}"), format!("{again:?}"));
});
