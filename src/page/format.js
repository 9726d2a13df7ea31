// Times, numbers and JSON as people read them.

/** Milliseconds by which the server's clock is ahead: a board in a cupboard may have a clock of its own. */
let clockAhead = 0;

const serverNow = () => Date.now() + clockAhead;

function noteServerTime(date) {
  const ahead = Date.parse(date) - Date.now();
  // `date` has whole seconds.
  if (!Number.isNaN(ahead)) clockAhead = Math.abs(ahead) < 2_000 ? 0 : ahead;
}

function span(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`;
}

function ago(at) {
  const seconds = Math.round((serverNow() - Date.parse(at)) / 1_000);
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return new Date(at).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}

const clockTime = (at) => new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });

function fullTime(at) {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? date.toLocaleTimeString() : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

/** A time that grows old by itself, see tick(). */
function age(at) {
  const element = h('time', { datetime: at, title: new Date(at).toLocaleString(), 'data-age': at });
  put(element, ago(at));
  return element;
}

/** How long it is since a time, counted on by tick(). */
const since = (at) => h('span', { 'data-since': at }, span(serverNow() - Date.parse(at)));

const moment = (at) => h('time', { datetime: at, title: at }, fullTime(at));

/** Brings every age on the page up to date. */
function tick() {
  for (const element of document.querySelectorAll('[data-age]')) put(element, ago(element.dataset.age));
  for (const element of document.querySelectorAll('[data-since]')) {
    put(element, span(serverNow() - Date.parse(element.dataset.since)));
  }
}

const grouped = (number) => number.toLocaleString();

const plural = (count, one, many = `${one}s`) => `${grouped(count)} ${count === 1 ? one : many}`;

function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (count >= 1_024 && unit < units.length - 1) {
    count /= 1_024;
    unit += 1;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

/** The start of a text on one line, without what would turn or hide a part of it. */
function excerpt(text, length = 200) {
  if (text === undefined) return undefined;
  const line = text.slice(0, 4 * length).replace(/\s+/gu, ' ').replace(HIDDEN, (mark) => (JOINERS.includes(mark) ? mark : '')).trim();
  return line.length > length || text.length > 4 * length ? `${cut(line, length)}…` : line;
}

/** The marks around a text that the rules fence, as prompts have them. */
const FENCE = /<<<(?:end of )?untrusted text, \w*>>>/g;

/** The start of a prompt, to know it by. */
const headline = (prompt) => excerpt(prompt?.slice(0, 4_000).replace(FENCE, ' '));

/** The first `length` units of a text, never half a character. */
function cut(text, length) {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}

/**
 * JSON with line breaks. The text is walked and not parsed: numbers of any size stay as they came, and no
 * nesting is too deep. What stands behind `limit` units is left out.
 */
function indented(json, limit) {
  json = json.slice(0, limit);
  let out = '';
  let depth = 0;
  const line = () => `\n${'  '.repeat(Math.min(depth, 40))}`;
  const piece = /"[^"\\]*(?:\\.[^"\\]*)*"?|[{}[\],:]|[^\s{}[\],:"]+/gsu;
  let isOpen = false;
  for (let match = piece.exec(json); match && out.length <= limit; match = piece.exec(json)) {
    const [token] = match;
    const isClosing = token === '}' || token === ']';
    if (isClosing) depth = Math.max(0, depth - 1);
    if (isOpen !== isClosing) out += isOpen || isClosing ? line() : '';
    isOpen = token === '{' || token === '[';
    if (isOpen) depth += 1;
    out += token;
    if (token === ',') out += line();
    if (token === ':') out += ' ';
  }
  return out;
}
