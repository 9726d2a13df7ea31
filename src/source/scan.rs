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
        self.at = space_end(self.text.as_bytes(), self.at);
    }

    /// Over white space to the end of the text.
    pub(super) fn end(&mut self) -> Option<()> {
        self.space();
        self.peek().is_none().then_some(())
    }

    /// Over one value, which begins here.
    pub(super) fn value(&mut self) -> Option<()> {
        let end = value_end(self.text.as_bytes(), self.at, &mut self.open);
        self.go_to(end)
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
        let bytes = self.text.as_bytes();
        self.go_to(key_end(bytes, start))?;
        let raw = self.since(start)?;
        self.go_to(colon_end(bytes, self.at))?;
        self.space();
        let is_escaped = raw.as_bytes().contains(&b'\\');
        Some(Key { raw, is_escaped })
    }

    /// To where a walk ended, or failed.
    #[inline]
    fn go_to(&mut self, end: Result<usize, usize>) -> Option<()> {
        let (Ok(at) | Err(at)) = end;
        self.at = at;
        end.is_ok().then_some(())
    }
}

/// Where the value that begins at `at`, or behind white space there, ends, or the first byte that is wrong. `open` is empty
/// before, and behind where the value is whole.
///
/// Most of what is walked over is walked over here: it keeps its place in a register, and looks for white space
/// where nothing else fits.
fn value_end(bytes: &[u8], mut at: usize, open: &mut Nesting) -> Result<usize, usize> {
    loop {
        at = match bytes.get(at) {
            Some(b'"') => string_end(bytes, at + 1)?,
            Some(b' ' | b'\n' | b'\t' | b'\r') => {
                at += 1;
                continue;
            }
            Some(bracket @ (b'{' | b'[')) => {
                let is_object = *bracket == b'{';
                let close = if is_object { b'}' } else { b']' };
                at = space_end(bytes, at + 1);
                if bytes.get(at) != Some(&close) {
                    open.push(is_object);
                    if is_object {
                        at = member_value(bytes, at)?;
                    }
                    continue;
                }
                at + 1
            }
            Some(b't') => word_end(bytes, at, *b"true")?,
            Some(b'f') => word_end(bytes, at + 1, *b"alse")?,
            Some(b'n') => word_end(bytes, at, *b"null")?,
            _ => number_end(bytes, at)?,
        };
        // A value has ended, and perhaps what it was the last of.
        loop {
            if open.is_empty() {
                return Ok(at);
            }
            let is_object = open.is_object();
            match bytes.get(at) {
                Some(b',') if is_object => {
                    at = member_value(bytes, space_end(bytes, at + 1))?;
                    break;
                }
                Some(b',') => {
                    at += 1;
                    break;
                }
                Some(b'}') if is_object => open.pop(),
                Some(b']') if !is_object => open.pop(),
                Some(b' ' | b'\n' | b'\t' | b'\r') => {}
                _ => return Err(at),
            }
            at += 1;
        }
    }
}

/// Where the value of the member may begin whose key begins at `at`, or the first byte that is wrong.
#[expect(clippy::inline_always, reason = "see `string_end`")]
#[inline(always)]
fn member_value(bytes: &[u8], at: usize) -> Result<usize, usize> {
    colon_end(bytes, key_end(bytes, at)?)
}

/// Where the key ends that begins at `at`, or the first byte that is wrong.
#[expect(clippy::inline_always, reason = "see `string_end`")]
#[inline(always)]
fn key_end(bytes: &[u8], at: usize) -> Result<usize, usize> {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at + 1),
        _ => Err(at),
    }
}

/// Where white space that may begin at `at` ends.
#[inline]
fn space_end(bytes: &[u8], mut at: usize) -> usize {
    // Mostly there is none, which one comparison tells.
    while let Some(byte @ ..=b' ') = bytes.get(at) {
        if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
            break;
        }
        at += 1;
    }
    at
}

/// Where it goes on behind the colon of a member whose key ends at `at`, or the first byte that is wrong.
#[inline]
fn colon_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    if bytes.get(at) != Some(&b':') {
        at = space_end(bytes, at);
    }
    match bytes.get(at) {
        Some(b':') => Ok(at + 1),
        _ => Err(at),
    }
}

/// Where the string ends whose first quote is in front of `at`, or the first byte that is wrong; of a control
/// character the one in front of it.
#[expect(
    clippy::inline_always,
    reason = "at \"s\" a call would take as long as most strings"
)]
#[inline(always)]
fn string_end(bytes: &[u8], at: usize) -> Result<usize, usize> {
    let end = plain_end(bytes, at);
    if bytes.get(end) == Some(&b'"') {
        return Ok(end + 1);
    }
    rest_end(bytes, end)
}

/// The same of the rest of a string, up to whose byte at `at` all are as they are.
#[inline(never)]
fn rest_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at += escape_length(bytes, at)?,
            Some(_) => return Err(at - 1),
            None => return Err(at),
        }
        at = plain_end(bytes, at);
    }
}

/// Where a word ends whose last four letters should stand at `at`, or the first byte that is wrong.
#[inline]
fn word_end(bytes: &[u8], at: usize, letters: [u8; 4]) -> Result<usize, usize> {
    let ahead = bytes.get(at..).unwrap_or_default();
    if ahead.first_chunk() == Some(&letters) {
        return Ok(at + letters.len());
    }
    let agree = ahead.iter().zip(&letters).take_while(|(a, b)| a == b);
    Err(at + agree.count())
}

fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits_end(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits_end(bytes, at)?;
    }
    Ok(at)
}

/// Where digits end, one at least.
#[inline]
fn digits_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let mut at = start;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(start) }
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
#[expect(clippy::inline_always, reason = "see `string_end`")]
#[inline(always)]
fn plain_end(bytes: &[u8], at: usize) -> usize {
    let mut ahead = bytes.get(at..).unwrap_or_default();
    while let Some((word, behind)) = ahead.split_first_chunk() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - ahead.len() + (special.trailing_zeros() / 8) as usize;
        }
        ahead = behind;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let plain = ahead.iter().position(is_special);
    bytes.len() - ahead.len() + plain.unwrap_or(ahead.len())
}

/// Has the highest bit of every byte of `word` set that is a quote, a backslash or a control
/// character, up to the first of them: a borrow goes to the bytes behind it alone.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHEST: u64 = ONES << 7;
    // Without its second bit a quote, 0x22, stands right behind the control characters.
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (quote_or_control | backslash) & !word & HIGHEST
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
