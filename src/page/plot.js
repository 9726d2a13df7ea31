// Small plots of the last hour. A screen reader gets each as one sentence.

const MINUTES = 61;
const WIDTH = MINUTES * 4;
const HEIGHT = 56;

/**
 * A tile with a title, a number and a plot. `series` are { name, field, form: 'area' | 'line' | 'bars' }, the
 * first of which is the number; `read` writes a value.
 */
function plot({ title, series, read, sum }) {
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const number = h('strong');
  const caption = h('span.dim');
  const figure = h('div', { role: 'img' }, h('span.plot-title', null, title), number, svg, caption);
  const element = h('div.plot', null, figure);
  let minutes = [];
  let resting = ['', ''];

  function show([value, text]) {
    put(number, value);
    put(caption, text);
  }

  const [main] = series;
  const values = (field) => minutes.map((minute) => minute[field]);

  figure.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * MINUTES) - (MINUTES - minutes.length);
    const minute = minutes[at];
    if (!minute) return show(resting);
    const others = series.slice(1).filter(({ field }) => minute[field] !== undefined);
    const known = minute[main.field];
    const text = [clockTime(minute.at), ...others.map(({ name, field }) => `${name} ${read(minute[field])}`)];
    show([known === undefined ? '–' : read(known), text.join(' · ')]);
  });
  figure.addEventListener('pointerleave', () => show(resting));

  return {
    element,
    update(all, now) {
      minutes = all.slice(-MINUTES);
      const highest = Math.max(0, ...series.flatMap(({ field }) => values(field)).filter(Number.isFinite));
      const top = series[0].form === 'bars' ? Math.max(1, ...minutes.map((minute) => sumOf(minute, series))) : Math.max(1, highest);
      const start = MINUTES - minutes.length;
      const x = (at) => (start + at) * 4 + 2;
      const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
      svg.replaceChildren(s('path', { class: 'base', d: `M0 ${HEIGHT - 1}H${WIDTH}` }), ...draw(series, minutes, x, y, top));
      const mains = values(main.field).filter(Number.isFinite);
      const peak = minutes.find((minute) => minute[main.field] === Math.max(...mains));
      const count = sum ? mains.reduce((total, value) => total + value, 0) : now ?? mains.at(-1);
      const parts = [];
      if (peak && peak[main.field] > 0) parts.push(`${sum ? 'best' : 'peak'} ${read(peak[main.field])} at ${clockTime(peak.at)}`);
      for (const { name, field } of series.slice(1)) {
        const known = values(field).filter(Number.isFinite);
        if (sum) {
          const total = known.reduce((all_of_it, value) => all_of_it + value, 0);
          if (total > 0) parts.push(`${grouped(total)} ${name}`);
        } else if (known.length) parts.push(`${name} ${read(known.at(-1))}`);
      }
      resting = [count === undefined ? '–' : read(count), parts.join(' · ') || 'nothing yet'];
      if (!figure.matches(':hover')) show(resting);
      setAttribute(figure, 'aria-label', `${title}: ${count === undefined ? 'no value' : read(count)}; ${resting[1]}`);
    },
  };
}

const sumOf = (minute, series) => series.reduce((total, { field }) => total + (minute[field] ?? 0), 0);

function draw(series, minutes, x, y, top) {
  if (series[0].form === 'bars') {
    // Stacked, the last series at the foot.
    const paths = new Map(series.map(({ field }) => [field, '']));
    minutes.forEach((minute, at) => {
      let foot = 0;
      for (const { field } of series.toReversed()) {
        const value = minute[field] ?? 0;
        if (value > 0) paths.set(field, `${paths.get(field)}M${x(at) - 1.5} ${y(foot)}V${Math.min(y(foot + value), y(foot) - 1)}h3V${y(foot)}z`);
        foot = Math.min(top, foot + value);
      }
    });
    return series.map(({ field, name }) => s('path', { class: `bars ${name}`, d: paths.get(field) }));
  }
  return series.toReversed().flatMap(({ field, form, name }) => {
    let line = '';
    let dots = '';
    let isBroken = true;
    let last;
    const areas = [];
    let begun;
    minutes.forEach((minute, at) => {
      const value = minute[field];
      if (value === undefined) {
        isBroken = true;
        return;
      }
      if (isBroken) begun = at;
      // A value by itself is a dot: a line of no length with round, thick ends.
      if (isBroken && minutes[at + 1]?.[field] === undefined) dots += `M${x(at)} ${y(value)}h0`;
      line += `${isBroken ? `M${x(at)} ${y(value)}` : ''}L${x(at)} ${y(value)}`;
      isBroken = false;
      last = at;
      if (form === 'area' && (at === minutes.length - 1 || minutes[at + 1][field] === undefined)) {
        const points = minutes.slice(begun, last + 1).map((each, index) => `L${x(begun + index)} ${y(each[field])}`).join('');
        areas.push(`M${x(begun)} ${HEIGHT - 2}${points}V${HEIGHT - 2}z`);
      }
    });
    const path = s('path', { class: `line ${name}`, d: line });
    const dot = s('path', { class: `line dot ${name}`, d: dots });
    return form === 'area' ? [s('path', { class: 'area', d: areas.join('') }), path, dot] : [path, dot];
  });
}
