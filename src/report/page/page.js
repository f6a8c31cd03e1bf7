// The script of the page: draws the charts from the data beside it, sorts tables, copies the command, changes the scheme. Loads
// nothing and sends nothing. Without it the page still holds every table.
(() => {
  'use strict';

  const root = document.documentElement;
  const data = JSON.parse(document.getElementById('data').textContent) || { charts: [], stages: [], events: [], range: [0, 0] };
  // Each colour is asked for once: asking makes the browser lay out whatever has changed.
  const colours = new Map();
  const colour = (name) => {
    if (!colours.has(name)) colours.set(name, getComputedStyle(root).getPropertyValue(name).trim());
    return colours.get(name);
  };
  const DASH = '\u2013';
  const NBSP = '\u00a0';
  const PRINTED = 680;

  // Numbers as the tables write them: three significant digits, thousands in groups.
  const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, NBSP);
  const significant = (value) => {
    const size = Math.abs(value);
    const text = value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
    const [whole, fraction] = text.split('.');
    return grouped(whole) + (fraction ? '.' + fraction : '');
  };
  const plain = (value) => significant(value).replace(/\.?0+$/, (zeros) => (zeros.includes('.') ? '' : zeros));
  const time = (us) => {
    if (us === 0) return '0';
    if (us < 999.5) return plain(us) + NBSP + 'µs';
    if (us < 999.5e3) return plain(us / 1e3) + NBSP + 'ms';
    if (us < 119.5e6) return plain(us / 1e6) + NBSP + 's';
    return plain(us / 60e6) + NBSP + 'min';
  };
  const bytes = (value) => {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let at = 0;
    while (value >= 999.5 && at + 1 < units.length) { value /= 1024; at += 1; }
    return plain(value) + NBSP + units[at];
  };
  const clock = (seconds) => {
    const length = data.range[1] - data.range[0];
    const two = (number) => String(Math.floor(number)).padStart(2, '0');
    if (length >= 7200) return Math.floor(seconds / 3600) + 'h' + two((seconds % 3600) / 60);
    if (length >= 300) return Math.floor(seconds / 60) + ':' + two(seconds % 60);
    return String(Math.round(seconds * 100) / 100) + NBSP + 's';
  };
  const PERCENTILES = [[0, '0'], [0.30103, '50'], [1, '90'], [1.30103, '95'], [2, '99'], [3, '99.9'], [4, '99.99']];
  const percentile = (beyond) => plain((1 - 10 ** -beyond) * 100);
  const SHOW = {
    seconds: clock,
    us: time,
    per_second: (value) => plain(value) + '/s',
    bytes_per_second: (value) => bytes(value) + '/s',
    count: plain,
    share: (value) => plain(value * 100) + NBSP + '%',
    percentile: (beyond) => (beyond >= 2 ? String(Math.round((1 - 10 ** -beyond) * 1e4) / 100) : percentile(beyond)) + NBSP + '%',
  };

  // What stands on the charts over time: stages behind the lines, events on their upper edge.
  const KINDS = [
    ['ddl', 'statement of the migration', '--c4'],
    ['checkpoint', 'checkpoint', '--c2'],
    ['vacuum', 'vacuum', '--c5'],
    ['analyze', 'analyze', '--c6'],
    ['other', 'other event', '--c8'],
  ];
  const kinds = KINDS.filter(([kind]) => data.events.some((event) => event.kind === kind));
  const ROW = 5;

  const translucent = (name, share) => {
    const digits = Math.round(share * 255).toString(16).padStart(2, '0');
    return colour(name) + digits;
  };

  const drawStages = (u) => {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.font = `${11 * scale}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'top';
    data.stages.forEach((stage, at) => {
      const from = u.valToPos(stage.from, 'x', true);
      const to = u.valToPos(stage.to, 'x', true);
      if (to < left || from > left + width) return;
      if (!stage.measured) {
        ctx.fillStyle = translucent('--c8', 0.1);
        ctx.fillRect(from, top, to - from, height);
      }
      if (at > 0) {
        ctx.fillStyle = colour('--line');
        ctx.fillRect(Math.round(from), top, Math.max(1, scale), height);
      }
      const begin = Math.max(from, left) + 4 * scale;
      const room = Math.min(to, left + width) - begin - 4 * scale;
      if (data.stages.length > 1 && ctx.measureText(stage.name).width < room) {
        ctx.fillStyle = colour('--dim');
        ctx.fillText(stage.name, begin, top + (kinds.length * ROW + 3) * scale);
      }
    });
    ctx.restore();
  };

  const drawEvents = (u) => {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    kinds.forEach(([kind, , name], row) => {
      for (const event of data.events) {
        if (event.kind !== kind) continue;
        const from = u.valToPos(event.from, 'x', true);
        const long = Math.max(u.valToPos(event.to, 'x', true) - from, 2 * scale);
        if (kind === 'ddl') {
          ctx.fillStyle = translucent(name, 0.14);
          ctx.fillRect(from, top, long, height);
        }
        ctx.fillStyle = colour(name);
        ctx.fillRect(from, top + row * ROW * scale, long, (ROW - 1) * scale);
      }
    });
    ctx.restore();
  };

  // A line at a place of the axis, with its name beside it.
  const drawMarks = (marks) => (u) => {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.font = `${12 * scale}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'top';
    marks.forEach((mark, row) => {
      const at = Math.round(u.valToPos(mark.at, 'x', true));
      if (at < left || at > left + width) return;
      ctx.strokeStyle = colour('--dim');
      ctx.lineWidth = scale;
      ctx.setLineDash([4 * scale, 3 * scale]);
      ctx.beginPath();
      ctx.moveTo(at, top);
      ctx.lineTo(at, top + height);
      ctx.stroke();
      const wide = ctx.measureText(mark.label).width;
      const right = at + wide + 8 * scale < left + width;
      ctx.fillStyle = colour('--text');
      ctx.fillText(mark.label, right ? at + 5 * scale : at - wide - 5 * scale, top + (4 + row * 16) * scale);
    });
    ctx.restore();
  };

  // Intervals of single points.
  const drawWhiskers = (low, high, name) => (u) => {
    const { ctx } = u;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour(name);
    ctx.lineWidth = 2 * scale;
    u.data[0].forEach((x, at) => {
      if (u.data[low][at] == null || u.data[high][at] == null) return;
      const across = u.valToPos(x, 'x', true);
      const from = u.valToPos(u.data[low][at], 'y', true);
      const to = u.valToPos(u.data[high][at], 'y', true);
      ctx.beginPath();
      ctx.moveTo(across, from);
      ctx.lineTo(across, to);
      for (const end of [from, to]) {
        ctx.moveTo(across - 4 * scale, end);
        ctx.lineTo(across + 4 * scale, end);
      }
      ctx.stroke();
    });
    ctx.restore();
  };

  const nameOf = (number) => '--c' + (((number - 1) % 8) + 1);
  // Parts of a whole have the colours of the stacked bars.
  const partOf = (number) => '--b' + (((number - 1) % 12) + 1);

  const seriesOf = (series, chart) => {
    const name = nameOf(series.colour);
    const show = SHOW[chart.y];
    const known = series.values.reduce((sum, value) => sum + (value != null), 0);
    const base = {
      label: series.label,
      stroke: colour(name),
      width: 1.75,
      value: (_, value) => (value == null ? DASH : show(value)),
      points: { show: known <= 40, size: 5, fill: colour(name) },
    };
    switch (series.role) {
      case 'stacked': return {
        ...base,
        stroke: colour(partOf(series.colour)),
        fill: colour(partOf(series.colour)),
        width: 1,
        points: { show: false },
        // What lies above the others says how much it is by itself.
        value: (_, sum, place, at) => (at == null || sum == null ? DASH : show(chart.series[place - 1].values[at])),
      };
      case 'area': return { ...base, fill: translucent(name, 0.12) };
      case 'plan': return { ...base, width: 1.25, dash: [6, 4], points: { show: false } };
      case 'fit': return { ...base, width: 2, spanGaps: true, points: { show: false } };
      case 'points': return { ...base, paths: () => null, points: { show: true, size: 9, fill: colour(name) } };
      case 'bars': return { ...base, width: 0, fill: colour(name), paths: uPlot.paths.bars({ size: [0.9, 12] }), points: { show: false } };
      case 'low':
      case 'high': return { ...base, class: 'end', width: 0, stroke: 'transparent', points: { show: false } };
      default: return { ...base, spanGaps: chart.x === 'percentile' };
    }
  };

  // The nearest number of one digit, below or above: where the marks of a scale of powers begin.
  const rounded = (value, by) => {
    const power = 10 ** Math.floor(Math.log10(value));
    return by(value / power) * power;
  };

  // The scale of times grows by powers; what is counted begins at nothing.
  const rangeOf = (chart) => (_, least, most) => {
    if (least == null || most == null) return chart.log ? [1, 10] : [0, 1];
    // Above the lines over time stand the names of the stages and the events.
    if (chart.log) return [rounded(least / 1.1, Math.floor), rounded(most * (chart.over_time ? 1.8 : 1.2), Math.ceil)];
    if (chart.y === 'share') return [0, chart.over_time ? 1.22 : 1];
    return [0, most > 0 ? most * (chart.over_time ? 1.22 : 1.1) : 1];
  };

  const widest = (texts) => Math.max(44, ...texts.map((text) => (text || '').length * 6.6 + 16));

  const axesOf = (chart) => {
    const look = { stroke: colour('--dim'), grid: { stroke: colour('--grid'), width: 1 }, ticks: { stroke: colour('--grid'), width: 1, size: 5 }, font: '12px system-ui, sans-serif' };
    const x = { ...look, size: 36, space: 64, values: (_, splits) => splits.map((value) => (value == null ? '' : SHOW[chart.x](value))) };
    if (chart.x === 'percentile') {
      x.splits = (u) => PERCENTILES.map(([at]) => at).filter((at) => at >= u.scales.x.min - 1e-9 && at <= u.scales.x.max + 1e-9);
      x.filter = (u, splits) => {
        // On a narrow screen neighbours would touch.
        let last = -Infinity;
        return splits.map((at) => {
          const place = u.valToPos(at, 'x');
          if (place - last < 46) return null;
          last = place;
          return at;
        });
      };
      x.values = (_, splits) => splits.map((at) => (at == null ? '' : (PERCENTILES.find(([of]) => of === at) || [0, ''])[1] + NBSP + '%'));
    }
    const y = {
      ...look,
      // Charts over time stand below each other: the same second is at the same place in all of them.
      size: chart.over_time ? 76 : (_, values) => (values ? widest(values) : 50),
      values: (_, splits) => splits.map((value) => (value == null ? '' : SHOW[chart.y](value))),
    };
    if (chart.log) y.space = 24;
    // There is no more than the whole.
    if (chart.y === 'share') y.filter = (_, splits) => splits.map((value) => (value > 1 ? null : value));
    // Bytes are counted in powers of two, and so are the marks of their scale.
    if (chart.y === 'bytes_per_second') y.incrs = Array.from({ length: 41 }, (_, power) => 2 ** power);
    return [x, y];
  };

  const xRange = (chart) => (u, least, most) => {
    if (least == null) return [0, 1];
    const xs = u.data[0];
    const whole = least === xs[0] && most === xs[xs.length - 1];
    if (!whole) return [least, most];
    if (chart.over_time) return data.range;
    if (chart.x === 'percentile') return [0, most];
    if (chart.id === 'by-size') return [2 ** Math.floor(Math.log2(least)), 2 ** Math.ceil(Math.log2(most))];
    return [0, most * 1.04];
  };

  const readout = document.querySelector('.readout');
  const tell = (x) => {
    if (!readout) return;
    const stage = data.stages.find((of) => x >= of.from && x <= of.to);
    const going = data.events.filter((event) => x >= event.from - 0.5 && x <= event.to + 0.5).slice(0, 4).map((event) => event.words);
    const words = ['at ' + clock(x), stage ? 'stage ' + stage.name : '', ...going].filter(Boolean);
    readout.textContent = words.join(' \u00b7 ');
  };

  // The rows that are shown, each upon the one before it, and between which rows each is filled.
  const stacked = (series, isShown) => {
    const sums = series[0].values.map(() => 0);
    const bands = [];
    let below = 0;
    const rows = series.map(({ values }, at) => {
      if (!isShown(at + 1)) return values;
      if (below > 0) bands.push({ series: [at + 1, below] });
      below = at + 1;
      return values.map((value, place) => (value == null ? null : (sums[place] += value)));
    });
    return { rows, bands };
  };
  const restack = (chart) => (u, _, changed) => {
    if (!changed || changed.show == null) return;
    const { rows, bands } = stacked(chart.series, (at) => u.series[at].show);
    u.delBand(null);
    for (const band of bands) u.addBand(band);
    u.setData([chart.xs, ...rows], false);
    u.redraw();
  };

  const plots = [];
  const widthOf = (host) => (root.dataset.printing ? PRINTED : Math.max(240, Math.floor(host.clientWidth)));
  const heightOf = (chart, width) => {
    const tall = chart.over_time ? 220 : 320;
    return Math.round(Math.min(tall, width * 0.7));
  };

  const draw = (chart, host, width) => {
    const hooks = { drawClear: [], draw: [], setCursor: [], setSeries: [] };
    const bands = [];
    let rows = chart.series.map((series) => series.values);
    const isStacked = chart.series[0].role === 'stacked';
    if (isStacked) {
      const pile = stacked(chart.series, () => true);
      rows = pile.rows;
      bands.push(...pile.bands);
      hooks.setSeries.push(restack(chart));
    }
    chart.series.forEach((series, at) => {
      if (series.role !== 'high') return;
      // The rows before are the lower end and what it lies around.
      const name = nameOf(series.colour);
      if (chart.series[0].role === 'points') hooks.draw.push(drawWhiskers(at, at + 1, name));
      else bands.push({ series: [at + 1, at], fill: translucent(name, 0.18) });
    });
    if (chart.over_time) {
      hooks.drawClear.push(drawStages);
      hooks.draw.push(drawEvents);
      hooks.setCursor.push((u) => { if (u.cursor.idx != null && u.cursor.left >= 0) tell(u.data[0][u.cursor.idx]); });
    }
    if (chart.marks) hooks.draw.push(drawMarks(chart.marks));
    const options = {
      width,
      height: heightOf(chart, width),
      legend: { live: true },
      cursor: {
        sync: chart.over_time ? { key: 'run', scales: ['x', null] } : undefined,
        drag: { x: true, y: false },
        points: { size: 7 },
        focus: { prox: isStacked ? -1 : 24 },
      },
      focus: { alpha: 0.45 },
      scales: {
        x: { time: false, range: xRange(chart), ...(chart.id === 'by-size' ? { distr: 3, log: 2 } : {}) },
        y: { range: rangeOf(chart), ...(chart.log ? { distr: 3 } : {}) },
      },
      series: [{ label: chart.x_label, value: (_, value) => (value == null ? DASH : SHOW[chart.x](value)) }, ...chart.series.map((series) => seriesOf(series, chart))],
      axes: axesOf(chart),
      bands,
      hooks,
    };
    const u = new uPlot(options, [chart.xs, ...rows], host);
    u.root.querySelector('canvas').dataset.drawn = chart.id;
    return u;
  };

  const drawAll = () => {
    for (const plot of plots.splice(0)) plot.u.destroy();
    colours.clear();
    // All places are measured before the first is drawn in: the page is laid out once.
    const places = data.charts.map((chart) => ({ chart, host: document.querySelector(`[data-chart="${chart.id}"]`) })).filter(({ host }) => host);
    for (const place of places) place.width = widthOf(place.host);
    for (const name of ['--text', '--dim', '--line', '--grid', ...Array.from({ length: 8 }, (_, number) => nameOf(number + 1)), ...Array.from({ length: 12 }, (_, number) => partOf(number + 1))]) colour(name);
    for (const { chart, host, width } of places) plots.push({ chart, host, u: draw(chart, host, width) });
  };

  // The keyboard moves the crosshair from point to point.
  const step = (plot, by) => {
    const { u } = plot;
    const xs = u.data[0];
    const at = u.cursor.idx == null ? (by > 0 ? 0 : xs.length - 1) : u.cursor.idx + by;
    const idx = Math.min(Math.max(at, 0), xs.length - 1);
    u.setCursor({ left: u.valToPos(xs[idx], 'x'), top: u.over.clientHeight / 2 }, true, true);
    if (readout && plot.chart.over_time) readout.setAttribute('aria-live', 'polite');
  };
  document.addEventListener('keydown', (event) => {
    const plot = plots.find((of) => of.host === document.activeElement);
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (!plot || by === undefined) return;
    event.preventDefault();
    step(plot, by);
  });

  const legend = () => {
    if (!readout || kinds.length === 0) return;
    const list = document.createElement('ul');
    list.className = 'legend';
    for (const [kind, words] of kinds) {
      const item = document.createElement('li');
      const mark = document.createElement('i');
      mark.className = 'e-' + kind;
      item.append(mark, words);
      list.append(item);
    }
    readout.after(list);
  };

  // Sorting: what a cell says as a number, in one unit.
  const UNITS = { 'µs': 1, ms: 1e3, s: 1e6, min: 60e6, B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };
  const valueOf = (cell) => {
    const text = cell.textContent.replace(/\u00a0/g, ' ').trim();
    const hours = text.match(/^(\d+)h (\d+)m/);
    if (hours) return (hours[1] * 60 + +hours[2]) * 60e6;
    const minutes = text.match(/^(\d+)m (\d+)s/);
    if (minutes) return (minutes[1] * 60 + +minutes[2]) * 1e6;
    const found = text.replace(/\u2212/g, '-').match(/^(?:[<>\u2264\u25b6\u2717?+]\s*)?([\u00d7\u00f7]?)(-?[\d ]*\d(?:\.\d+)?)\s*(\S*)/);
    if (!found) return text === DASH || text === '' ? null : text.toLowerCase();
    const number = parseFloat(found[2].replace(/ /g, ''));
    // A factor against a change in per cent: both as a ratio.
    if (found[1] === '\u00d7') return number * 100 - 100;
    if (found[1] === '\u00f7') return 100 / number - 100;
    return number * (UNITS[found[3].replace(/\/s$/, '')] || 1);
  };
  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === null) return -1;
    if (b === null) return 1;
    if (typeof a === typeof b) return a < b ? -1 : 1;
    return typeof a === 'number' ? -1 : 1;
  };
  const LAST = new Set(['total', 'all']);

  const sortBy = (table, place, header) => {
    const body = table.tBodies[0];
    const up = header.getAttribute('aria-sort') === 'descending';
    for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const rows = [...body.rows].map((row) => ({ row, value: valueOf(row.cells[place]), last: LAST.has(row.cells[0].textContent.trim()) }));
    rows.sort((a, b) => a.last - b.last || (up ? compare(a.value, b.value) : compare(b.value, a.value)));
    body.append(...rows.map(({ row }) => row));
  };

  const makeSortable = (table) => {
    const body = table.tBodies[0];
    if (!table.tHead || !body || body.rows.length < 2) return;
    // Rows that continue the one before them have no order of their own.
    if ([...body.rows].some((row) => row.cells[0].textContent.trim() === '')) return;
    [...table.tHead.rows[0].cells].forEach((header, place) => {
      if (header.classList.contains('wide')) return;
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'sort';
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener('click', () => sortBy(table, place, header));
    });
  };

  const copies = () => {
    for (const button of document.querySelectorAll('button.copy')) {
      const text = button.parentElement.querySelector('code');
      button.hidden = false;
      button.addEventListener('click', async () => {
        try {
          await navigator.clipboard.writeText(text.textContent);
          button.textContent = 'Copied';
        } catch {
          getSelection().selectAllChildren(text);
          button.textContent = 'Marked: copy it';
        }
      });
    }
  };

  // The scheme: that of the system until somebody chooses.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches);
  const button = document.getElementById('theme');
  const name = () => { button.textContent = isDark() ? 'Light' : 'Dark'; };
  button.hidden = false;
  button.setAttribute('aria-label', 'Change between light and dark');
  button.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    name();
    drawAll();
  });
  dark.addEventListener('change', () => { if (!root.dataset.theme) { name(); drawAll(); } });

  // Paper is light and narrower than a screen.
  let before;
  addEventListener('beforeprint', () => {
    before = root.dataset.theme;
    root.dataset.theme = 'light';
    root.dataset.printing = 'yes';
    drawAll();
  });
  addEventListener('afterprint', () => {
    delete root.dataset.printing;
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    drawAll();
  });

  name();
  legend();
  drawAll();
  document.querySelectorAll('main table').forEach((table) => { if (!table.classList.contains('u-legend')) makeSortable(table); });
  copies();

  let waiting;
  new ResizeObserver(() => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      for (const { chart, host, u } of plots) {
        const width = widthOf(host);
        if (width !== u.width) u.setSize({ width, height: heightOf(chart, width) });
      }
    });
  }).observe(document.querySelector('main'));

  // A link to something folded opens it.
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && (target.closest('details') || target.querySelector('details'));
    if (folded) folded.open = true;
  };
  addEventListener('hashchange', open);
  open();
  root.dataset.ready = String(Math.round(performance.now()));
})();
