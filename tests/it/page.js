// What a test looks for on a page: each gives a list of what is wrong, empty where all is well.
window.look = (() => {
  const name = (element) => {
    const host = element.closest('[id], [data-chart]');
    return `${element.tagName.toLowerCase()} ${element.className && element.className.baseVal === undefined ? element.className : ''} in ${host ? host.id || host.dataset.chart : '?'}: ${element.textContent.trim().slice(0, 50)}`;
  };

  // Every place for a chart holds a picture with a line: pixels of a colour, more than a grid has.
  const blank = () => [...document.querySelectorAll('.plot')].filter((plot) => {
    const canvas = plot.querySelector('canvas');
    if (!canvas || canvas.width === 0) return true;
    // A copy: reading many pixels of the picture itself is something that the browser warns of.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let coloured = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 60 && Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 40) coloured += 1;
    }
    return coloured < 30;
  }).map((plot) => plot.dataset.chart);

  const overflowing = () => {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    const beyond = [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > wide + 1 && !element.closest('.scroll, pre, .vh, .skip'));
    return [`the page is ${document.documentElement.scrollWidth} wide`, ...beyond.slice(0, 5).map(name)];
  };

  // Contrast by WCAG 2, of texts as they are composed on what is behind them.
  const parsed = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return text.startsWith('color(srgb') ? [...numbers.slice(0, 3).map((value) => value * 255), numbers[3] ?? 1] : [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  };
  const over = (top, bottom) => [0, 1, 2].map((at) => top[at] * top[3] + bottom[at] * (1 - top[3])).concat(1);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const ground = parsed(getComputedStyle(at).backgroundColor);
      if (ground[3] > 0) layers.push(ground);
      if (ground[3] === 1) break;
    }
    return layers.reverse().reduce((bottom, top) => over(top, bottom), [255, 255, 255, 1]);
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const faint = () => {
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || ['SCRIPT', 'STYLE', 'TITLE', 'title'].includes(element.tagName)) continue;
      if (!element.checkVisibility() && !element.closest('details')) continue;
      const style = getComputedStyle(element);
      const inSvg = element.closest('svg');
      const box = inSvg && element.parentElement.querySelector('rect');
      const ground = box ? parsed(getComputedStyle(box).fill) : behind(element);
      const text = over(parsed(inSvg ? style.fill : style.color), ground);
      const size = parseFloat(style.fontSize);
      const least = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight, 10) >= 700) ? 3 : 4.5;
      const is = contrast(text, ground);
      if (is < least) found.add(`${is.toFixed(2)} of ${least}: ${name(element)}`);
    }
    return [...found].slice(0, 10);
  };

  const unnamed = () => {
    const wrong = [];
    for (const table of document.querySelectorAll('main table:not(.u-legend)')) {
      if (!table.caption || !table.caption.textContent.trim()) wrong.push(`a table without a caption: ${name(table)}`);
      for (const header of table.querySelectorAll('th')) {
        if (!header.scope) wrong.push(`a header without a scope: ${name(header)}`);
      }
    }
    for (const image of document.querySelectorAll('[role=img], [role=region], nav')) {
      if (!image.getAttribute('aria-label')) wrong.push(`without a label: ${name(image)}`);
    }
    for (const section of document.querySelectorAll('main section')) {
      if (!document.getElementById(section.getAttribute('aria-labelledby'))) wrong.push(`without a heading: ${section.id}`);
    }
    for (const button of document.querySelectorAll('button')) {
      if (!button.textContent.trim()) wrong.push(`a button without words: ${name(button)}`);
    }
    return wrong;
  };

  const middleOf = (chart) => {
    const over = document.querySelector(`[data-chart="${chart}"] .u-over`);
    over.scrollIntoView({ block: 'center', behavior: 'instant' });
    const box = over.getBoundingClientRect();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  };
  const readingOf = (chart) => document.querySelectorAll(`[data-chart="${chart}"] .u-legend .u-value`)[1].textContent;

  // Cells of a column in microseconds, after so many clicks on its title.
  const sorted = (caption, title, clicks) => {
    const tables = [...document.querySelectorAll('#stages table')].filter((table) => table.caption.textContent === caption);
    const table = tables[tables.length - 1];
    const headers = [...table.tHead.rows[0].cells];
    const place = headers.findIndex((header) => header.textContent.trim() === title);
    if (place < 0) throw new Error(`no column ${title} among ${headers.map((header) => header.textContent).join(', ')}`);
    for (let click = 0; click < clicks; click += 1) headers[place].querySelector('button').click();
    const units = { 'µs': 1, ms: 1e3, s: 1e6 };
    return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent.replace(/\u00a0/g, ' ')).filter((text) => /\d/.test(text)).map((text) => {
      const [, number, unit] = text.match(/([\d ]*\d(?:\.\d+)?) (µs|ms|s)/);
      return parseFloat(number.replace(/ /g, '')) * units[unit];
    });
  };

  return { blank, overflowing, faint, unnamed, middleOf, readingOf, sorted };
})();
0;
