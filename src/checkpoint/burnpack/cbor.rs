//! A reader for the part of CBOR (RFC 8949) that burnpack's metadata use: items of definite length.

/// The deepest nesting that the reader accepts.
const MAX_DEPTH: usize = 32;

/// Reads items from a slice, one after the other. Its errors are causes that name the byte of the
/// slice.
pub(super) struct Cbor<'a> {
    bytes: &'a [u8],
    /// The byte of the next item.
    at: usize,
}

impl<'a> Cbor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn format_error(&self, cause: &str) -> String {
        format!("metadata byte {}: {cause}", self.at)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let end = usize::try_from(count)
            .ok()
            .and_then(|count| self.at.checked_add(count));
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken =
            taken.ok_or_else(|| self.format_error(&format!("{count} bytes are missing")))?;
        self.at += taken.len();
        Ok(taken)
    }

    /// Reads the head of an item: its major type and its argument.
    fn head(&mut self) -> Result<(u8, u64), String> {
        let first = self.take(1)?[0];
        let argument = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            width @ 24..=27 => {
                let bytes = self.take(1 << (width - 24))?;
                bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b))
            }
            _ => return Err(self.format_error("items of indefinite length are not supported")),
        };
        Ok((first >> 5, argument))
    }

    /// Reads the head of an item that must have the major type `major`, and returns its argument.
    fn expect(&mut self, major: u8, what: &str) -> Result<u64, String> {
        let (found, argument) = self.head()?;
        if found != major {
            return Err(self.format_error(&format!("{what} expected, major type {found} found")));
        }
        Ok(argument)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, String> {
        self.expect(0, "a number")
    }

    pub(super) fn text(&mut self) -> Result<&'a str, String> {
        let length = self.expect(3, "text")?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|e| self.format_error(&e.to_string()))
    }

    /// Reads the head of an array and returns its length.
    pub(super) fn array(&mut self) -> Result<u64, String> {
        self.expect(4, "a list")
    }

    /// Reads the head of a map and returns its number of pairs.
    pub(super) fn map(&mut self) -> Result<u64, String> {
        self.expect(5, "a map")
    }

    /// Whether the next item is text.
    pub(super) fn is_text(&self) -> bool {
        self.bytes.get(self.at).is_some_and(|b| b >> 5 == 3)
    }

    /// Whether the next item is null.
    pub(super) fn is_null(&self) -> bool {
        self.bytes.get(self.at) == Some(&0xf6)
    }

    /// Skips the next item, with the items inside it.
    pub(super) fn skip(&mut self) -> Result<(), String> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), String> {
        let depth = depth
            .checked_sub(1)
            .ok_or("the metadata are nested too deeply")?;
        let (major, argument) = self.head()?;
        let items = match major {
            2 | 3 => {
                self.take(argument)?;
                0
            }
            4 => argument,
            5 => argument.saturating_mul(2),
            6 => 1,
            _ => 0,
        };
        // Each item has at least one byte, so this loop ends where the bytes end.
        for _ in 0..items {
            self.skip_within(depth)?;
        }
        Ok(())
    }
}
