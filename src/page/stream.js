// The server's changes as they happen: text/event-stream over fetch, as EventSource sends no key.

const SILENCE_MAX = 40_000;
const LINE_MAX = 1_000_000;
const HIDDEN_MAX = 30_000;

/**
 * Keeps a connection to /stream while the page is to be seen. `onEvent` gets type and data, `onState` 'live'
 * or 'gone'. A connection that breaks is made anew, from the last event on, after 1 s and up to 30 s.
 */
function openStream({ onEvent, onState }) {
  let lastId = '';
  let failures = 0;
  let running;
  let timer = 0;
  let isWanted = true;

  async function run(abort) {
    const headers = { ...keyHeaders(), accept: 'text/event-stream' };
    if (lastId) headers['last-event-id'] = lastId;
    let watch = 0;
    const rearm = () => {
      clearTimeout(watch);
      watch = setTimeout(() => abort.abort(), SILENCE_MAX);
    };
    rearm();
    try {
      const answer = await fetch('/stream', { headers, signal: abort.signal, cache: 'no-store', credentials: 'omit' });
      if (answer.status === 401) onLocked();
      if (!answer.ok) throw new Error(`/stream answered ${answer.status}`);
      onState('live');
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const take = eventReader((type, data, id) => {
        if (id !== undefined) lastId = id;
        onEvent(type, data);
      });
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        failures = 0;
        rearm();
        take(value);
      }
    } catch {
      // It is tried again, and meanwhile the page polls.
    } finally {
      clearTimeout(watch);
      abort.abort();
    }
  }

  async function start() {
    clearTimeout(timer);
    if (running || !isWanted) return;
    const abort = new AbortController();
    running = abort;
    await run(abort);
    if (running !== abort) return;
    running = undefined;
    onState('gone');
    failures += 1;
    const pause = Math.min(30_000, 1_000 * 2 ** Math.min(failures - 1, 5)) * (0.75 + Math.random() / 2);
    timer = setTimeout(start, pause);
  }

  function stop() {
    clearTimeout(timer);
    const abort = running;
    running = undefined;
    abort?.abort();
    onState('gone');
  }

  // A browser has six connections to a server for all of its tabs together: one that nobody looks at gives its own back.
  let hiddenTimer = 0;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(() => { isWanted = false; stop(); }, HIDDEN_MAX);
    else {
      isWanted = true;
      failures = 0;
      start();
    }
  });
  addEventListener('online', () => start());
  start();
  return {
    /** Begins anew: there is another key, or the server is back. */
    restart() {
      stop();
      failures = 0;
      start();
    },
    /** Tries at once if it waits to try again. */
    nudge() {
      if (!running) {
        failures = 0;
        start();
      }
    },
  };
}

/** Reads the lines of an event stream (HTML, 9.2.6), however they are cut into pieces. */
function eventReader(onEvent) {
  let rest = '';
  let type = '';
  let data = [];
  let id;
  function line(text) {
    if (text === '') {
      if (data.length) onEvent(type || 'message', data.join('\n'), id);
      else if (id !== undefined) onEvent('', '', id);
      type = '';
      data = [];
      id = undefined;
      return;
    }
    const colon = text.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') type = value;
    if (field === 'data') data.push(value);
    if (field === 'id' && !value.includes('\0')) id = value;
  }
  return (piece) => {
    rest += piece;
    // A carriage return at the end may have its line feed in the next piece.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    if (rest.length > LINE_MAX) throw new Error('a line of /stream is too long');
    lines.forEach(line);
  };
}
