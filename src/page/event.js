// One event: what came, which rule matched, or why none did.

const CHECKS = { ignore_actors: 'not by an ignored actor', on: 'type', when: 'when' };

/** A value of a check, on one line. */
function checkValue(value) {
  if (value === null || value === undefined) return h('em.dim', null, 'nothing');
  return h('code', { dir: 'auto' }, excerpt(typeof value === 'string' ? value : JSON.stringify(value), 300));
}

function ruleCard({ worker, rule, matched, checks }, counts) {
  const rows = checks.map(({ check, wanted, found, passed }) => h('tr', { 'data-passed': String(passed) },
    h('th', { scope: 'row' }, icon(passed ? 'completed' : 'failed'), h('span.hidden', null, passed ? 'passed: ' : 'failed: '),
      check.startsWith('filter.') ? check.slice(7) : CHECKS[check] ?? check),
    h('td', { 'data-label': 'wanted' }, checkValue(wanted)), h('td', { 'data-label': 'found' }, checkValue(found))));
  const verdict = matched ? badgeOf('completed', counts ? 'matched' : 'matches, too late') : badgeOf('skipped', 'no match');
  return h(`li.rule${counts ? '.counts' : ''}`, null,
    h('p.rule-head', null, h('strong', null, h('bdi', null, worker)), h('span.dim', null, `rule ${rule}`), verdict),
    h('table', null, h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'check'), h('th', { scope: 'col' }, 'wanted'), h('th', { scope: 'col' }, 'found'))), h('tbody', null, rows)));
}

function whyBlock({ rules, reason }) {
  const first = rules.findIndex((rule) => rule.matched);
  const line = rules.length === 0
    ? 'No rule asks for events of this source.'
    : first < 0 ? 'Each rule of its source, and what it lacks.' : 'The first rule that matches counts.';
  return h('section.block', null,
    h('header', null, h('h2', null, first < 0 ? 'Why no rule matches' : 'Which rule matches')),
    h('p.dim', null, `${line} The rules are those of now.`),
    reason ? h('p.row-why', { dir: 'auto' }, reason) : null,
    h('ol.rules', null, rules.slice(0, 100).map((rule, at) => ruleCard(rule, at === first))),
    rules.length > 100 ? h('p.dim', null, `${plural(rules.length - 100, 'more rule is', 'more rules are')} not shown.`) : null);
}

const WHY = { failed: 'Why it failed', skipped: 'Why it was skipped' };

function eventView(id) {
  const sign = badge();
  const heading = h('h1', { tabindex: -1, dir: 'auto' }, 'Event');
  const buttons = h('div.buttons');
  const reason = h('div', { hidden: true });
  const top = h('div');
  const prompt = h('div', { hidden: true });
  const why = h('div', { hidden: true });
  const payload = h('div', { hidden: true });
  const attributes = h('div', { hidden: true });
  const element = h('article', null,
    h('header.head', null, heading, sign.element, h('code.id', null, id), buttons), reason, top, prompt, why, payload, attributes);

  function show(event, raw, explanation) {
    const waits = isWaiting(event);
    put(heading, event.type);
    sign.update(waits ? 'waiting' : event.state, waits ? 'to approve' : event.state);
    fill(buttons, `${waits} ${isEnded(event.state)}`, () => [
      waits ? orderButton('approve', id) : null,
      isEnded(event.state) ? orderButton('replay', id) : null,
    ]);
    buttons.firstChild?.classList.toggle('primary', waits || event.state === 'failed');
    const title = event.reason && WHY[event.state];
    fill(reason, `${title} ${event.reason}`, () => title && h(`section.reason${event.state === 'failed' ? '' : '.warn'}`, null,
      textBlock({ title, text: event.reason, name: `${id}-reason.txt` })));
    fill(top, JSON.stringify([event.task_id, event.worker_name, event.updated_at]), () => facts([
      ['Source', h('a', { href: `#/events${query({ source: event.source })}` }, event.source)],
      ['About', event.subject],
      ['By', event.actor],
      ['Worker', event.worker_name && h('a', { href: `#/tasks${query({ worker: event.worker_name })}` }, event.worker_name)],
      ['Task', event.task_id && h('a', { href: `#/task/${event.task_id}` }, h('code', null, event.task_id))],
      ['Came', age(event.created_at)],
      ['Changed', age(event.updated_at)],
      ['Delivery', h('code', null, event.delivery_id)],
    ]));
    fill(prompt, explanation.prompt ?? '', () => explanation.prompt && textBlock({ title: 'Prompt', text: explanation.prompt, name: `${id}-prompt.txt` }));
    fill(why, JSON.stringify(explanation), () => whyBlock(explanation));
    fill(payload, raw ?? '', () => raw && textBlock({ title: 'Payload', text: raw, form: 'json', name: `${id}.json` }));
    const given = JSON.stringify(event.attrs);
    fill(attributes, given, () => textBlock({ title: 'Attributes', text: given, form: 'json', name: `${id}-attributes.json` }));
  }

  return {
    title: `Event ${id}`,
    tab: 'events',
    element,
    async refresh(signal) {
      const [found, explanation] = await Promise.all([get(`/event/${id}`, signal), get(`/event/${id}/why`, signal)]);
      show(found.json, lastField(found.text, 'payload'), explanation.json);
      return found.text.length;
    },
    onChange(type, change) {
      if (type === 'event' && change.id === id) refreshSoon();
    },
  };
}
