"""What is looked for in a page, as expressions of JavaScript."""

from __future__ import annotations

CONTRASTS = """
(() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parsed = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([red, green, blue]) =>
    0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const color = parsed(getComputedStyle(element).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
  };
  const texts = [...document.querySelectorAll('main *')].filter((element) => element.checkVisibility() &&
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
    !['title', 'desc'].includes(element.tagName));
  return texts.map((element) => {
    const style = getComputedStyle(element);
    const ink = light(parsed(element instanceof SVGElement ? style.fill : style.color));
    const paper = light(ground(element));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    return [contrast, element.tagName + '.' + element.getAttribute('class') + ': ' + element.textContent];
  }).sort((one, other) => one[0] - other[0]);
})()
"""
"""Each visible text and its contrast with what is behind it, as the accessibility guidelines have it."""
CROWDED = """
(() => {
  const found = [];
  for (const chart of document.querySelectorAll('svg.chart')) {
    if (!chart.checkVisibility()) continue;
    const frame = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll('text:not(.told)')].map(
      (text) => [text, text.getBoundingClientRect()]);
    for (const [text, box] of texts) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 ||
          box.bottom > frame.bottom + 1) found.push('outside: ' + text.textContent);
      if (box.height < 9) found.push('too small: ' + text.textContent + ' ' + box.height);
      for (const [other, its] of texts) {
        if (text !== other && box.left < its.right && its.left < box.right && box.top + 2 < its.bottom &&
            its.top + 2 < box.bottom) found.push(text.textContent + ' over ' + other.textContent);
      }
    }
  }
  return found;
})()
"""
"""Labels of charts that lie over each other, outside of their chart, or are too small to be read."""
CUT_OFF = """
(() => {
  const wide = document.documentElement.clientWidth, found = [];
  for (const element of document.querySelectorAll('main *')) {
    if (!element.checkVisibility() || element.closest('svg')) continue;
    const box = element.getBoundingClientRect();
    if (box.left < -1 || box.right > wide + 1 || element.scrollWidth > element.clientWidth + 1 &&
        getComputedStyle(element).display !== 'inline')
      found.push(`${element.tagName}.${element.className}: ${element.textContent.slice(0, 60)}`);
  }
  return found;
})()
"""
"""Elements that reach beyond the page, or whose content reaches beyond them."""
TOLD = """
[...document.querySelectorAll('.told')].filter((text) => getComputedStyle(text).visibility === 'visible')
  .map((text) => text.textContent)
"""
