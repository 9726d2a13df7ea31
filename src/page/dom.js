// The document: elements are made here, and text is set as text alone.

const byId = (id) => document.getElementById(id);

/** Makes an element: h('p.note', { title: 'x', onclick }, 'text', child). Absent children are left out. */
function h(spec, attributes, ...children) {
  const [tag, ...classes] = spec.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(2).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** Makes an element of SVG. */
function s(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text unless it is there: what does not change is not painted nor read out again. */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

const filled = new WeakMap();

/** Fills a slot with what `build` makes, unless it was filled for the same key before. */
function fill(slot, key, build) {
  if (filled.get(slot) === key && filled.has(slot)) return;
  filled.set(slot, key);
  const content = build();
  slot.replaceChildren(...[content].flat().filter(Boolean));
  slot.hidden = !content;
}

/**
 * Makes the rows of a list those of `items`, in their order: rows that stay are moved at most, so they keep
 * focus and selection. Where the row with the focus goes, the focus goes to its neighbour.
 */
function reconcile(list, rows, items, make) {
  const ids = new Set(items.map((item) => item.id));
  const focused = list.contains(document.activeElement) ? document.activeElement.closest('li') : null;
  let neighbour = null;
  if (focused) {
    for (let at = focused; at && !neighbour; at = at.nextElementSibling) if (ids.has(at.dataset.id)) neighbour = at;
    for (let at = focused; at && !neighbour; at = at.previousElementSibling) if (ids.has(at.dataset.id)) neighbour = at;
  }
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  let place = list.firstElementChild;
  for (const item of items) {
    let row = rows.get(item.id);
    if (!row) {
      row = make(item);
      row.element.dataset.id = item.id;
      rows.set(item.id, row);
    }
    row.update(item);
    if (row.element === place) place = place.nextElementSibling;
    else list.insertBefore(row.element, place);
  }
  if (focused && !focused.isConnected) (neighbour?.querySelector('a') ?? byId('main')).focus();
}

const STROKES = {
  completed: 'M5 13l4 4L19 7',
  failed: 'M6 6l12 12M18 6L6 18',
  pending: 'M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18',
  dispatched: 'M12 3a9 9 0 1 1-9 9',
  skipped: 'M6 12h12',
  received: 'M12 4v12M7 11l5 5 5-5M5 20h14',
  waiting: 'M8 5v14M16 5v14',
  offline: 'M6 6l12 12M18 6L6 18',
  warn: 'M12 9v5M12 17v.5M12 3l9.5 17h-19z',
};
STROKES.matched = STROKES.pending;
STROKES.online = STROKES.completed;
STROKES.busy = STROKES.dispatched;
STROKES.running = STROKES.dispatched;
STROKES.refused = STROKES.broken_off = STROKES.cancelled = STROKES.skipped;

function icon(name) {
  return s('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true', class: `icon ${name}` }, s('path', { d: STROKES[name] ?? STROKES.skipped }));
}

/** A state, told by colour, sign and word. */
function badge() {
  const word = h('span');
  const element = h('span.badge', null, h('span.sign'), word);
  return {
    element,
    update(state, text = state) {
      if (element.dataset.state !== state) {
        element.dataset.state = state;
        element.firstChild.replaceChildren(icon(state));
      }
      put(word, text.replaceAll('_', ' '));
    },
  };
}

function badgeOf(state, text) {
  const made = badge();
  made.update(state, text);
  return made.element;
}

let toastTimer = 0;

/** Says something once, to eyes and to screen readers. */
function say(text, isWrong = false) {
  const toast = byId('toast');
  clearTimeout(toastTimer);
  toast.classList.toggle('bad', isWrong);
  toast.replaceChildren(h('p', null, text));
  toastTimer = setTimeout(() => toast.replaceChildren(), isWrong ? 12_000 : 5_000);
}
