// Whether all is well, at a glance.

const DAY = 86_400_000;
const HOUR = 3_600_000;
const WORKERS_SHOWN = 12;
const FAILED_LOOKED_AT = 100;

const isOfToday = (at) => serverNow() - Date.parse(at) < DAY;
/** Failed tasks that nobody cancelled, of the last day. */
const isFailure = (task) => task.error !== 'cancelled' && isOfToday(task.completed_at ?? task.created_at);
/** Failed events of the last day; one that has a task fails with it, and is told of there. */
const isFailedEvent = (event) => event.task_id === undefined && isOfToday(event.updated_at);

/** What is wrong, the worst first: { level: 'bad' | 'warn', text, why?, href }. */
function findProblems({ workers, stats, failed, failedEvents, waiting, refusals }) {
  const problems = [];
  const add = (level, text, href, why) => problems.push({ level, text, href, why });
  if (stats?.disk && stats.disk.free < stats.disk.reserve) {
    add('bad', `The disk is full: ${bytes(stats.disk.free)} free, ${bytes(stats.disk.reserve)} are kept in reserve. New work is refused.`);
  }
  const offline = workers.filter((worker) => worker.state === 'offline');
  for (const worker of offline.slice(0, 5)) {
    const waits = worker.pending > 0;
    const count = waits ? `, and ${plural(worker.pending, 'task waits', 'tasks wait')} for it` : '';
    add(waits ? 'bad' : 'warn', `${worker.name} is offline${count}`, `#/tasks${query({ worker: worker.name, state: waits ? 'pending' : undefined })}`, worker.last_error);
  }
  if (offline.length > 5) add('warn', `${plural(offline.length - 5, 'more worker is', 'more workers are')} offline`);
  if (workers.length === 0) add('warn', 'There is no worker yet: nothing can run');
  const addFailed = (one, all, found) => {
    const more = all.length >= FAILED_LOOKED_AT && found.includes(all.at(-1)) ? ' or more' : '';
    if (found.length) add('warn', `${grouped(found.length)}${more} ${found.length === 1 ? one : `${one}s`} failed in the last 24 hours`, `#/${one}s?state=failed`);
  };
  addFailed('task', failed, failed.filter(isFailure));
  addFailed('event', failedEvents, failedEvents.filter(isFailedEvent));
  if (waiting.length) add('warn', `${plural(waiting.length, 'event waits', 'events wait')} to be approved`, '#/events?state=matched');
  const recent = refusals.filter(({ at }) => serverNow() - Date.parse(at) < HOUR);
  if (recent.length) add('warn', `${plural(recent.length, 'delivery was', 'deliveries were')} refused in the last hour`, '#/refused');
  return problems.sort((one, other) => (one.level === other.level ? 0 : one.level === 'bad' ? -1 : 1));
}

function summary({ workers, stats }) {
  const parts = [];
  const online = workers.filter((worker) => worker.state !== 'offline').length;
  if (workers.length) parts.push(`${online === workers.length ? '' : `${grouped(online)} of `}${plural(workers.length, 'worker')} online`);
  const running = workers.reduce((sum, worker) => sum + worker.running, 0);
  const pending = stats?.tasks.pending ?? workers.reduce((sum, worker) => sum + worker.pending, 0);
  parts.push(running ? `${grouped(running)} running` : 'nothing runs', pending ? `${grouped(pending)} pending` : 'nothing waits');
  if (stats?.oldest_pending_at && pending) parts.push(`the oldest for ${span(serverNow() - Date.parse(stats.oldest_pending_at))}`);
  return parts.join(' · ');
}

/** What the overview showed last: who comes back finds it at once. */
let seenOverview;

function overviewView() {
  const title = h('h1', { tabindex: -1 }, 'mecha');
  const sign = h('span.verdict-sign');
  const line = h('p.dim');
  const problems = h('ul.problems');
  const verdict = h('section.verdict', { 'data-level': 'wait' }, sign, h('div', null, title, line), problems);
  const failed = h('ul.rows', { 'aria-label': 'Failed tasks' });
  const failedPart = h('section', { hidden: true }, h('header', null, h('h2', null, 'Failed tasks'), h('a', { href: '#/tasks?state=failed' }, 'All failed tasks')), failed);
  const failedEvents = h('ul.rows', { 'aria-label': 'Failed events' });
  const failedEventsPart = h('section', { hidden: true }, h('header', null, h('h2', null, 'Failed events'), h('a', { href: '#/events?state=failed' }, 'All failed events')), failedEvents);
  const waiting = h('ul.rows', { 'aria-label': 'Events to approve' });
  const waitingPart = h('section', { hidden: true }, h('header', null, h('h2', null, 'To approve')), waiting);
  const workers = h('ul.workers', { 'aria-label': 'Workers' });
  const noWorkers = h('p.empty', { hidden: true }, 'No worker yet. A ', h('code', null, '[[worker]]'), ' table in the configuration file declares one, or ', h('code', null, 'mecha worker add'), ' while the server runs.');
  const allWorkers = h('button.plain', { type: 'button', hidden: true });
  const plots = [
    plot({ title: 'Queue depth', read: grouped, series: [{ name: 'pending', field: 'pending', form: 'area' }] }),
    plot({ title: 'Completed', read: grouped, sum: true, series: [{ name: 'completed', field: 'completed', form: 'bars' }, { name: 'failed', field: 'failed', form: 'bars' }] }),
    plot({ title: 'Wait', read: span, series: [{ name: 'median', field: 'wait_p50_ms', form: 'area' }, { name: '99 %', field: 'wait_p99_ms', form: 'line' }] }),
    plot({ title: 'Run time', read: span, series: [{ name: 'median', field: 'attempt_p50_ms', form: 'area' }, { name: '99 %', field: 'attempt_p99_ms', form: 'line' }] }),
  ];
  const plotPart = h('section', { hidden: true }, h('header', null, h('h2', null, 'The last hour')), h('div.plots', null, plots.map((each) => each.element)));
  const latest = h('ul.rows', { 'aria-label': 'Latest tasks' });
  const nothing = h('p.empty', { hidden: true }, 'No task yet. ', h('a', { href: '#/new' }, 'Send the first one'));
  const element = h('div.overview', null, verdict, failedPart, failedEventsPart, waitingPart,
    h('section', null, h('header', null, h('h2', null, 'Workers')), workers, noWorkers, allWorkers), plotPart,
    h('section', null, h('header', null, h('h2', null, 'Latest tasks'), h('a', { href: '#/tasks' }, 'All tasks')), latest, nothing));

  const rows = { failed: new Map(), failedEvents: new Map(), waiting: new Map(), workers: new Map(), latest: new Map() };
  let seen = seenOverview;
  let isEveryWorker = false;
  allWorkers.addEventListener('click', () => {
    isEveryWorker = true;
    showWorkers();
    workers.querySelector(`li:nth-child(${WORKERS_SHOWN + 1}) a`)?.focus();
  });

  function showWorkers() {
    const rank = { offline: 0, busy: 1, online: 2 };
    const sorted = [...shared.workers].sort((one, other) => rank[one.state] - rank[other.state]);
    const shown = (isEveryWorker ? sorted : sorted.slice(0, WORKERS_SHOWN)).map((worker) => ({ ...worker, id: worker.name }));
    reconcile(workers, rows.workers, shown, workerCard);
    noWorkers.hidden = sorted.length > 0;
    allWorkers.hidden = shown.length === sorted.length;
    put(allWorkers, `All ${sorted.length} workers`);
  }

  function show() {
    if (!seen) return;
    const found = findProblems({ ...seen, workers: shared.workers, stats: shared.stats });
    const level = found[0]?.level ?? 'ok';
    setAttribute(verdict, 'data-level', level);
    fill(sign, level, () => icon({ ok: 'completed', warn: 'warn', bad: 'failed' }[level]));
    put(title, { ok: 'All is well', warn: 'Worth a look', bad: 'Something is wrong' }[level]);
    put(line, summary({ workers: shared.workers, stats: shared.stats }));
    fill(problems, JSON.stringify(found), () => found.map(({ level: each, text, href, why }) =>
      h('li', { 'data-level': each }, href ? h('a', { href, dir: 'auto' }, text) : text, why ? h('span.row-why', { dir: 'auto' }, excerpt(why)) : null)));
    const failures = seen.failed.filter(isFailure).slice(0, 5);
    failedPart.hidden = failures.length === 0;
    reconcile(failed, rows.failed, failures, taskRow);
    const lost = seen.failedEvents.filter(isFailedEvent).slice(0, 5);
    failedEventsPart.hidden = lost.length === 0;
    reconcile(failedEvents, rows.failedEvents, lost, eventRow);
    waitingPart.hidden = seen.waiting.length === 0;
    reconcile(waiting, rows.waiting, seen.waiting.slice(0, 5), eventRow);
    reconcile(latest, rows.latest, seen.latest.filter((task) => !failures.some(({ id }) => id === task.id)), taskRow);
    nothing.hidden = seen.latest.length > 0;
    plotPart.hidden = !shared.stats?.minutes;
    const { stats } = shared;
    if (stats?.minutes) plots.forEach((each, at) => each.update(stats.minutes, at === 0 ? stats.tasks.pending : undefined));
    showWorkers();
  }

  return {
    title: 'Overview',
    tab: '',
    element,
    async refresh(signal) {
      const answers = await Promise.all([
        get(`/tasks${query({ state: 'failed', limit: FAILED_LOOKED_AT })}`, signal),
        get(`/events${query({ state: 'failed', limit: FAILED_LOOKED_AT })}`, signal),
        get(`/events${query({ state: 'matched', limit: 50 })}`, signal),
        get('/refusals', signal),
        get(`/tasks${query({ limit: 8 })}`, signal),
      ]);
      const [failedTasks, failedOnes, matched, refusals, latestTasks] = answers.map((answer) => answer.json);
      seen = seenOverview = {
        failed: failedTasks.map(slimTask),
        failedEvents: failedOnes.map(slimEvent),
        waiting: matched.filter(isWaiting).map(slimEvent),
        refusals,
        latest: latestTasks.map(slimTask),
      };
      show();
      return answers.reduce((sum, answer) => sum + answer.text.length, 0);
    },
    onChange(type, change) {
      const known = type === 'task' ? [...(seen?.failed ?? []), ...(seen?.latest ?? [])].filter((task) => task.id === change.id) : [];
      for (const task of known) {
        Object.assign(task, change);
        rows.latest.get(task.id)?.update(task);
      }
      refreshSoon();
    },
    onWorkers: show,
    onStats: show,
  };
}
