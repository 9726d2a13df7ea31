//! Walks over a JSON text (RFC 8259), strictly, and finds where its values end.
//!
//! Whatever a [`Scan`] walks over it checks. A method that gives `None` has met what is no JSON;
//! the scan then tells where ([`Scan::failed_behind`]), and is of no other use.
//!
//! BOUND: a bit for each level of nesting that is open, and no recursion, however deep the text is
//! nested.

use super::text::text_of;

/// Bytes of a key with escapes that are read at most; no path has a key as long.
const KEY_MAX: usize = 255;

/// A place in a text.
#[derive(Debug)]
pub(super) struct Scan<'t> {
    text: &'t str,
    /// Where it is. Behind a failure, the first byte that is wrong; of a control character in a
    /// string the one in front of it.
    at: usize,
    /// What is open within the value that is walked over.
    open: Nesting,
}

/// The key of a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'t> {
    /// As it is written, in its quotes.
    raw: &'t str,
    is_escaped: bool,
}

impl Key<'_> {
    /// Calls `see` with what the key says.
    #[inline]
    pub(super) fn read<T>(self, see: impl FnOnce(&str) -> T) -> T {
        if self.is_escaped {
            return see(&text_of(self.raw, KEY_MAX).unwrap_or_default());
        }
        let quote = self.raw.len().saturating_sub(1);
        see(self.raw.get(1..quote).unwrap_or_default())
    }
}

impl<'t> Scan<'t> {
    /// The start of `text`.
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            open: Nesting::default(),
        }
    }

    /// Where it is, for [`Scan::since`].
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// What was read of the text when it turned out to be no JSON, as other readers of JSON count it:
    /// up to and with the byte that is wrong, but in front of a control character in a string.
    pub(super) fn failed_behind(&self) -> &'t [u8] {
        let bytes = self.text.as_bytes();
        bytes.get(..=self.at).unwrap_or(bytes)
    }

    /// What was walked over since `place`.
    #[inline]
    pub(super) fn since(&self, place: usize) -> Option<&'t str> {
        self.text.get(place..self.at)
    }

    /// The next byte.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Over white space, if there is any.
    #[inline]
    pub(super) fn space(&mut self) {
        // Mostly there is none, which one comparison tells.
        while let Some(byte @ ..=b' ') = self.peek() {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                break;
            }
            self.at += 1;
        }
    }

    /// Over white space to the end of the text.
    pub(super) fn end(&mut self) -> Option<()> {
        self.space();
        self.peek().is_none().then_some(())
    }

    /// Over one value, which begins here.
    pub(super) fn value(&mut self) -> Option<()> {
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    if self.opens(b'}')? {
                        self.open.push(true);
                        self.passed_key()?;
                        continue;
                    }
                }
                b'[' => {
                    if self.opens(b']')? {
                        self.open.push(false);
                        continue;
                    }
                }
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            }
            // A value has ended, and perhaps what it was the last of.
            loop {
                if self.open.is_empty() {
                    return Some(());
                }
                self.space();
                match (self.peek()?, self.open.is_object()) {
                    (b',', is_object) => {
                        self.at += 1;
                        self.space();
                        if is_object {
                            self.passed_key()?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        self.open.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Over the object that begins here. `each` is called in front of every member's value and
    /// walks over it.
    pub(super) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Key<'t>) -> Option<()>,
    ) -> Option<()> {
        let mut has_more = self.opens(b'}')?;
        while has_more {
            let key = self.key()?;
            each(self, key)?;
            has_more = self.goes_on(b'}')?;
        }
        Some(())
    }

    /// Over the elements of the array that begins here, `max` at most. `each` is called in front
    /// of every element and walks over it.
    pub(super) fn elements(
        &mut self,
        max: usize,
        mut each: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let mut has_more = self.opens(b']')?;
        for _ in 0..max {
            if !has_more {
                break;
            }
            each(self)?;
            has_more = self.goes_on(b']')?;
        }
        Some(())
    }

    /// Over the bracket that opens something; whether anything is in it.
    #[inline]
    fn opens(&mut self, close: u8) -> Option<bool> {
        self.at += 1;
        self.space();
        let has_more = self.peek()? != close;
        if !has_more {
            self.at += 1;
        }
        Some(has_more)
    }

    /// Over what follows an element or a member; whether there is another one.
    #[inline]
    fn goes_on(&mut self, close: u8) -> Option<bool> {
        self.space();
        let byte = self.peek().filter(|byte| [b',', close].contains(byte))?;
        self.at += 1;
        let has_more = byte == b',';
        if has_more {
            self.space();
        }
        Some(has_more)
    }

    /// Over a key and its colon, up to the value.
    fn key(&mut self) -> Option<Key<'t>> {
        let start = self.at;
        let (end, is_escaped) = self.passed_key()?;
        let raw = self.text.get(start..end)?;
        Some(Key { raw, is_escaped })
    }

    /// The same; where the key ends, and whether there are escapes in it.
    fn passed_key(&mut self) -> Option<(usize, bool)> {
        if self.peek()? != b'"' {
            return None;
        }
        let is_escaped = self.string()?;
        let end = self.at;
        self.space();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.space();
        Some((end, is_escaped))
    }

    /// Over a string, whose first quote is here; whether there are escapes in it.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let at = plain_end(bytes, self.at + 1);
        if bytes.get(at) == Some(&b'"') {
            self.at = at + 1;
            return Some(false);
        }
        self.rest_of_string(at)
    }

    /// Over the rest of a string, up to whose byte at `at` all are as they are.
    fn rest_of_string(&mut self, mut at: usize) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let mut is_escaped = false;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Some(is_escaped);
                }
                Some(b'\\') => {
                    is_escaped = true;
                    match escape_length(bytes, at) {
                        Ok(length) => at += length,
                        Err(wrong) => return self.fail(wrong),
                    }
                }
                Some(_) => return self.fail(at - 1),
                None => return self.fail(at),
            }
            at = plain_end(bytes, at);
        }
    }

    #[inline]
    fn fail<T>(&mut self, at: usize) -> Option<T> {
        self.at = at;
        None
    }

    fn word(&mut self, word: &str) -> Option<()> {
        for byte in word.bytes() {
            if self.peek()? != byte {
                return None;
            }
            self.at += 1;
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Over digits, one at least.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// Bytes of the escape whose backslash is at `at`, or where the first one is that is wrong; of four
/// digits it is the last, whichever of them is none.
fn escape_length(bytes: &[u8], at: usize) -> Result<usize, usize> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(6),
            Some(_) => Err(at + 5),
            None => Err(bytes.len()),
        },
        _ => Err(at + 1),
    }
}

/// Where in a string the first byte from `at` on stands that is not to be taken as it is: a quote,
/// a backslash or a control character; the length of `bytes` where there is none.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let left = bytes.get(at..).unwrap_or_default();
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    at + left.iter().position(is_special).unwrap_or(left.len())
}

/// Has the highest bit of every byte of `word` set that is a quote, a backslash or a control
/// character, up to the first of them: a borrow goes to the bytes behind it alone.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHEST: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHEST;
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    below(word, 0x20) | below(quote, 1) | below(backslash, 1)
}

/// Which of the levels that are open are objects, and which are arrays: a bit for each.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    /// The deepest levels, 64 at most; the deepest is the lowest bit.
    deepest: u64,
    /// The others, 64 in each.
    outer: Vec<u64>,
}

impl Nesting {
    #[inline]
    fn is_empty(&self) -> bool {
        self.depth == 0
    }

    #[inline]
    fn is_object(&self) -> bool {
        self.deepest & 1 == 1
    }

    #[inline]
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.deepest);
        }
        self.deepest = (self.deepest << 1) | u64::from(is_object);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.deepest = if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.pop().unwrap_or_default()
        } else {
            self.deepest >> 1
        };
    }
}
