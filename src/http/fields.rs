//! The header fields of a request, in two blocks of memory, however many they are.

/// Fields in the order in which they were added, names in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// Names and values, one behind the other.
    text: String,
    /// Where each name ends, and its value.
    ends: Vec<(usize, usize)>,
}

/// A head that has more fields than this makes more room for them.
const ROOM: usize = 16;

impl Fields {
    /// None yet, and room for `bytes` bytes of names and values.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(ROOM),
        }
    }

    /// Adds a field, its name in lower case. One that is not ASCII is left out.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        if !name.is_ascii() || !value.is_ascii() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        if let Some(name) = self.text.get_mut(start..) {
            name.make_ascii_lowercase();
        }
        self.text.push_str(value);
        self.ends.push((middle, self.text.len()));
    }

    /// Name and value of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |(middle, end)| {
            let name = self.text.get(start..*middle).unwrap_or_default();
            start = *end;
            (name, self.text.get(*middle..*end).unwrap_or_default())
        })
    }

    /// The values of that name, which is given in lower case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}
