// Rows of lists. A row is { element, update(item) } and is told what changed.

/** What a list keeps of a task: its texts may be megabytes. */
const slimTask = ({ prompt, error, result, context, ...rest }) => ({ ...rest, prompt: headline(prompt), error: excerpt(error) });

const slimEvent = ({ attrs, ...rest }) => ({ ...rest, title: excerpt(String(attrs?.title ?? attrs?.text ?? ''), 120), reason: excerpt(rest.reason) });

function row(href) {
  const sign = badge();
  const title = h('a.row-title', { href, dir: 'auto' });
  const facts = h('p.row-facts');
  const why = h('p.row-why', { dir: 'auto' });
  const buttons = h('div.row-buttons');
  const element = h('li.row', null, sign.element, title, facts, why, buttons);
  return { element, sign, title, facts, why, buttons };
}

function taskRow(task) {
  const parts = row(`#/task/${task.id}`);
  const worker = h('bdi');
  const attempts = h('span');
  parts.facts.append(worker, attempts, age(task.created_at));
  return {
    element: parts.element,
    update({ id, state, prompt, worker_name, attempts: count, error }) {
      parts.element.dataset.state = state;
      parts.sign.update(state);
      put(parts.title, prompt || id);
      put(worker, worker_name);
      put(attempts, count > 1 ? plural(count, 'attempt') : '');
      put(parts.why, state === 'completed' ? '' : error ?? '');
      fill(parts.buttons, state === 'failed', () => {
        if (state !== 'failed') return undefined;
        const button = orderButton('retry', id);
        button.setAttribute('aria-label', `Run again: ${prompt || id}`);
        return button;
      });
    },
  };
}

function eventRow(event) {
  const parts = row(`#/event/${event.id}`);
  const source = h('bdi');
  const subject = h('bdi');
  parts.facts.append(source, subject, age(event.created_at));
  return {
    element: parts.element,
    update(item) {
      const { id, state, type, title, source: name, subject: about, reason } = item;
      const waits = isWaiting(item);
      parts.element.dataset.state = waits ? 'waiting' : state;
      parts.sign.update(waits ? 'waiting' : state, waits ? 'to approve' : state);
      put(parts.title, title ? `${type}: ${title}` : type);
      put(source, name);
      put(subject, about ?? '');
      put(parts.why, waits || isEnded(state) ? reason ?? '' : '');
      fill(parts.buttons, `${waits} ${state === 'failed'}`, () => {
        const what = `${type} ${about ?? ''}`.trim();
        // Nobody approves what they have not seen: its page has the prompt.
        if (waits) return h('a.button', { href: `#/event/${id}`, 'aria-label': `Review: ${what}` }, 'Review');
        if (state !== 'failed') return undefined;
        const button = orderButton('replay', id);
        button.setAttribute('aria-label', `Replay: ${what}`);
        return button;
      });
    },
  };
}

function workerCard({ name }) {
  const sign = badge();
  const load = h('meter', { min: 0, 'aria-label': `Load of ${name}` });
  const running = h('span');
  const pending = h('a', { href: `#/tasks${query({ worker: name, state: 'pending' })}` });
  const why = h('p.row-why', { dir: 'auto' });
  return {
    element: h('li.worker', null,
      h('div.worker-head', null, h('a.row-title', { href: `#/tasks${query({ worker: name })}` }, name), sign.element),
      load, h('p.row-facts', null, running, pending), why),
    update(worker) {
      sign.update(worker.state);
      setAttribute(load, 'max', String(worker.concurrency));
      setAttribute(load, 'value', String(worker.running));
      put(running, `${worker.running} of ${grouped(worker.concurrency)} running`);
      put(pending, `${grouped(worker.pending)} pending`);
      put(why, worker.state === 'online' ? '' : excerpt(worker.last_error) ?? '');
    },
  };
}
