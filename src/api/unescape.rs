//! JSON strings that are decoded where they stand, so that a large one is never there twice.

/// Decodes the inside of a JSON string, which is valid but for surrogates (RFC 8259, 7), in place: it
/// gets no longer. `false` where a `\u` escape is no character.
pub(super) fn unescape(text: &mut Vec<u8>) -> bool {
    let Some(mut written) = text.iter().position(|byte| *byte == b'\\') else {
        return true;
    };
    let mut read = written;
    while let Some(rest) = text.get(read..).filter(|rest| !rest.is_empty()) {
        let plain = rest.iter().position(|byte| *byte == b'\\');
        let plain = plain.unwrap_or(rest.len());
        if plain > 0 {
            text.copy_within(read..read + plain, written);
            read += plain;
            written += plain;
            continue;
        }
        let Some((character, length)) = escaped(rest) else {
            return false;
        };
        // An escape is at least as long as what it stands for, so this is behind none of what is to
        // be read.
        let mut encoded = [0; 4];
        let encoded = character.encode_utf8(&mut encoded).as_bytes();
        let Some(place) = text.get_mut(written..written + encoded.len()) else {
            return false;
        };
        place.copy_from_slice(encoded);
        read += length;
        written += encoded.len();
    }
    text.truncate(written);
    true
}

/// The character of the escape that `text` begins with, and the escape's length.
fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(text.get(2..6)?)?;
            if let Some(character) = char::from_u32(u32::from(first)) {
                return Some((character, 6));
            }
            let second = match text.get(6..12)? {
                [b'\\', b'u', digits @ ..] => unit(digits)?,
                _ => return None,
            };
            let pair = char::decode_utf16([first, second]).next()?.ok()?;
            return Some((pair, 12));
        }
        _ => return None,
    };
    Some((character, 2))
}

/// A UTF-16 code unit of four hexadecimal digits.
fn unit(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |value, digit| {
        let digit = u16::try_from(char::from(*digit).to_digit(16)?).ok()?;
        Some((value << 4) | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text as it is decoded here, and as serde does it.
    fn both(inside: &str) -> (Option<String>, Option<String>) {
        let mut text = inside.as_bytes().to_vec();
        let capacity = text.capacity();
        let is_decoded = unescape(&mut text);
        assert_eq!(text.capacity(), capacity);
        let here = is_decoded.then(|| String::from_utf8(text).unwrap());
        let json = format!("\"{inside}\"");
        (here, serde_json::from_str(&json).ok())
    }

    #[test]
    fn strings_are_decoded_as_serde_does() {
        for inside in [
            "",
            "plain ä",
            r#"\"\\\/\b\f\n\r\t"#,
            r"\u0000a\u00e4\u20AC\uffff",
            r"x\ud83d\ude00y",
            r"\ud800",
            r"\udc00",
            r"\ud800x",
            r"\ud800\n",
            r"\ud800\u0041",
            r"\ud800\ud800",
            r"\udc00\ud800",
            r"\ud83d\ude00\ud83d",
        ] {
            let (here, serde) = both(inside);
            assert_eq!(here, serde, "{inside}");
        }
    }

    #[test]
    fn random_strings_are_decoded_as_serde_does() {
        let mut random = fastrand::Rng::with_seed(1);
        let parts = [
            r"\n", r"\\", "\\\"", r"\ud83d", r"\ude00", r"\u00e4", r"\u0041", r"\/", "a", "ä", "😀",
        ];
        let mut decoded = 0;
        for _ in 0..20_000 {
            let count = random.usize(0..8);
            let inside: String = (0..count).map(|_| random.choice(parts).unwrap()).collect();
            let (here, serde) = both(&inside);
            decoded += usize::from(here.is_some());
            assert_eq!(here, serde, "{inside}");
        }
        assert!(decoded > 5_000, "{decoded}");
    }
}
