// The story of one task.

const OUTCOMES = {
  refused: 'The worker said that it is busy; this attempt is not counted.',
  broken_off: 'Broken off because the server stopped; it runs again.',
};

function facts(pairs) {
  return h('dl.facts', null, pairs.filter(([, value]) => value !== undefined).map(([term, value]) => h('div', null, h('dt', null, term), h('dd', { dir: 'auto' }, value))));
}

function attemptItem({ attempt, started_at, ended_at, outcome, error }, isLast, topError) {
  const sign = badgeOf(outcome ?? 'running');
  const took = ended_at ? `took ${span(Date.parse(ended_at) - Date.parse(started_at))}` : ['for ', since(started_at)];
  const why = error ?? OUTCOMES[outcome];
  return h('li', { 'data-state': outcome ?? 'dispatched' },
    h('p', null, h('strong', null, `Attempt ${attempt}`), sign, h('span.dim', null, moment(started_at), ', ', took)),
    why && !(isLast && why === topError) ? h('p.row-why', { dir: 'auto' }, excerpt(why, 1_000)) : null);
}

/** Why a pending task does not run yet. */
function patience(task) {
  const worker = shared.workers.find(({ name }) => name === task.worker_name);
  if (!worker) return `Waits: there is no worker ${task.worker_name} now.`;
  if (worker.state === 'offline') return `Waits: ${worker.name} is offline${worker.last_error ? `: ${excerpt(worker.last_error)}` : ''}`;
  if (task.attempts > 0) return 'Waits for its next attempt.';
  if (worker.running >= worker.concurrency) return `Waits for its turn: ${worker.name} runs ${worker.running} at a time.`;
  return 'Waits for its turn.';
}

function storyItems(task, attempts) {
  const first = attempts?.[0];
  const ended = isEnded(task.state);
  return [
    h('li', { 'data-state': 'received' }, h('p', null, h('strong', null, 'Submitted'), h('span.dim', null, moment(task.created_at)),
      task.event_id ? h('a', { href: `#/event/${task.event_id}` }, 'by an event') : null)),
    first && first.attempt > 1 ? h('li', null, h('p.dim', null, 'Earlier attempts are no longer kept.')) : null,
    attempts
      ? attempts.map((attempt, at) => attemptItem(attempt, at === attempts.length - 1, task.error))
      : task.dispatched_at ? h('li', { 'data-state': 'dispatched' }, h('p', null, h('strong', null, `Attempt ${task.attempts}`), h('span.dim', null, moment(task.dispatched_at)))) : null,
    task.state === 'pending' ? h('li', { 'data-state': 'pending' }, h('p.dim', { dir: 'auto' }, patience(task))) : null,
    ended ? h('li', { 'data-state': task.state }, h('p', null, h('strong', null, task.state === 'failed' ? (task.error === 'cancelled' ? 'Cancelled' : 'Failed') : 'Completed'),
      task.completed_at ? h('span.dim', null, moment(task.completed_at), ', ', span(Date.parse(task.completed_at) - Date.parse(task.created_at)), ' after it was submitted') : null)) : null,
  ].flat().filter(Boolean);
}

function taskView(id) {
  const sign = badge();
  const lead = h('p.dim.lead', { dir: 'auto' });
  const buttons = h('div.buttons');
  const top = h('div');
  const why = h('div', { hidden: true });
  const story = h('ol.story');
  const result = h('div', { hidden: true });
  const prompt = h('div');
  const context = h('div', { hidden: true });
  const element = h('article', null,
    h('header.head', null, h('h1', { tabindex: -1 }, 'Task'), sign.element, h('code.id', null, id), buttons),
    lead, why, top, result, h('section.block', null, h('header', null, h('h2', null, 'What happened')), story), prompt, context);
  let task;
  let attempts;
  let given;

  function show() {
    const { state, error } = task;
    sign.update(state);
    put(lead, headline(task.prompt));
    fill(buttons, state, () => [
      state === 'failed' ? orderButton('retry', id) : null,
      isEnded(state) ? null : cancelButton(id),
      h('a.button', { href: `#/new?from=${id}` }, 'Use as a draft'),
    ]);
    buttons.firstChild.classList.toggle('primary', state === 'failed');
    const isRetrying = error !== undefined && !isEnded(state);
    fill(why, error && error !== 'cancelled' && state !== 'completed' ? `${isRetrying} ${error}` : '', () => error && error !== 'cancelled' && state !== 'completed'
      ? h(`section.reason${isRetrying ? '.warn' : ''}`, null, textBlock({ title: isRetrying ? 'Why the last attempt failed' : 'Why it failed', text: error, name: `${id}-error.txt` }))
      : undefined);
    fill(top, JSON.stringify([task.worker_name, task.attempts, task.event_id]), () => facts([
      ['Worker', h('a', { href: `#/tasks${query({ worker: task.worker_name })}` }, task.worker_name)],
      ['Attempts', String(task.attempts)],
      ['Submitted', age(task.created_at)],
      ['Event', task.event_id ? h('a', { href: `#/event/${task.event_id}` }, h('code', null, task.event_id)) : undefined],
    ]));
    const worker = shared.workers.find(({ name }) => name === task.worker_name);
    fill(story, JSON.stringify([state, task.completed_at, task.dispatched_at, error, attempts, state === 'pending' && [worker?.state, worker?.running, worker?.last_error]]), () => storyItems(task, attempts));
    fill(result, task.result ?? '', () => (task.result === undefined ? undefined : resultBlocks(id, task.result)));
    fill(prompt, task.prompt, () => textBlock({ title: 'Prompt', text: task.prompt, name: `${id}-prompt.txt` }));
    fill(context, given ?? '', () => (given ? textBlock({ title: 'Context', text: given, form: 'json', name: `${id}-context.json` }) : undefined));
  }

  return {
    title: `Task ${id}`,
    tab: 'tasks',
    element,
    async refresh(signal) {
      const [found, tries] = await Promise.all([get(`/task/${id}`, signal), getIfThere(`/task/${id}/attempts`, signal)]);
      task = found.json;
      attempts = tries?.json;
      given = task.context && lastField(found.text, 'context');
      show();
      return found.text.length;
    },
    onChange(type, change) {
      if (type === 'task' && change.id === id) refreshSoon();
    },
    onWorkers: () => task && show(),
  };
}
