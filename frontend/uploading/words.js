// Texts that the server translated, with numbers and sizes put in as the page's language writes them.

const language = document.documentElement.lang || "en";
const UNITS = ["B", "kB", "MB", "GB", "TB"];
let texts = {};

export function useTexts(given) {
  texts = given;
}

/** `say("part", {n: 3})` -> "part 3"; what stands in {braces} is filled in. */
export function say(name, values = {}) {
  return (texts[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export function count(number) {
  return new Intl.NumberFormat(language).format(number);
}

/** Decimal units, as everywhere on the hub. */
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000;
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value)} ${UNITS[unit]}`;
}

export function span(seconds) {
  if (seconds < 90) return say("seconds", { n: count(Math.max(1, Math.round(seconds))) });
  if (seconds < 5400) return say("minutes", { n: count(Math.round(seconds / 60)) });
  return say("hours", { n: count(Math.round(seconds / 360) / 10) });
}

/** An element with attributes and children; text is always text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
