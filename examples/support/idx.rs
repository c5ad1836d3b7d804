//! A reader for the IDX format of MNIST and similar data sets: a big-endian header, then one byte
//! for each value.

use std::io::{BufRead, ErrorKind, Read};

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;

/// The largest number of items that a header may state. The largest data set of this kind, EMNIST,
/// has 814,255 items.
const MAX_ITEMS: usize = 1_000_000;

/// Reads the bytes of an IDX file whose items have the shape `item` (`[]` for labels).
///
/// The content decides whether the file is gzipped, because browsers may unpack a download and keep
/// `.gz` in its name.
///
/// # Errors
///
/// Returns an error in these cases:
///
/// - The magic number is that of another format.
/// - The items have another shape, or there are more items than allowed.
/// - The body is shorter or longer than the header states.
pub fn read<const D: usize>(mut source: impl BufRead, item: [usize; D]) -> Result<Vec<u8>> {
    if source.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        parse(MultiGzDecoder::new(source), item)
    } else {
        parse(source, item)
    }
}

fn parse<const D: usize>(mut source: impl Read, item: [usize; D]) -> Result<Vec<u8>> {
    let magic = word(&mut source)?;
    let expected = 0x0800 + item.len() as u32 + 1;
    ensure!(
        magic == expected,
        "bad magic number {magic:#010x}, expected {expected:#010x} (IDX, unsigned bytes, rank {})",
        item.len() + 1
    );

    let items = word(&mut source)? as usize;
    ensure!(
        (1..=MAX_ITEMS).contains(&items),
        "the header says {items} items, expected 1 to {MAX_ITEMS}"
    );
    for (axis, &wanted) in item.iter().enumerate() {
        let found = word(&mut source)? as usize;
        ensure!(
            found == wanted,
            "dimension {} of the items is {found}, expected {wanted}",
            axis + 1
        );
    }

    // One byte more than the header states is read. It reveals a body that is too long. It also
    // makes the decoder read a gzip stream to its end, where the checksum is verified.
    let size = items * item.iter().product::<usize>();
    let mut body = Vec::new();
    match source.take(size as u64 + 1).read_to_end(&mut body) {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
            Err(error).with_context(|| format!("corrupt after {} of {size} bytes", body.len()))
        }
        Err(_) => bail!("truncated gzip stream: {} of {size} bytes", body.len()),
        Ok(read) if read < size => bail!("truncated: {read} of {size} bytes"),
        Ok(read) if read > size => bail!("longer than the {size} bytes its header says"),
        Ok(_) => Ok(body),
    }
}

fn word(source: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    source
        .read_exact(&mut bytes)
        .context("truncated or unreadable header")?;
    Ok(u32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// A file with two items of 2 × 3 bytes.
    fn file() -> Vec<u8> {
        let header = [0x0803_u32, 2, 2, 3].map(u32::to_be_bytes).concat();
        [header, (0..12).collect()].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn error(bytes: &[u8]) -> String {
        format!("{:#}", read(bytes, [2, 3]).unwrap_err())
    }

    #[test]
    fn plain_and_gzipped_files_hold_the_same() {
        let body: Vec<u8> = (0..12).collect();
        assert_eq!(read(file().as_slice(), [2, 3]).unwrap(), body);
        assert_eq!(read(gzip(&file()).as_slice(), [2, 3]).unwrap(), body);
    }

    #[test]
    fn every_prefix_is_called_truncated() {
        let (plain, zipped) = (file(), gzip(&file()));
        for end in 0..plain.len() {
            assert!(
                error(&plain[..end]).contains("truncated"),
                "plain, {end} bytes"
            );
        }
        for end in 0..zipped.len() {
            assert!(
                error(&zipped[..end]).contains("truncated"),
                "gzipped, {end} bytes"
            );
        }
    }

    #[test]
    fn a_wrong_header_is_told() {
        let with = |at: usize, word: u32| {
            let mut bytes = file();
            bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
            error(&bytes)
        };
        assert!(with(0, 0x0801).contains("bad magic number 0x00000801, expected 0x00000803"));
        assert!(with(4, 0).contains("0 items"));
        assert!(with(4, u32::MAX).contains("4294967295 items"));
        assert!(with(12, 4).contains("dimension 2 of the items is 4, expected 3"));
        assert!(with(4, 1).contains("longer than the 6 bytes"));
    }

    #[test]
    fn a_damaged_gzip_stream_is_corrupt() {
        let mut bytes = gzip(&file());
        let checksum = bytes.len() - 8;
        bytes[checksum] ^= 1;
        assert!(error(&bytes).contains("corrupt after 12 of 12 bytes"));
    }
}
