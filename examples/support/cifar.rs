//! A reader for CIFAR-10 in its own binary layout: `data_batch_1.bin` … `data_batch_5.bin` and
//! `test_batch.bin`. Each record holds a label byte and the red, green and blue planes of 32×32
//! pixels.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::data::{CLASSES, Images, SIDE, Split};

/// The height and width of a stored image in pixels.
const FULL: usize = 32;
/// The length of a record in bytes.
const RECORD: usize = 1 + 3 * FULL * FULL;

/// Reads a directory and keeps the central 28×28 pixels of each image.
///
/// # Errors
///
/// The error names the file and the cause. For a missing file it names the place to get it.
pub fn read(dir: &Path) -> Result<Images> {
    let names: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    Ok(Images {
        train: split(dir, &names)?,
        test: split(dir, &["test_batch.bin".into()])?,
        name: "CIFAR-10".into(),
        source: dir.display().to_string(),
    })
}

fn split(dir: &Path, names: &[String]) -> Result<Split> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for name in names {
        let path = dir.join(name);
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "{}: CIFAR-10's 'binary version' unpacks to this file; its home is \
                 cs.toronto.edu/~kriz/cifar.html",
                path.display()
            )
        })?;
        ensure!(
            !bytes.is_empty() && bytes.len() % RECORD == 0,
            "{}: {} bytes are no whole number of records of {RECORD}",
            path.display(),
            bytes.len()
        );
        for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
            ensure!(
                usize::from(record[0]) < CLASSES,
                "{}: label {} in record {i}, expected 0 to {}",
                path.display(),
                record[0],
                CLASSES - 1
            );
            labels.push(record[0]);
            let margin = (FULL - SIDE) / 2;
            for plane in record[1..].chunks_exact(FULL * FULL) {
                for row in plane.chunks_exact(FULL).skip(margin).take(SIDE) {
                    pixels.extend_from_slice(&row[margin..margin + SIDE]);
                }
            }
        }
    }
    Ok(Split::new(3, pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_of_each_plane_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = vec![7u8];
        for plane in 0..3u8 {
            record.extend((0..FULL * FULL).map(|i| (i / FULL) as u8 + 100 * plane));
        }
        for name in (1..=5)
            .map(|i| format!("data_batch_{i}.bin"))
            .chain(["test_batch.bin".into()])
        {
            std::fs::write(dir.path().join(name), &record).unwrap();
        }
        let images = read(dir.path()).unwrap();
        assert_eq!((images.train.len(), images.test.len()), (5, 1));
        let image = images.test.image(0);
        assert_eq!(image.len(), 3 * SIDE * SIDE);
        // The first row that is kept is the third one. The values of the second plane are 100 above
        // those of the first.
        assert_eq!((image[0], image[SIDE * SIDE], image[SIDE]), (2, 102, 3));

        record[0] = 10;
        std::fs::write(dir.path().join("test_batch.bin"), &record).unwrap();
        let error = format!("{:#}", read(dir.path()).unwrap_err());
        assert!(
            error.contains("test_batch.bin") && error.contains("label 10"),
            "{error}"
        );
        std::fs::write(dir.path().join("data_batch_3.bin"), &record[..100]).unwrap();
        assert!(format!("{:#}", read(dir.path()).unwrap_err()).contains("100 bytes"));
        std::fs::remove_file(dir.path().join("data_batch_2.bin")).unwrap();
        assert!(format!("{:#}", read(dir.path()).unwrap_err()).contains("binary version"));
    }
}
