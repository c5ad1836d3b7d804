//! Damaged and hostile weight files cost an error: no panic, little time, little memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cpu_time::ThreadTime;
use heavytail::checkpoint::Checkpoint;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Remembers, for each thread, the largest piece of memory that it asked for, and the most that it
/// held at one time. Other tests run on other threads.
struct Counting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(size: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + size);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
        LARGEST.with(|largest| largest.set(largest.get().max(size.max(0) as usize)));
    });
}

// SAFETY: the system's allocator does all the work; `realloc` is the trait's own, through these.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What no test here may ask for: every file is far below 64 MB.
const MOST_MEMORY: usize = 256 << 20;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint")
}

/// Open a file and read all of it.
fn read_all(path: &Path) -> heavytail::Result<usize> {
    let checkpoint = Checkpoint::open(path)?;
    for index in 0..checkpoint.tensors().len() {
        checkpoint.read(index)?;
    }
    Ok(checkpoint.tensors().len())
}

/// A file of PyTorch's stream of pickles around one.
fn around(pickle: &[u8]) -> Vec<u8> {
    let magic =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    [magic, pickle, b"\x80\x02]."].concat()
}

/// A tensor over a storage that is not there, kept as 0; a few bytes recall it.
const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0))tRq\0";

#[test]
fn hostile_pickles_cost_an_error_and_run_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let command = format!("touch {}", trace.display());
    let deep_dicts = |depth: usize| {
        let mut p = b"\x80\x02".to_vec();
        p.extend(b"}X\x01\0\0\0a".repeat(depth));
        p.extend(TENSOR);
        p.extend(b"s".repeat(depth));
        [p, b".".to_vec()].concat()
    };
    // Each dictionary holds the one before it twice.
    let doubling = |leaf: &[u8]| {
        let mut p = [b"\x80\x02", leaf, b"q\x01"].concat();
        for _ in 0..60 {
            p.extend(b"0}(X\x01\0\0\0ah\x01X\x01\0\0\0bh\x01uq\x01");
        }
        [p, b".".to_vec()].concat()
    };
    let long_name = {
        let mut p = b"\x80\x02}(X\0\0\x10\0".to_vec();
        p.extend(b"n".repeat(1 << 20));
        p.extend(b"q\x01");
        p.extend([TENSOR, &b"h\x01h\0".repeat(100_000), b"u."].concat());
        p
    };
    let system = format!(
        "\u{80}\u{2}cos\nsystem\n(U{}{command}tR.",
        command.len() as u8 as char
    );
    let system = system.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let nested_lists = [
        &b"\x80\x02"[..],
        &b"]".repeat(500_000),
        &b"a".repeat(499_999),
        b".",
    ]
    .concat();
    let cases: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("a call", system, None),
        ("deep lists", nested_lists, None),
        ("deep dictionaries", deep_dicts(500), Some("nest deeper")),
        (
            "dictionaries",
            deep_dicts(20),
            Some("storage `0` is missing"),
        ),
        ("doubling", doubling(b"}"), Some("names are too long")),
        ("a list in itself", b"\x80\x02]q\0h\0a.".to_vec(), None),
        ("a long name", long_name, Some("names are too long")),
        (
            "a high stack",
            [&b"\x80\x02N"[..], &b"2".repeat(2 << 20)].concat(),
            Some("too large"),
        ),
        ("marks", b"(".repeat(2 << 20), Some("too large")),
        (
            "many values",
            b"}0".repeat(3 << 20),
            Some("more than 2097152 values"),
        ),
        (
            "a long string",
            b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
            Some("are announced"),
        ),
        (
            "bytes",
            b"\x80\x04B\xff\xff\xff\xff".to_vec(),
            Some("are announced"),
        ),
        ("no value", b"\x80\x02.".to_vec(), Some("stack is empty")),
        (
            "no mark",
            b"\x80\x02Nt.".to_vec(),
            Some("a mark is missing"),
        ),
        (
            "another stack",
            b"\x80\x02N(0a.".to_vec(),
            Some("stack is empty"),
        ),
        ("an extension", b"\x80\x02\x82\x01.".to_vec(), Some("0x82")),
        (
            "a persistent name",
            b"Pfile\n.".to_vec(),
            Some("persistent id"),
        ),
        (
            "a terminal's command",
            [&b"\x80\x02}U\x05a\x1b[2J"[..], TENSOR, b"s."].concat(),
            Some("`a\\u{1b}[2J`"),
        ),
        ("no end", b"\x80\x02}".to_vec(), None),
    ];
    for (case, pickle, cause) in cases {
        let file = folder.path().join("hostile.pt");
        std::fs::write(&file, around(&pickle)).unwrap();
        let start = ThreadTime::now();
        let outcome = read_all(&file);
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{case}: {:?}",
            start.elapsed()
        );
        if let Some(cause) = cause {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(cause), "{case}: {error}");
            assert!(!error.contains(char::is_control), "{case}: {error:?}");
            assert!(
                error.len() < 1000 && error.contains("hostile.pt"),
                "{case}: {error}"
            );
        }
    }
    assert!(!trace.exists(), "a pickle was executed");
    assert!(LARGEST.get() < MOST_MEMORY && PEAK.get() < MOST_MEMORY as isize);
}

#[test]
fn deep_and_wide_headers_cost_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let header = |json: &str| [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
    let tensor = |shape: &str, end: u64| {
        let json = format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
        header(&json)
    };
    let npy = |shape: &str| {
        let text = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}, }}\n");
        let length = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], text.as_bytes()].concat()
    };
    let bpk = |metadata: &[u8]| {
        let length = (metadata.len() as u32).to_le_bytes();
        [b"NRUB\x01\0", &length[..], metadata].concat()
    };
    let cases = [
        header(&format!(r#"{{"a":{}"#, "[".repeat(1_000_000))),
        header(&format!(r#"{{"__metadata__":{}"#, "[".repeat(1_000_000))),
        format!(r#"{{"weight_map":{}"#, "[".repeat(1_000_000)).into_bytes(),
        format!(r#"{{"x":{}"#, "{\"a\":".repeat(100_000)).into_bytes(),
        tensor(&format!("[{}1]", "1,".repeat(1_000_000)), 4),
        tensor("[4294967296,4294967296,4294967296]", 0),
        tensor("[18446744073709551615,2]", u64::MAX),
        tensor("[1000000000000]", 4_000_000_000_000),
        npy("(4294967296, 4294967296, 4294967296)"),
        npy("(1000000000000,)"),
        npy(&format!("({}", "1,".repeat(30_000))),
        bpk(&[&[0xa1, 0x61, b'x'][..], &[0x81; 1_000_000]].concat()),
        bpk(&[&[0xa1, 0x67][..], b"tensors", &[0xbb], &[0xff; 8]].concat()),
        bpk(&[0xbb; 64]),
        b"NRUB\x01\0\xff\xff\xff\xff".to_vec(),
        [&u64::MAX.to_le_bytes()[..], b"{}"].concat(),
        [&99_999_999u64.to_le_bytes()[..], b"{}"].concat(),
        b"\x93NUMPY\x03\0\xff\xff\xff\xff".to_vec(),
        b"PK\x03\x04".to_vec(),
        [b"PK\x03\x04PK\x05\x06", &[0xff; 18][..]].concat(),
        Vec::new(),
        b"\x80".to_vec(),
        vec![0; 4096],
    ];
    for (index, bytes) in cases.iter().enumerate() {
        let file = folder.path().join("hostile");
        std::fs::write(&file, bytes).unwrap();
        let start = ThreadTime::now();
        let error = read_all(&file)
            .expect_err(&format!("case {index}"))
            .to_string();
        assert!(start.elapsed() < Duration::from_secs(1), "case {index}");
        assert!(
            error.contains("hostile") && error.len() < 1000,
            "case {index}: {error}"
        );
    }
    assert!(Checkpoint::open(folder.path().join("gone")).is_err());
    assert!(LARGEST.get() < MOST_MEMORY && PEAK.get() < MOST_MEMORY as isize);
}

/// One way to damage a file. Most of it hits the beginning or the end, where the lengths are.
fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Pcg64) {
    let len = bytes.len();
    let place = |rng: &mut Pcg64| match rng.random_range(0..3) {
        0 => rng.random_range(0..len),
        1 => rng.random_range(0..len.min(1200)),
        _ => len - 1 - rng.random_range(0..len.min(1200)),
    };
    let at = place(rng);
    match rng.random_range(0..7) {
        0 => (0..rng.random_range(1..16)).for_each(|_| {
            let at = place(rng);
            bytes[at] ^= 1 << rng.random_range(0..8);
        }),
        1 => (0..rng.random_range(1..8)).for_each(|_| {
            let at = place(rng);
            bytes[at] = rng.random();
        }),
        2 => bytes.truncate(at),
        3 => {
            let from = rng.random_range(0..other.len());
            let piece = &other[from..(from + rng.random_range(1..400)).min(other.len())];
            bytes.splice(at..(at + piece.len()).min(len), piece.iter().copied());
        }
        4 => drop(bytes.drain(at..(at + rng.random_range(1..64)).min(len))),
        5 => {
            let again = bytes[at..(at + rng.random_range(1..64)).min(len)].to_vec();
            bytes.splice(at..at, again);
        }
        _ => {
            let huge = [
                u64::MAX,
                u64::MAX >> 1,
                1 << 40,
                1 << 31,
                0xffff_ffff,
                0x7fff,
                len as u64,
            ];
            let number = huge[rng.random_range(0..huge.len())].to_le_bytes();
            let width = [1, 2, 4, 8][rng.random_range(0..4)].min(len - at);
            bytes[at..at + width].copy_from_slice(&number[..width]);
        }
    }
}

#[test]
fn damaged_files_cost_an_error_or_are_still_valid() {
    let mut files = Vec::new();
    for folder in [fixtures(), fixtures().join("sharded")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_text = path.extension().is_some_and(|e| e == "py" || e == "md");
            if path.is_file() && !is_text {
                files.push(path);
            }
        }
    }
    files.sort();
    let bytes: Vec<_> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    for shard in ["one.safetensors", "two.safetensors"] {
        let from = fixtures().join("sharded").join(shard);
        std::fs::copy(from, folder.path().join(shard)).unwrap();
    }
    let rounds: u64 = std::env::var("HEAVYTAIL_MUTANTS").map_or(120, |n| n.parse().unwrap());
    let (mut mutants, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    for (index, original) in bytes.iter().enumerate() {
        for round in 0..rounds {
            let mut rng = Pcg64::seed_from_u64(round << 8 | index as u64);
            let other = &bytes[rng.random_range(0..bytes.len())];
            let mut mutant = original.clone();
            for _ in 0..rng.random_range(1..4) {
                if !mutant.is_empty() {
                    damage(&mut mutant, other, &mut rng);
                }
            }
            // A new name each time: some file systems wait for the disk when a file is overwritten.
            let file = folder.path().join(format!("mutant-{index}-{round}"));
            std::fs::write(&file, &mutant).unwrap();
            let start = ThreadTime::now();
            let outcome = std::panic::catch_unwind(|| read_all(&file));
            let what = format!("{}, round {round}", files[index].display());
            let outcome = outcome.unwrap_or_else(|_| panic!("{what} panics"));
            slowest = slowest.max(start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(1), "{what} is slow");
            std::fs::remove_file(&file).unwrap();
            mutants += 1;
            if let Err(error) = outcome {
                refused += 1;
                assert!(error.to_string().len() < 1000, "{what}: {error}");
            }
        }
    }
    let (largest, peak) = (LARGEST.get(), PEAK.get());
    println!(
        "{mutants} mutants of {} files: {refused} refused, slowest {slowest:?}, largest allocation {largest} bytes, peak {peak}",
        files.len()
    );
    assert!(mutants >= 1_000 && refused > mutants / 4);
    assert!(largest < MOST_MEMORY && peak < MOST_MEMORY as isize);
}
