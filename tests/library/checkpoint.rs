//! Weight files of every format are read to the value, and an index cannot leave its folder.

use std::path::{Path, PathBuf};

use heavytail::checkpoint::{Checkpoint, Dtype};

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
        .skipped()
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
    assert_eq!(optimizer.skipped().len(), 1);
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
fn shards_of_pytorch_keep_the_names_that_their_index_uses() {
    let folder = tempfile::tempdir().unwrap();
    let shard = folder.path().join("pytorch_model-00001-of-00001.bin");
    std::fs::copy(fixtures().join("legacy.pth"), &shard).unwrap();
    let shard = shard.file_name().unwrap().to_str().unwrap();
    let wanted = ["a.weight", "b.weight", "tied.weight", "steps"];
    let map: serde_json::Map<_, _> = wanted
        .iter()
        .map(|name| (format!("module.{name}"), shard.into()))
        .collect();
    let index = serde_json::json!({ "metadata": {}, "weight_map": map }).to_string();
    std::fs::write(folder.path().join("pytorch_model.bin.index.json"), index).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(names(&checkpoint), wanted[..3]);
    assert_eq!(left_out(&checkpoint), ["sgd", "steps", "a.rows"]);
    assert_eq!(values(&checkpoint, "a.weight"), matrix(0.0));
}

#[test]
fn a_stale_index_names_the_missing_shard_and_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str, to: &str| {
        std::fs::copy(fixtures().join(name), folder.path().join(to)).unwrap();
    };
    copy("sharded/one.safetensors", "one.safetensors");
    let index = "model.safetensors.index.json";
    copy(&format!("sharded/{index}"), index);
    for path in [folder.path().to_owned(), folder.path().join(index)] {
        let checkpoint = Checkpoint::open(path).unwrap();
        assert_eq!(names(&checkpoint), ["a.weight", "b.weight"]);
        let reason = "its shard `two.safetensors` is missing".to_owned();
        assert_eq!(checkpoint.missing(), [("c.weight".to_owned(), reason)]);
        assert!(left_out(&checkpoint).is_empty());
    }

    // No shard at all.
    std::fs::remove_file(folder.path().join("one.safetensors")).unwrap();
    let error = || Checkpoint::open(folder.path()).unwrap_err().to_string();
    let start = "shard `one.safetensors` is missing (and 1 other)";
    assert!(error().ends_with(start), "{}", error());
    copy("dtypes.safetensors", "model.safetensors");
    copy("dtypes.pt", "a.pt");
    let there = format!("{start}; existing weight files: `a.pt`, `model.safetensors`");
    assert!(error().ends_with(&there), "{}", error());
    assert!(error().contains(index), "{}", error());
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
            error.contains("is not a plain file name"),
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
