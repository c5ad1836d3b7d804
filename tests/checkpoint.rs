//! Weight files of every format are read to the value; damaged and hostile ones cost an error.
#![cfg(feature = "checkpoint")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use heavytail::checkpoint::{Checkpoint, Dtype};
use rand::RngExt;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng;

/// Remembers the largest piece of memory that was ever asked for, and the most at one time.
struct Counting;
static LARGEST: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does all the work; `realloc` is the trait's own, through these.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
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

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(fixtures().join(name)).unwrap_or_else(|e| panic!("{e}"))
}

fn names(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint
        .tensors()
        .iter()
        .map(|t| t.name.as_str())
        .collect()
}

fn left_out(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint
        .left_out()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect()
}

fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f64> {
    let index = names(checkpoint)
        .iter()
        .position(|n| *n == name)
        .expect(name);
    let values = checkpoint.read(index).unwrap_or_else(|e| panic!("{e}"));
    let shape = &checkpoint.tensors()[index].shape;
    assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
    values
}

/// The fixtures' 4×3 matrix.
fn matrix(plus: f64) -> Vec<f64> {
    (0..12).map(|i| f64::from(i) + plus).collect()
}

/// Open a file and read all of it.
fn read_all(path: &Path) -> heavytail::Result<usize> {
    let checkpoint = Checkpoint::open(path)?;
    for index in 0..checkpoint.tensors().len() {
        checkpoint.read(index)?;
    }
    Ok(checkpoint.tensors().len())
}

#[test]
fn all_formats_and_types_agree_on_one_matrix() {
    let (st, pt) = (open("dtypes.safetensors"), open("dtypes.pt"));
    assert_eq!(
        names(&st),
        ["f64.weight", "f32.weight", "bf16.weight", "f16.weight"]
    );
    assert_eq!(
        names(&pt),
        [
            "f32.weight",
            "f64.weight",
            "f16.weight",
            "bf16.weight",
            "f32t.weight"
        ]
    );
    for tensor in st.tensors() {
        assert_eq!(
            values(&st, &tensor.name),
            values(&pt, &tensor.name),
            "{}",
            tensor.name
        );
        assert_eq!(tensor.shape, [64, 48]);
        assert_eq!(tensor.name, format!("{}.weight", tensor.dtype));
    }
    let f32s = values(&st, "f32.weight");
    for stem in ["dt_f32_F", "dt_f32_bigendian"] {
        let npy = open(&format!("{stem}.npy"));
        assert_eq!(
            (names(&npy), &npy.tensors()[0].dtype),
            (vec![stem], &Dtype::F32)
        );
        assert_eq!(values(&npy, stem), f32s, "{stem}");
    }
    assert_eq!(
        values(&open("dt_f16_C.npy"), "dt_f16_C"),
        values(&st, "f16.weight")
    );

    // The lower precisions are the same matrix, rounded; the transposed view is of the same bytes.
    for (name, precision) in [("f64", 1e-7), ("f16", 1e-3), ("bf16", 8e-3)] {
        for (a, b) in values(&st, &format!("{name}.weight")).iter().zip(&f32s) {
            assert!(
                (a - b).abs() <= precision * b.abs() + 1e-7,
                "{name}: {a} {b}"
            );
        }
    }
    let turned = values(&pt, "f32t.weight");
    assert!((0..64 * 48).all(|i| turned[i % 48 * 64 + i / 48] == f32s[i]));
    assert_eq!(pt.tensors()[4].shared_with.as_deref(), Some("f32.weight"));
    assert!(pt.tensors()[..4].iter().all(|t| t.shared_with.is_none()));
}

#[test]
fn pytorch_before_zip_is_read_with_its_wrapper_and_views() {
    let legacy = open("legacy.pth");
    assert_eq!(
        names(&legacy),
        ["a.weight", "b.weight", "a.rows", "tied.weight"]
    );
    assert_eq!(left_out(&legacy), ["sgd", "steps"]);
    assert_eq!(values(&legacy, "a.weight"), matrix(0.0));
    assert_eq!(values(&legacy, "a.rows"), [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let turned: Vec<f64> = (0..12)
        .map(|i| f64::from(i % 4 * 3 + i / 4 + 100))
        .collect();
    assert_eq!(values(&legacy, "b.weight"), turned);
    let shared = legacy.tensors().iter().map(|t| t.shared_with.as_deref());
    assert_eq!(
        shared.collect::<Vec<_>>(),
        [None, None, None, Some("a.weight")]
    );
}

#[test]
fn nested_state_dicts_parameters_and_strides_are_read() {
    let nested = open("nested.pt");
    assert_eq!(
        names(&nested),
        [
            "a.weight", "a.middle", "repeated", "half", "untyped", "subclass", "empty"
        ]
    );
    assert_eq!(
        left_out(&nested),
        ["optimizer_state", "ema", "quantized", "mask"]
    );
    assert_eq!(values(&nested, "a.weight"), matrix(0.0));
    assert_eq!(values(&nested, "a.middle"), [4.0, 5.0, 7.0, 8.0]);
    assert_eq!(values(&nested, "repeated"), [2.0, 3.0].repeat(5));
    assert_eq!(values(&nested, "half"), matrix(200.0));
    assert_eq!(values(&nested, "untyped"), matrix(300.0));
    assert_eq!(values(&nested, "subclass"), [3.0, 4.0, 5.0]);
    assert!(values(&nested, "empty").is_empty());
    assert_eq!(values(&open("big_endian.pt"), "w"), matrix(0.0));
}

#[test]
fn whole_modules_are_read_as_their_state_dict() {
    let module = open("module.pt");
    assert_eq!(names(&module), ["weight", "inner.weight"]);
    assert_eq!(values(&module, "inner.weight"), matrix(50.0));
}

#[test]
fn burns_records_are_read_and_its_optimizers_left_out() {
    let record = open("record.bpk");
    assert_eq!(names(&record), ["fc1.weight", "fc2.weight", "fc3.weight"]);
    assert_eq!(left_out(&record), ["norm.count", "norm.mask"]);
    assert_eq!(values(&record, "fc1.weight"), matrix(0.0));
    assert_eq!(values(&record, "fc2.weight"), matrix(100.0));
    assert_eq!(values(&record, "fc3.weight"), matrix(0.0));
    let optimizer = open("optimizer.bpk");
    assert!(optimizer.tensors().is_empty());
    assert_eq!(optimizer.left_out().len(), 1);
}

#[test]
fn arrays_of_all_versions_are_read() {
    for name in ["version2", "version3"] {
        assert_eq!(values(&open(&format!("{name}.npy")), name), matrix(0.0));
    }
    assert_eq!(left_out(&open("integers.npy")), ["integers"]);
}

#[test]
fn shards_are_read_through_their_index_and_folders_by_name() {
    let folder = open("sharded");
    assert_eq!(names(&folder), ["a.weight", "b.weight", "c.weight"]);
    let index = open("sharded/model.safetensors.index.json");
    assert_eq!(index.tensors(), folder.tensors());
    assert_eq!(values(&index, "c.weight"), matrix(200.0));
    assert!(folder.path().ends_with("sharded") && folder.read(3).is_err());

    let several = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("big_endian.pt", "a.pt"),
        ("sharded/two.safetensors", "a.st"),
        ("version2.npy", "n.npy"),
    ] {
        std::fs::copy(fixtures().join(from), several.path().join(to)).unwrap();
    }
    std::fs::write(several.path().join("config.json"), "{}").unwrap();
    let checkpoint = Checkpoint::open(several.path()).unwrap();
    assert_eq!(names(&checkpoint), ["a.pt.w", "a.st.c.weight", "n"]);
    std::fs::remove_file(several.path().join("a.st")).unwrap();
    let checkpoint = Checkpoint::open(several.path()).unwrap();
    assert_eq!(names(&checkpoint), ["a.w", "n"]);
    std::fs::remove_file(several.path().join("n.npy")).unwrap();
    assert_eq!(names(&Checkpoint::open(several.path()).unwrap()), ["w"]);
    std::fs::remove_file(several.path().join("a.pt")).unwrap();
    assert!(
        Checkpoint::open(several.path())
            .unwrap_err()
            .to_string()
            .contains("no weight file")
    );
}

#[test]
fn an_index_cannot_leave_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let shard = fixtures().join("sharded/two.safetensors");
    std::fs::copy(&shard, folder.path().join("two.safetensors")).unwrap();
    std::fs::copy(&shard, inner.join("two.safetensors")).unwrap();
    let index = inner.join("model.safetensors.index.json");
    let point_at = |shard: &str| {
        let map = serde_json::json!({ "weight_map": { "c.weight": shard } });
        std::fs::write(&index, map.to_string()).unwrap();
        Checkpoint::open(&index)
            .map(|c| c.tensors().len())
            .map_err(|e| e.to_string())
    };
    assert_eq!(point_at("two.safetensors"), Ok(1));
    let absolute = shard.to_string_lossy();
    let outside = [
        "../two.safetensors",
        "..",
        ".",
        "",
        "./two.safetensors",
        "a/../two.safetensors",
    ];
    for shard in outside
        .into_iter()
        .chain([&*absolute, "..\\two.safetensors", "C:two", "two\0"])
    {
        let error = point_at(shard).unwrap_err();
        assert!(
            error.contains("is not the name of a file"),
            "{shard}: {error}"
        );
    }
    assert!(
        point_at("gone.safetensors")
            .unwrap_err()
            .contains("`gone.safetensors` is missing")
    );
    // A shard that is an index, and one that lacks what the index promises.
    assert!(
        point_at("model.safetensors.index.json")
            .unwrap_err()
            .contains("an index")
    );
    std::fs::copy(
        fixtures().join("sharded/one.safetensors"),
        inner.join("two.safetensors"),
    )
    .unwrap();
    assert!(
        point_at("two.safetensors")
            .unwrap_err()
            .contains("`c.weight` is not in its shard")
    );
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
            Some("too high"),
        ),
        ("marks", b"(".repeat(2 << 20), Some("too high")),
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
        ("a persistent name", b"Pfile\n.".to_vec(), Some("outside")),
        ("no end", b"\x80\x02}".to_vec(), None),
    ];
    for (case, pickle, cause) in cases {
        let file = folder.path().join("hostile.pt");
        std::fs::write(&file, around(&pickle)).unwrap();
        let start = Instant::now();
        let outcome = read_all(&file);
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{case}: {:?}",
            start.elapsed()
        );
        if let Some(cause) = cause {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(cause), "{case}: {error}");
            assert!(
                error.len() < 1000 && error.contains("hostile.pt"),
                "{case}: {error}"
            );
        }
    }
    assert!(!trace.exists(), "a pickle was executed");
    assert!(LARGEST.load(Relaxed) < MOST_MEMORY && PEAK.load(Relaxed) < MOST_MEMORY);
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
        let start = Instant::now();
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
    assert!(LARGEST.load(Relaxed) < MOST_MEMORY && PEAK.load(Relaxed) < MOST_MEMORY);
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
            let file = folder.path().join("mutant");
            std::fs::write(&file, &mutant).unwrap();
            let start = Instant::now();
            let outcome = std::panic::catch_unwind(|| read_all(&file));
            let what = format!("{}, round {round}", files[index].display());
            let outcome = outcome.unwrap_or_else(|_| panic!("{what} panics"));
            slowest = slowest.max(start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(1), "{what} is slow");
            mutants += 1;
            if let Err(error) = outcome {
                refused += 1;
                assert!(error.to_string().len() < 2000, "{what}: {error}");
            }
        }
    }
    let (largest, peak) = (LARGEST.load(Relaxed), PEAK.load(Relaxed));
    println!(
        "{mutants} mutants of {} files: {refused} refused, slowest {slowest:?}, largest allocation {largest} bytes, peak {peak}",
        files.len()
    );
    assert!(mutants >= 1_000 && refused > mutants / 4);
    assert!(largest < MOST_MEMORY && peak < MOST_MEMORY);
}
