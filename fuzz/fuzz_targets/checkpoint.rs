//! Opens any bytes as a weight file and reads every tensor. The result is an error or values, but
//! never a panic.
#![no_main]

use std::io::Write;

use heavytail::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Checkpoints can only be opened from files, because they keep no more than one tensor in
    // memory.
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    if let Ok(checkpoint) = Checkpoint::open(file.path()) {
        for (index, tensor) in checkpoint.tensors().iter().enumerate() {
            let values = checkpoint.read(index).expect("checked when it was opened");
            assert_eq!(values.len(), tensor.shape.iter().product::<usize>());
        }
    }
});
