// What a reader can order.

/** Does one thing for a button at a time, and says what came of it. */
async function order(button, work, done) {
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  try {
    const answer = await work();
    say(done);
    noteChange(answer.json);
  } catch (error) {
    if (error.name !== 'AbortError') say(error.message, true);
    refreshSoon();
  } finally {
    button.removeAttribute('aria-busy');
  }
}

/** A button that works at its second press within a few seconds. */
function twice(button, question, work) {
  const { textContent: label } = button;
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    timer = 0;
    put(button, label);
    button.classList.remove('sure');
  };
  button.addEventListener('click', () => {
    if (timer) {
      calm();
      work();
      return;
    }
    put(button, question);
    button.classList.add('sure');
    timer = setTimeout(calm, 5_000);
  });
  button.addEventListener('blur', calm);
}

const ORDERS = {
  retry: { label: 'Run again', path: (id) => `/task/${id}/retry`, done: 'The task is pending again.' },
  replay: { label: 'Replay', path: (id) => `/event/${id}/replay`, done: 'The event went through the rules again.' },
  approve: { label: 'Approve', path: (id) => `/event/${id}/approve`, done: 'Approved: its task is pending.' },
};

function orderButton(name, id) {
  const { label, path, done } = ORDERS[name];
  const button = h('button.button', { type: 'button' }, label);
  button.addEventListener('click', () => order(button, () => ask('POST', path(id)), done));
  return button;
}

function cancelButton(id) {
  const button = h('button.button', { type: 'button' }, 'Cancel');
  twice(button, 'Really cancel?', () => order(button, () => ask('DELETE', `/task/${id}`), 'The task is cancelled.'));
  return button;
}

const isEnded = (state) => ['completed', 'failed', 'skipped'].includes(state);
const isWaiting = (event) => event.state === 'matched' && event.task_id === undefined;
