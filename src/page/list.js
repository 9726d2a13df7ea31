// Tasks and events by the page, newest first.

const PAGE_LENGTH = 50;
/** New ones that are counted; above it is "more". */
const NEW_MAX = 999;
const CACHED_MAX = 8;
/** How long after a touch a list keeps still, so that nobody hits what has just come. */
const STILL_TIME = 1_500;

const KINDS = {
  tasks: {
    title: 'Tasks',
    one: 'task',
    states: ['pending', 'dispatched', 'completed', 'failed'],
    fields: ['worker'],
    slim: slimTask,
    row: taskRow,
    matches: (task, { state, worker }) => (!state || task.state === state) && (!worker || task.worker_name === worker),
  },
  events: {
    title: 'Events',
    one: 'event',
    states: ['received', 'matched', 'dispatched', 'completed', 'failed', 'skipped'],
    fields: ['source', 'type'],
    slim: slimEvent,
    row: eventRow,
    matches: (event, { state, source, type }) =>
      (!state || event.state === state) && (!source || event.source === source) && (!type || event.type === type),
  },
};

/** Pages as they were seen last, by their hash: who comes back finds them at once. */
const seenPages = new Map();

/** Sources and types that were seen, to choose from. */
const seenValues = { source: new Set(), type: new Set() };

function noteValues(items) {
  for (const [field, values] of Object.entries(seenValues)) {
    for (const item of items) if (values.size < 200 && item[field]) values.add(item[field]);
  }
}

function listView(name, { state, before, ...parameters }) {
  const kind = KINDS[name];
  const filter = { state, ...Object.fromEntries(kind.fields.map((field) => [field, parameters[field]])) };
  const here = (changes) => `#/${name}${query({ ...filter, ...changes })}`;
  const own = here({ before });

  const chips = new Map();
  const chip = (value, text) => {
    const count = h('span.count');
    chips.set(value, count);
    return h('a.chip', { href: here({ state: value }), 'aria-current': state === value ? 'true' : undefined }, text, count);
  };
  const pill = h('button.pill', { type: 'button', hidden: true, onclick: () => showNew() });
  const list = h('ul.rows', { 'aria-label': kind.title });
  const empty = h('p.empty', { hidden: true });
  const older = h('a.button', { hidden: true }, 'Older');
  const newest = h('a.button', { href: here({}), hidden: !before }, 'Newest');
  const element = h('div', null,
    h('h1', { tabindex: -1 }, kind.title),
    h('nav.chips', { 'aria-label': 'State' }, chip(undefined, 'all'), kind.states.map((each) => chip(each, each))),
    h('form.filters', { onsubmit: (event) => event.preventDefault() }, kind.fields.map(field)),
    h('div.fresh', null, pill), list, empty,
    h('nav.pager', { 'aria-label': 'More' }, newest, older));

  function field(fieldName) {
    const id = `filter-${fieldName}`;
    const go = (event) => { location.hash = here({ [fieldName]: event.target.value.trim() || undefined }); };
    const label = h('label', { for: id }, fieldName);
    if (fieldName === 'worker') {
      const names = new Set([...shared.workers.map((worker) => worker.name), filter.worker].filter(Boolean));
      return [label, h('select', { id, onchange: go }, h('option', { value: '' }, 'all'),
        [...names].map((each) => h('option', { value: each, selected: each === filter.worker }, each)))];
    }
    const values = h('datalist', { id: `${id}-values` });
    const fillValues = () => values.replaceChildren(...[...seenValues[fieldName]].map((value) => h('option', { value })));
    return [label, h('input', {
      id, type: 'search', list: `${id}-values`, placeholder: 'all', value: filter[fieldName], autocapitalize: 'none', spellcheck: 'false',
      onchange: go, onfocus: fillValues,
    }), values];
  }

  const rows = new Map();
  const fresh = new Set();
  let items = [];
  let next;
  /** The page as it is by now, while the reader is further down. */
  let held;
  let touchedAt = 0;
  const openedAt = serverNow();
  list.addEventListener('pointermove', () => { touchedAt = Date.now(); }, { passive: true });
  list.addEventListener('pointerdown', () => { touchedAt = Date.now(); }, { passive: true });

  const isStill = () => Date.now() - touchedAt < STILL_TIME;
  const isFurtherDown = () => list.getBoundingClientRect().top < -20;

  function apply(page) {
    held = undefined;
    items = page.items;
    next = page.next;
    fresh.clear();
    reconcile(list, rows, items, kind.row);
    older.hidden = next === undefined;
    if (next) setAttribute(older, 'href', here({ before: next }));
    fill(empty, `${next}`, () => emptyText());
    empty.hidden = items.length > 0;
    showCount();
    seenPages.delete(own);
    seenPages.set(own, page);
    if (seenPages.size > CACHED_MAX) seenPages.delete(seenPages.keys().next().value);
  }

  function emptyText() {
    if (next) return ['None among those looked at; there may be older ones.'];
    const isFiltered = Object.values(filter).some(Boolean) || before;
    if (isFiltered) return [`No such ${kind.title.toLowerCase()}. `, h('a', { href: `#/${name}` }, 'Show all')];
    return name === 'tasks'
      ? ['No task yet. ', h('a', { href: '#/new' }, 'Send the first one')]
      : ['No event yet. A signed delivery to /webhook/{source} makes one; ', h('a', { href: '#/refused' }, 'refused ones'), ' are listed, too.'];
  }

  function showCount() {
    pill.hidden = fresh.size === 0;
    put(pill, `${fresh.size > NEW_MAX ? `${NEW_MAX}+` : fresh.size} new`);
  }

  function showNew() {
    scrollTo({ top: 0 });
    if (before) {
      location.hash = here({});
      return;
    }
    if (held) apply(held);
    list.querySelector('a')?.focus({ preventScroll: true });
  }

  function hold(page) {
    const byItsId = new Map(page.items.map((item) => [item.id, item]));
    items = items.map((item) => byItsId.get(item.id) ?? item);
    reconcile(list, rows, items, kind.row);
    const top = items[0]?.id ?? '';
    for (const { id } of page.items) if (id > top && fresh.size <= NEW_MAX) fresh.add(id);
    held = page;
    showCount();
  }

  const onScroll = () => { if (held && !isFurtherDown()) apply(held); };
  addEventListener('scroll', onScroll, { passive: true });

  const cached = seenPages.get(own);
  if (cached) apply(cached);

  return {
    title: kind.title,
    tab: name,
    element,
    async refresh(signal) {
      const answer = await get(`/${name}${query({ ...filter, before, limit: PAGE_LENGTH })}`, signal);
      const page = { items: answer.json.map(kind.slim), next: answer.next };
      noteValues(page.items);
      const adds = page.items.some((item) => !rows.has(item.id));
      if (!before && items.length && isFurtherDown()) hold(page);
      else if (items.length && adds && isStill()) {
        hold(page);
        setTimeout(refreshSoon, STILL_TIME);
      } else apply(page);
      this.onStats();
      return answer.text.length;
    },
    onChange(type, change) {
      if (type !== kind.one) return;
      const known = items.find((item) => item.id === change.id);
      if (known) {
        Object.assign(known, change);
        rows.get(known.id)?.update(known);
      }
      if (!before || (known && isEnded(change.state))) refreshSoon();
      else if (!known && Date.parse(change.created_at) > openedAt && kind.matches(change, filter) && fresh.size <= NEW_MAX) {
        fresh.add(change.id);
        showCount();
      }
    },
    onStats() {
      const counts = shared.stats?.[name];
      for (const [value, count] of chips) if (value && counts?.[value] !== undefined) put(count, grouped(counts[value]));
    },
    close: () => removeEventListener('scroll', onScroll),
  };
}
