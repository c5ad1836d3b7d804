//! Any bytes, opened as a weight file and read whole: an error or values, never a panic.
#![no_main]

use std::io::Write;

use heavytail::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Checkpoints are read from files, so that no more of them is in memory than one tensor.
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    if let Ok(checkpoint) = Checkpoint::open(file.path()) {
        for (index, tensor) in checkpoint.tensors().iter().enumerate() {
            let values = checkpoint.read(index).expect("checked when it was opened");
            assert_eq!(values.len(), tensor.shape.iter().product::<usize>());
        }
    }
});
