// Deliveries that were refused: usually a secret that sender and server do not share.

const REASONS = {
  missing_signature: 'It has no signature. Does the sender know the secret?',
  empty_signature: 'Its signature is empty. Does the sender know the secret?',
  malformed_signature: 'Its signature is not of the form that this kind of source has. Is `kind` right?',
  missing_id: 'The id that the signature covers is missing.',
  missing_timestamp: 'The time that the signature covers is missing.',
  malformed_timestamp: 'The time that the signature covers is no number.',
  wrong_signature: 'Its signature was made with another secret, or its body was changed on the way.',
  stale_timestamp: 'It was signed too long ago, or in the future. Are both clocks right?',
  invalid_json: 'It is rightly signed, but no JSON.',
  bad_form: 'It is rightly signed, but no form with a payload.',
  queue_full: 'As many tasks and events wait as `limits.queue` allows.',
  disk_reserve: 'Less than `limits.disk_reserve` is free on the disk.',
  overloaded: 'The server was short of memory.',
  store_failed: 'The store failed.',
};

const REFUSALS_SHOWN = 100;

function refusedView() {
  const list = h('ul.rows.long-badges', { 'aria-label': 'Refused deliveries' });
  const note = h('p.empty', { hidden: true });
  const element = h('div', null, h('h1', { tabindex: -1 }, 'Refused deliveries'),
    h('p.dim', null, 'The last 32 of each source since the server started. A delivery that is refused is not stored; its sender may send it again.'), list, note);
  return {
    title: 'Refused deliveries',
    tab: 'refused',
    element,
    pause: 5_000,
    async refresh(signal) {
      const { json, text } = await get('/refusals', signal);
      noteValues(json);
      fill(list, text, () => json.slice(0, REFUSALS_SHOWN).map(({ at, source, reason, bytes: size }) =>
        h('li.row', { 'data-state': 'failed' }, badgeOf('failed', reason), h('span.row-title', null, h('bdi', null, source)),
          h('p.row-facts', null, h('span', null, bytes(size)), age(at)),
          h('p.row-why', null, REASONS[reason] ?? reason))));
      list.hidden = json.length === 0;
      note.hidden = json.length > 0 && json.length <= REFUSALS_SHOWN;
      put(note, json.length ? `${plural(json.length - REFUSALS_SHOWN, 'older one is', 'older ones are')} not shown.` : 'None was refused.');
      return text.length;
    },
    onChange() {},
  };
}
