// Puts the page together: which view is shown, when it is refreshed, and what the server's state is.

/** What all views know. */
const shared = { workers: [], stats: undefined };

const POLL_LIVE = 60_000;
const POLL = 5_000;
const POLL_OFFLINE = 2_000;
const STATS_PAUSE = 15_000;
const REFRESH_PAUSE = 1_000;
/** Changes that wait to be shown; above it the lists are read again instead. */
const CHANGES_MAX = 500;
const FLUSH_PAUSE = 250;

let view;
let viewAbort = new AbortController();
let isLive = false;
let isReached = true;
let isLocked = false;

// Refreshing: soon after a change, never more often than the server and the line can bear.

let refreshTimer = 0;
let isRefreshing = false;
let isDue = false;
let refreshedAt = 0;
let restUntil = 0;

function refreshSoon() {
  isDue = true;
  if (refreshTimer || isRefreshing || isLocked || document.hidden) return;
  refreshTimer = setTimeout(refreshNow, Math.max(30, restUntil - Date.now()));
}

/** The same without the pause. */
function refreshAtOnce() {
  clearTimeout(refreshTimer);
  refreshTimer = 0;
  restUntil = 0;
  refreshSoon();
}

async function refreshNow() {
  clearTimeout(refreshTimer);
  refreshTimer = 0;
  if (isRefreshing || isLocked) return;
  isRefreshing = true;
  isDue = false;
  const begun = Date.now();
  const shown = view;
  const { signal } = viewAbort;
  let size = 0;
  try {
    await refreshShared(signal);
    size = await shown.refresh(signal);
    shown.element.querySelector('.failure')?.remove();
  } catch (error) {
    if (shown === view) fail(error);
  }
  setBusy(shown, false);
  isRefreshing = false;
  refreshedAt = Date.now();
  // Texts may be megabytes: the more it was, the longer the pause.
  restUntil = refreshedAt + Math.max(REFRESH_PAUSE, 5 * (refreshedAt - begun), size / 1_000);
  if (shown !== view) refreshAtOnce();
  else if (isDue) refreshSoon();
}

const setBusy = (shown, isBusy) => setAttribute(shown.element, 'aria-busy', isBusy ? 'true' : undefined);

function fail(error) {
  if (error.name === 'AbortError' || error instanceof Silence || error.status === 401) return;
  if (!(error instanceof Refusal)) console.error(error);
  view.element.querySelector('.failure')?.remove();
  view.element.querySelector('h1')?.after(h('p.banner.failure', { role: 'alert' }, error.message));
}

let statsAt = 0;
let workersAt = 0;

async function refreshShared(signal) {
  const now = Date.now();
  const [workers, stats] = await Promise.all([
    now - workersAt > REFRESH_PAUSE ? get('/workers', signal) : undefined,
    now - statsAt > POLL ? getIfThere('/stats', signal) : undefined,
  ]);
  if (workers) {
    workersAt = now;
    shared.workers = workers.json;
    view.onWorkers?.();
  }
  if (stats) {
    shared.stats = stats.json;
    put(byId('version'), `mecha ${stats.json.version}, up for ${span(serverNow() - Date.parse(stats.json.started_at))}`);
    view.onStats?.();
  }
  if (now - statsAt > POLL) statsAt = now;
}

function beat() {
  if (document.hidden || isLocked) return;
  tick();
  const pause = !isReached ? POLL_OFFLINE : Math.min(view.pause ?? POLL_LIVE, isLive ? POLL_LIVE : POLL);
  if (Date.now() - refreshedAt > pause) refreshSoon();
  else if (isReached && Date.now() - statsAt > STATS_PAUSE) refreshShared(viewAbort.signal).catch(() => {});
}

// What the stream and the reader's own orders change.

const changes = new Map();
let flushTimer = 0;

function onEvent(type, text) {
  if (type === 'reset' || changes.size > CHANGES_MAX) {
    changes.clear();
    refreshSoon();
    return;
  }
  if (!['task', 'event', 'worker'].includes(type)) return;
  const change = JSON.parse(text);
  changes.set(`${type} ${change.id ?? change.name}`, [type, change]);
  flushTimer ||= setTimeout(flush, FLUSH_PAUSE);
}

function flush() {
  flushTimer = 0;
  let hasWorkers = false;
  for (const [type, change] of changes.values()) {
    if (type === 'worker') {
      const at = shared.workers.findIndex(({ name }) => name === change.name);
      if (at < 0) shared.workers.push(change);
      else shared.workers[at] = change;
      hasWorkers = true;
    } else view.onChange(type, change);
  }
  changes.clear();
  if (hasWorkers) view.onWorkers?.();
}

/** Shows a task or an event as an answer has it. */
function noteChange(json) {
  const type = json.source === undefined ? 'task' : 'event';
  view.onChange(type, type === 'task' ? slimTask(json) : slimEvent(json));
  refreshAtOnce();
}

// Whether the server is there.

function showLink() {
  const state = !isReached ? 'gone' : isLocked ? 'locked' : isLive ? 'live' : 'poll';
  setAttribute(byId('link'), 'data-link', state);
  put(byId('link-text'), { gone: 'offline', locked: 'locked', live: 'live', poll: `every ${POLL / 1_000} s` }[state]);
  const banner = byId('banner');
  banner.hidden = isReached;
}

onReach = (reaches) => {
  if (reaches === isReached) return;
  isReached = reaches;
  put(byId('banner'), `mecha does not answer. What you see is as of ${fullTime(new Date().toISOString())}; this page keeps trying.`);
  say(reaches ? 'mecha is back.' : 'mecha does not answer.', !reaches);
  showLink();
  if (reaches) {
    statsAt = workersAt = 0;
    stream.nudge();
    refreshAtOnce();
  }
};

// The key.

onLocked = () => {
  if (isLocked) return;
  isLocked = true;
  byId('main').hidden = true;
  put(byId('ask-error'), storedKey() ? 'The key that was entered before is not valid any more.' : '');
  sessionStorage.removeItem(KEY);
  showLink();
  byId('ask').showModal();
};

byId('ask').addEventListener('cancel', (event) => event.preventDefault());
byId('ask').addEventListener('close', () => { if (isLocked) byId('ask').showModal(); });
byId('ask-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = byId('ask-key');
  const key = field.value.trim();
  const complain = (text) => {
    put(byId('ask-error'), text);
    field.select();
  };
  if (!/^[ -~]+$/.test(key)) return complain('A key that a browser can send is of ASCII characters.');
  try {
    await ask('GET', '/workers', { key });
  } catch (error) {
    return complain(error.status === 401 ? 'This is none of the keys of this server.' : error.message);
  }
  sessionStorage.setItem(KEY, key);
  field.value = '';
  isLocked = false;
  showLink();
  byId('ask').close();
  byId('main').hidden = false;
  byId('forget').hidden = false;
  stream.restart();
  refreshAtOnce();
});
byId('forget').addEventListener('click', () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});
byId('forget').hidden = !storedKey();

// Views by the hash.

const ROUTES = [
  [/^$/, () => overviewView()],
  [/^(tasks|events)$/, (match, parameters) => listView(match[1], parameters)],
  [/^task\/([0-9a-z]{16})$/, (match) => taskView(match[1])],
  [/^event\/([0-9a-z]{16})$/, (match) => eventView(match[1])],
  [/^refused$/, () => refusedView()],
  [/^new$/, (match, parameters) => submitView(parameters)],
];

function nowhere() {
  const element = h('div', null, h('h1', { tabindex: -1 }, 'There is nothing here'), h('p', null, h('a', { href: '#/' }, 'To the overview')));
  return { title: 'Nothing here', element, refresh: async () => 0, onChange() {} };
}

/** Where the reader was on each page, to be there again when coming back. */
const places = new Map();
let shownHash = '';
let isByLink = false;

function go() {
  if (location.hash && !location.hash.startsWith('#/')) return;
  const [path, search] = location.hash.replace(/^#\/?/, '').split('?');
  const parameters = Object.fromEntries(new URLSearchParams(search));
  const focused = document.activeElement;
  const focusedId = focused?.id;
  const focusedHref = focused?.getAttribute?.('href');
  const wasInMain = byId('main').contains(focused);

  viewAbort.abort();
  viewAbort = new AbortController();
  view?.close?.();
  let found;
  for (const [pattern, make] of ROUTES) {
    const match = pattern.exec(path);
    if (match) found ??= make(match, parameters);
  }
  const previous = view;
  view = found ?? nowhere();
  setBusy(view, true);
  byId('main').replaceChildren(view.element);
  document.title = `${view.title} · mecha`;
  for (const tab of document.querySelectorAll('[data-tab]')) setAttribute(tab, 'aria-current', tab.dataset.tab === view.tab ? 'page' : undefined);
  view.onWorkers?.();
  view.onStats?.();

  const place = isByLink ? undefined : places.get(location.hash);
  scrollTo({ top: place?.top ?? 0 });
  if (previous) {
    // The control that was used, the link that led away, or the heading.
    const at = (id, href) => [...view.element.querySelectorAll('[id], a[href]')].find((each) => (id && each.id === id) || (href && each.getAttribute('href') === href));
    const target = at(undefined, place?.href) ?? (wasInMain && previous.tab === view.tab ? at(focusedId, focusedHref) : undefined);
    (target ?? view.first ?? view.element.querySelector('h1'))?.focus({ preventScroll: true });
  }
  isByLink = false;
  shownHash = location.hash;
  refreshAtOnce();
}

addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href^="#"]');
  if (!link) return;
  if (link.getAttribute('href') === '#main') {
    event.preventDefault();
    byId('main').focus();
    return;
  }
  places.delete(shownHash);
  places.set(shownHash, { top: scrollY, href: link.getAttribute('href') });
  if (places.size > 50) places.delete(places.keys().next().value);
  isByLink = link.getAttribute('href') !== location.hash;
});
addEventListener('hashchange', go);
document.addEventListener('visibilitychange', () => { if (!document.hidden) refreshSoon(); });

const stream = openStream({
  onEvent,
  onState(state) {
    isLive = state === 'live';
    showLink();
    // What changed before the stream began is in the lists alone.
    refreshSoon();
  },
});
history.scrollRestoration = 'manual';
go();
setInterval(beat, 1_000);
