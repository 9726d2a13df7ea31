// Requests to the server this page came from.

const KEY = 'mecha.key';
const PATIENCE = 30_000;

/** The server said no: `code` is for programs, the message for people. */
class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The server did not answer. */
class Silence extends Error {}

const storedKey = () => sessionStorage.getItem(KEY) ?? '';

function keyHeaders(key = storedKey()) {
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Called with true and false when the server is found to answer, or not to. */
let onReach = () => {};
/** Called when the server wants a key, or another one. */
let onLocked = () => {};

/**
 * Sends a request. Gives the answer's status, its text, its JSON and the target of the next page; throws a
 * Refusal, a Silence, or an AbortError where `signal` ended it.
 */
async function ask(method, target, { body, headers, signal, key } = {}) {
  const limit = AbortSignal.timeout(PATIENCE);
  let answer;
  let text;
  try {
    answer = await fetch(target, {
      method,
      body,
      headers: { ...keyHeaders(key), ...headers },
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw new DOMException('left', 'AbortError');
    onReach(false);
    throw new Silence('mecha does not answer.');
  }
  noteServerTime(answer.headers.get('date'));
  let json;
  try {
    json = text === '' ? undefined : JSON.parse(text);
  } catch {
    json = undefined;
  }
  // A proxy speaks for a server that is gone, and does not speak JSON.
  onReach(answer.status < 502 || json !== undefined);
  if (!answer.ok) {
    if (answer.status === 401 && key === undefined) onLocked();
    throw new Refusal(answer.status, json?.code, json?.error ?? `The answer was ${answer.status} ${answer.statusText}.`);
  }
  return { status: answer.status, text, json, next: nextPage(answer.headers.get('link')) };
}

const get = (target, signal) => ask('GET', target, { signal });

/** The same, but undefined where this server has no such path. */
async function getIfThere(target, signal) {
  try {
    return await get(target, signal);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'unknown_path') return undefined;
    throw error;
  }
}

function nextPage(link) {
  const match = /<([^>]*)>;\s*rel="next"/.exec(link ?? '');
  return match ? new URLSearchParams(match[1].split('?')[1]).get('before') ?? undefined : undefined;
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '');
  return given.length ? `?${new URLSearchParams(given)}` : '';
}

/** Random visible characters; crypto.randomUUID is for https alone. */
function randomName() {
  const values = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(values, (value) => value.toString(16).padStart(2, '0')).join('');
}
