// Texts of any size: cut for display, with a way to see more, to copy and to download.

const FIRST_LENGTH = 4_000;
const FIRST_LINES = 30;
const SHOWN_MAX = 1 << 20;

/** Controls, marks of direction and what has no width: they can make a text look like another one. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** What belongs to scripts and to signs of several parts. */
const JOINERS = '\u200c\u200d';

const named = (character) => `⟦U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟧`;

function firstPart(text) {
  let end = -1;
  for (let line = 0; line < FIRST_LINES; line += 1) {
    end = text.indexOf('\n', end + 1);
    if (end < 0 || end > FIRST_LENGTH) return cut(text, FIRST_LENGTH);
  }
  return text.slice(0, end);
}

function download(text, name) {
  const url = URL.createObjectURL(new Blob([text]));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    say('Copied');
  } catch {
    // Over plain HTTP browsers have no clipboard: what is shown is selected instead.
    getSelection().selectAllChildren(element);
    say('Selected: copy it from the menu');
  }
}

/** A text under a title. `form` is 'json' or 'text'; `name` is the file to download it as. */
function textBlock({ title, text, form = 'text', name }) {
  const pre = h('pre.text', { dir: 'auto' });
  const more = h('button.plain', { type: 'button' });
  const note = h('p.note', { hidden: true });
  const reveal = h('button.plain', { type: 'button', 'aria-pressed': 'false' }, 'Show them');
  let isAll = false;
  let isRevealed = false;

  function show() {
    const readable = form === 'json' ? indented(text, SHOWN_MAX) : text.slice(0, SHOWN_MAX);
    const part = isAll ? cut(readable, SHOWN_MAX) : firstPart(readable);
    const hidden = part.match(HIDDEN)?.length ?? 0;
    put(pre, isRevealed ? part.replace(HIDDEN, named) : part);
    const isCut = part.length < readable.length;
    const isHuge = text.length > SHOWN_MAX;
    pre.classList.toggle('cut', isCut || isHuge);
    more.hidden = !isCut;
    put(more, isHuge ? `Show the first ${bytes(SHOWN_MAX)}` : 'Show all');
    note.hidden = hidden === 0;
    put(note, `${plural(hidden, 'invisible character')} here. `);
    note.append(reveal);
  }
  more.addEventListener('click', () => {
    isAll = true;
    show();
    pre.tabIndex = -1;
    pre.focus({ preventScroll: true });
  });
  reveal.addEventListener('click', () => {
    isRevealed = !isRevealed;
    reveal.setAttribute('aria-pressed', String(isRevealed));
    show();
    reveal.focus();
  });
  show();
  const size = text.length < 2_000 ? undefined : h('span.dim', null, bytes(new Blob([text]).size));
  return h('section.block', null,
    h('header', null, h('h2', null, title), size,
      h('span.tools', null,
        h('button.plain', { type: 'button', 'aria-label': `Copy: ${title}`, onclick: () => copy(text, pre) }, 'Copy'),
        h('button.plain', { type: 'button', 'aria-label': `Download: ${title}`, onclick: () => download(text, name) }, 'Download'))),
    pre, more, note);
}

/**
 * The last field of an object, as the text that it came as: reading it would round its numbers. No text in
 * front of it can look like it, as quotation marks in texts are escaped.
 */
function lastField(json, name) {
  const mark = `,"${name}":`;
  const at = json.indexOf(mark);
  return at < 0 ? undefined : json.slice(at + mark.length, json.lastIndexOf('}'));
}

/** A worker's result: its `output` as the text it is, the rest as JSON. */
function resultBlocks(id, result) {
  let parsed;
  try {
    parsed = JSON.parse(result);
  } catch {
    parsed = undefined;
  }
  const whole = textBlock({ title: 'Result as JSON', text: result, form: 'json', name: `${id}.json` });
  if (typeof parsed?.output !== 'string') return [whole];
  const output = textBlock({ title: 'Result', text: parsed.output, name: `${id}.txt` });
  return Object.keys(parsed).length === 1 ? [output] : [output, whole];
}
