//! A reader for NumPy's `.npy`. A file holds a magic number, a version, a Python literal and the
//! values.
//!
//! Layout: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::contents::{Contents, Entry};
use super::dtype::Dtype;
use super::location::{Location, MAX_AXES, Storage};
use super::source::Source;
use crate::error::Result;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header in bytes that is read. NumPy itself refuses headers above 10,000 bytes unless
/// the caller trusts the file.
const MAX_HEADER_LENGTH: u64 = 1 << 16;

/// Lists the one array of the file, under the file's stem as its name.
pub(super) fn list(source: &Source) -> Result<Contents> {
    let version = source.bytes(6, 2)?;
    let (length, at) = match version[0] {
        1 => {
            let b = source.bytes(8, 2)?;
            (u64::from(u16::from_le_bytes([b[0], b[1]])), 10)
        }
        2 | 3 => {
            let b = source.bytes(8, 4)?;
            (u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])), 12)
        }
        v => return Err(source.format_error(format!("byte 6: version {v} of the npy format"))),
    };
    if length > MAX_HEADER_LENGTH {
        return Err(source.format_error(format!(
            "byte 8: the header has {length} bytes, at most {MAX_HEADER_LENGTH} are read"
        )));
    }
    let header = source.bytes(at, length)?;
    let header =
        String::from_utf8(header).map_err(|e| source.format_error(format!("header: {e}")))?;
    let header = parse(&header).map_err(|cause| source.format_error(format!("header: {cause}")))?;
    let stem = source.path().file_stem().unwrap_or_default();
    let name = stem.to_string_lossy().into_owned();

    let mut contents = Contents::default();
    let (dtype, big_endian) = dtype(&header.descr);
    if let Dtype::Other(descr) = &dtype {
        contents.skip(
            name,
            format!("values of type `{descr}`, which is not supported"),
        );
        return Ok(contents);
    }
    let start = at + length;
    let storage = Storage {
        start,
        len: source.len() - start,
        big_endian,
    };
    let shape = header.shape;
    let strides = header.fortran_order.then(|| {
        let mut next = 1u64;
        let mut stride = |&side: &usize| {
            let stride = next;
            // `Location::new` refuses a shape whose number of values overflows.
            next = next.saturating_mul(side as u64);
            stride
        };
        shape.iter().map(&mut stride).collect()
    });
    let location = Location::new(source, storage, &dtype, &shape, strides, 0)
        .map_err(|e| source.format_error(e))?;
    contents.entries.push(Entry {
        name,
        dtype,
        shape,
        location,
    });
    Ok(contents)
}

/// The type that a `descr` names, and whether its values are big-endian.
fn dtype(descr: &str) -> (Dtype, bool) {
    let (order, kind) = descr.split_at_checked(1).unwrap_or_default();
    let dtype = match kind {
        "f8" => Dtype::F64,
        "f4" => Dtype::F32,
        "f2" => Dtype::F16,
        _ => Dtype::Other(descr.to_owned()),
    };
    match order {
        "<" => (dtype, false),
        "=" => (dtype, cfg!(target_endian = "big")),
        ">" => (dtype, true),
        _ => (Dtype::Other(descr.to_owned()), false),
    }
}

/// The Python literal that describes the array.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (64, 48), }`.
fn parse(text: &str) -> Result<Header, String> {
    let mut rest = text.trim();
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    expect_token(&mut rest, "{")?;
    while !rest.starts_with('}') {
        let key = parse_string(&mut rest)?;
        expect_token(&mut rest, ":")?;
        match key {
            "descr" => descr = Some(parse_descr(&mut rest)?),
            "fortran_order" => fortran_order = Some(parse_bool(&mut rest)?),
            "shape" => shape = Some(parse_shape(&mut rest)?),
            _ => return Err(format!("unknown key `{key}`")),
        }
        if !rest.starts_with('}') {
            expect_token(&mut rest, ",")?;
        }
    }
    Ok(Header {
        descr: descr.ok_or("no `descr`")?,
        fortran_order: fortran_order.ok_or("no `fortran_order`")?,
        shape: shape.ok_or("no `shape`")?,
    })
}

/// Removes `token` and the white space after it from the front of `rest`.
fn expect_token(rest: &mut &str, token: &str) -> Result<(), String> {
    let after = rest.strip_prefix(token).ok_or_else(|| {
        let seen: String = rest.chars().take(16).collect();
        format!("`{token}` expected before `{seen}`")
    })?;
    *rest = after.trim_start();
    Ok(())
}

/// Removes a string in quotes from the front of `rest` and returns its content.
fn parse_string<'a>(rest: &mut &'a str) -> Result<&'a str, String> {
    let quote = if rest.starts_with('"') { "\"" } else { "'" };
    let body = rest.strip_prefix(quote).ok_or("a string is missing")?;
    let (inside, after) = body.split_once(quote).ok_or("unterminated string")?;
    *rest = after.trim_start();
    Ok(inside)
}

/// The name of a type. For a structured type, its whole description.
fn parse_descr(rest: &mut &str) -> Result<String, String> {
    if !rest.starts_with('[') {
        return parse_string(rest).map(str::to_owned);
    }
    let end = rest.rfind(']').ok_or("unterminated list")?;
    let (inside, after) = rest.split_at(end + 1);
    *rest = after.trim_start();
    Ok(inside.to_owned())
}

fn parse_bool(rest: &mut &str) -> Result<bool, String> {
    if expect_token(rest, "True").is_ok() {
        return Ok(true);
    }
    expect_token(rest, "False").map(|()| false)
}

fn parse_shape(rest: &mut &str) -> Result<Vec<usize>, String> {
    expect_token(rest, "(")?;
    let mut sides = Vec::new();
    while !rest.starts_with(')') {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        sides.push(number.parse().map_err(|e| format!("shape: {e}"))?);
        if sides.len() > MAX_AXES {
            return Err(format!("shape: more than {MAX_AXES} axes"));
        }
        // Python 2 wrote long integers as `64L`.
        *rest = after.strip_prefix('L').unwrap_or(after).trim_start();
        if !rest.starts_with(')') {
            expect_token(rest, ",")?;
        }
    }
    expect_token(rest, ")")?;
    Ok(sides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_writers_are_read() {
        let h = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (64, 48), }  \n").unwrap();
        assert_eq!((h.descr.as_str(), h.shape), ("<f4", vec![64, 48]));
        let h = parse("{\"shape\":(3L,),\"fortran_order\":True,\"descr\":\">f8\"}").unwrap();
        assert!(h.fortran_order);
        assert_eq!(dtype(&h.descr), (Dtype::F64, true));
        assert_eq!(h.shape, [3]);
        let h = parse("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}").unwrap();
        assert_eq!(h.descr, "[('a', '<f4')]");
        for wrong in ["", "{", "{'descr'", "{'shape': (1 2)}", "{'shape': (-1,)}"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
