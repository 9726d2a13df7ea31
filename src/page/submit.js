// A new task.

/** What was typed and not sent: it is there when the reader comes back. */
const draft = { worker: '', prompt: '', context: '' };

/** The key under which this body is sent: sending it twice, after an answer got lost, makes one task. */
const sent = { body: '', key: '' };

function submitView({ from }) {
  const worker = h('select', { id: 'new-worker' });
  const prompt = h('textarea', { id: 'new-prompt', rows: 8, required: true, 'aria-describedby': 'new-hint', dir: 'auto' });
  const context = h('textarea', { id: 'new-context', rows: 4, spellcheck: 'false', placeholder: '{"repository": "…"}', 'aria-describedby': 'new-wrong' });
  const more = h('details', null, h('summary', null, 'Context for the worker'), h('label', { for: 'new-context' }, 'A JSON object'), context);
  const wrong = h('p.wrong', { id: 'new-wrong', role: 'alert' });
  const button = h('button.button.primary', { type: 'submit' }, 'Send');
  const form = h('form.new', { novalidate: true },
    h('label', { for: 'new-prompt' }, 'Prompt'), prompt,
    h('label', { for: 'new-worker' }, 'Worker'), worker, more, wrong,
    h('div.buttons', null, button, h('span.dim', { id: 'new-hint' }, 'Ctrl + Enter sends')));
  const element = h('div', null, h('h1', { tabindex: -1 }, 'New task'), form);

  const fields = { worker, prompt, context };
  for (const [name, field] of Object.entries(fields)) {
    field.value = draft[name];
    field.addEventListener('input', () => { draft[name] = field.value; });
  }
  more.open = draft.context !== '';

  function showWorkers() {
    const names = new Set([...shared.workers.map(({ name }) => name), draft.worker].filter(Boolean));
    fill(worker, JSON.stringify(shared.workers.map(({ name, state }) => [name, state])), () => [
      h('option', { value: '' }, 'the next that is online'),
      ...[...names].map((name) => {
        const state = shared.workers.find((each) => each.name === name)?.state;
        return h('option', { value: name }, state === 'offline' ? `${name} (offline)` : name);
      })]);
    worker.value = draft.worker;
  }
  showWorkers();

  function complain(field, text) {
    put(wrong, text);
    field?.focus();
  }

  async function submit() {
    if (button.getAttribute('aria-busy') === 'true') return;
    put(wrong, '');
    if (prompt.value.trim() === '') return complain(prompt, 'A prompt is wanted.');
    const body = { prompt: prompt.value, ...(worker.value && { worker: worker.value }) };
    if (context.value.trim() !== '') {
      more.open = true;
      try {
        body.context = JSON.parse(context.value);
      } catch (error) {
        return complain(context, `The context is no JSON: ${error.message}`);
      }
      if (typeof body.context !== 'object' || body.context === null || Array.isArray(body.context)) {
        return complain(context, 'The context must be a JSON object, {…}.');
      }
    }
    const text = JSON.stringify(body);
    if (sent.body !== text) Object.assign(sent, { body: text, key: randomName() });
    button.setAttribute('aria-busy', 'true');
    try {
      const { json } = await ask('POST', '/task', { body: text, headers: { 'content-type': 'application/json', 'idempotency-key': sent.key } });
      Object.assign(draft, { prompt: '', context: '' });
      Object.assign(sent, { body: '', key: '' });
      say('The task is stored.');
      location.hash = `#/task/${json.id}`;
    } catch (error) {
      complain(undefined, error instanceof Silence ? 'mecha does not answer. Sending again makes no second task.' : error.message);
    } finally {
      button.removeAttribute('aria-busy');
    }
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
  });

  let wanted = from;
  return {
    title: 'New task',
    tab: 'new',
    element,
    first: prompt,
    async refresh(signal) {
      if (!wanted) return 0;
      const { json, text } = await get(`/task/${wanted}`, signal);
      wanted = undefined;
      Object.assign(draft, { prompt: json.prompt, worker: json.worker_name, context: json.context ? indented(lastField(text, 'context'), Infinity) : '' });
      for (const [name, field] of Object.entries(fields)) field.value = draft[name];
      more.open = draft.context !== '';
      showWorkers();
      return 0;
    },
    onChange() {},
    onWorkers: showWorkers,
  };
}
