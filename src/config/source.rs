//! Reads a `[[source]]` table: who sends, its secrets, and the scheme of kind `hmac`.

use super::field;
use super::nearest::nearest;
use super::problem::Problems;
use super::secrets::{REFERENCE_FORMS, Secrets};
use super::table::{SOURCE, Table};
use super::tree::{Entry, Node, Value};
use crate::secret::Secret;
use crate::source::{Algorithm, Encoding, HmacSettings, Kind, Settings, Source};
use crate::worker::WorkerName;

/// Secrets of a source at most: each is tried with every delivery.
const SECRETS_MAX: usize = 16;

/// Globs of a source at most.
const GLOBS_MAX: usize = 100;

/// Characters of a glob, a header's name, a prefix or a field's name at most.
const TEXT_LENGTH_MAX: usize = 255;

/// Keys of the scheme, for kind `hmac` alone.
const OF_HMAC_ALONE: [&str; 8] = [
    "header",
    "prefix",
    "encoding",
    "algorithm",
    "type_header",
    "type_field",
    "id_header",
    "id_field",
];

/// Reads a `[[source]]` table whose header stands on `line`. Every problem is added to
/// `problems`; with any, what is returned is of no use.
pub(super) fn from_file(
    entries: &[Entry],
    line: usize,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Source> {
    let table = Table::of_file(&SOURCE, "source.", entries, line);
    table.refuse_unknown(problems);
    for (key, text) in [
        (
            "name",
            "missing; it is the {source} in /webhook/{source}".to_owned(),
        ),
        ("kind", format!("missing; {}", kinds())),
        (
            "secret",
            format!("missing; whoever knows the address could send; {REFERENCE_FORMS}"),
        ),
    ] {
        if table.entry(key).is_none() {
            table.miss(key, problems, &text);
        }
    }
    let name = table.read("name", problems, name);
    let kind = table.read("kind", problems, kind);
    let read_secrets = read_secrets(&table, secrets, problems);
    let ignore_actors = table.read("ignore_actors", problems, globs);
    let hmac = match kind {
        Some(Kind::Hmac) => Some(read_scheme(&table, problems)?),
        Some(kind) => {
            refuse_scheme(&table, kind, problems);
            None
        }
        None => None,
    };
    let settings = Settings {
        name: name?,
        kind: kind?,
        secrets: read_secrets?,
        ignore_actors: ignore_actors.unwrap_or_default(),
        hmac,
    };
    match Source::new(settings) {
        Ok(source) => Some(source),
        Err(text) => {
            table.refuse("secret", Some("***"), problems, &text);
            None
        }
    }
}

fn name(value: &Value) -> Result<String, String> {
    let text = field::text(value)?;
    // The same form, so that one rule serves for every name.
    if text.parse::<WorkerName>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("not a source's name; it is 1 to 64 characters of [a-zA-Z0-9_.-] and starts with a letter or digit"
        .to_owned())
}

fn kinds() -> String {
    let kinds = Kind::ALL.map(Kind::as_str);
    format!("write one of {}", kinds.join(", "))
}

fn kind(value: &Value) -> Result<Kind, String> {
    let text = field::text(value)?;
    text.parse().map_err(|_| {
        let meant = nearest(text, &Kind::ALL.map(Kind::as_str));
        let guess = meant.map_or(String::new(), |meant| format!("did you mean {meant}? "));
        format!("not a kind; {guess}{}", kinds())
    })
}

/// The values of a key that has one or a list of them.
fn nodes(entry: &Entry) -> &[Node] {
    match &entry.node.value {
        Value::List(list) => list.as_slice(),
        _ => std::slice::from_ref(&entry.node),
    }
}

/// One secret or a list of them; `None` where any is bad.
fn read_secrets(
    table: &Table<'_>,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Vec<Secret>> {
    let nodes = nodes(table.entry("secret")?);
    if nodes.is_empty() || nodes.len() > SECRETS_MAX {
        let text = format!(
            "a list of {}; write 1 to {SECRETS_MAX} secrets",
            nodes.len()
        );
        table.refuse("secret", None, problems, &text);
        return None;
    }
    let mut read = Vec::new();
    for node in nodes {
        match field::text(&node.value).and_then(|written| secrets.read(written)) {
            Ok(secret) => read.push(secret),
            Err(text) => table.refuse_at(node.line, "secret", Some("***"), problems, &text),
        }
    }
    (read.len() == nodes.len()).then_some(read)
}

fn globs(value: &Value) -> Result<Vec<String>, String> {
    let wanted = "a text or a list of texts is wanted, like \"*[bot]\"";
    let glob = |value: &Value| match value {
        Value::Text(text) if (1..=TEXT_LENGTH_MAX).contains(&text.len()) => Ok(text.clone()),
        Value::Text(text) => Err(format!(
            "a glob of {} bytes; it has 1 to {TEXT_LENGTH_MAX}",
            text.len()
        )),
        other => Err(format!("{}; {wanted}", other.kind())),
    };
    match value {
        Value::List(list) if list.len() > GLOBS_MAX => Err(format!(
            "a list of {}; at most {GLOBS_MAX} are allowed",
            list.len()
        )),
        Value::List(list) => list.iter().map(|node| glob(&node.value)).collect(),
        value => glob(value).map(|glob| vec![glob]),
    }
}

fn read_scheme(table: &Table<'_>, problems: &mut Problems) -> Option<HmacSettings> {
    if table.entry("header").is_none() {
        table.miss(
            "header",
            problems,
            "missing; name the header of the signature, like X-Signature",
        );
    }
    let header = table.read("header", problems, header_name);
    let prefix = table.read("prefix", problems, prefix);
    let encoding = table.read("encoding", problems, |value| match field::text(value)? {
        "hex" => Ok(Encoding::Hex),
        "base64" => Ok(Encoding::Base64),
        _ => Err("not an encoding; write hex or base64".to_owned()),
    });
    let algorithm = table.read("algorithm", problems, |value| match field::text(value)? {
        "sha256" => Ok(Algorithm::Sha256),
        "sha512" => Ok(Algorithm::Sha512),
        "sha1" => Ok(Algorithm::Sha1),
        _ => Err("not an algorithm; write sha256, sha512 or sha1".to_owned()),
    });
    let type_header = table.read("type_header", problems, header_name);
    let type_field = table.read("type_field", problems, field_path);
    let id_header = table.read("id_header", problems, header_name);
    let id_field = table.read("id_field", problems, field_path);
    Some(HmacSettings {
        header: header?,
        prefix: prefix.unwrap_or_default(),
        encoding: encoding.unwrap_or(Encoding::Hex),
        algorithm: algorithm.unwrap_or(Algorithm::Sha256),
        type_header,
        type_field,
        id_header,
        id_field,
    })
}

fn refuse_scheme(table: &Table<'_>, kind: Kind, problems: &mut Problems) {
    for key in OF_HMAC_ALONE {
        if table.entry(key).is_some() {
            let text = format!("belongs to kind hmac; the scheme of kind {kind} is fixed");
            table.refuse(key, None, problems, &text);
        }
    }
}

/// The name of a header (RFC 9110, 5.6.2), in lower case.
fn header_name(value: &Value) -> Result<String, String> {
    let text = field::text(value)?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=TEXT_LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_token) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("not the name of a header; it is made of letters, digits and hyphens".to_owned())
}

fn prefix(value: &Value) -> Result<String, String> {
    let text = field::text(value)?;
    let is_allowed = |b: u8| b.is_ascii_graphic() || b == b' ';
    if text.len() <= TEXT_LENGTH_MAX && text.bytes().all(is_allowed) && !text.starts_with(' ') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "not a prefix; it is at most {TEXT_LENGTH_MAX} visible ASCII characters, like \"sha256=\""
    ))
}

/// Keys with dots between them.
fn field_path(value: &Value) -> Result<String, String> {
    let text = field::text(value)?;
    let is_path = text.len() <= TEXT_LENGTH_MAX
        && !text.contains(['[', ']'])
        && text.split('.').all(|key| !key.is_empty());
    if is_path {
        return Ok(text.to_owned());
    }
    Err(
        "not a field; write its key, with a dot in front of each further one: event.type"
            .to_owned(),
    )
}
