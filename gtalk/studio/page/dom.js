// Building the page: elements, texts, numbers as words, dialogs, requests.

export const texts = { now: null };

// A text by its path, with {names} filled in: t('make.left', { time: '2:10' }).
export function t(path, values = {}) {
  const found = path.split('.').reduce((place, key) => place?.[key], texts.now);
  if (typeof found !== 'string') return path.split('.').pop();
  return found.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

// el('button', { class: 'main', onclick }, 'Begin', child)
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name in made && !['list', 'form', 'class', 'for'].includes(name) && !name.startsWith('aria')) made[name] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const $ = (id) => document.getElementById(id);

// Puts text where it differs: nothing is read out twice, nothing flickers.
export function say(element, words) { if (element.textContent !== words) element.textContent = words; }

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
export const share = (value) => `${Math.round(100 * value)} %`;
export function size(bytes) {
  for (const [unit, of] of [['GB', 1e9], ['MB', 1e6]]) {
    if (bytes >= of) return `${(bytes / of).toFixed(bytes < 10 * of ? 1 : 0)} ${unit}`;
  }
  return `${Math.ceil(bytes / 1e3)} kB`;
}

export function notice(words, kind = 'warn') {
  const place = $('notice'), close = place.querySelector('button');
  place.hidden = !words;
  place.dataset.kind = kind;
  close.setAttribute('aria-label', t('nav.close'));
  close.onclick = () => notice('');
  say(place.querySelector('span'), words || '');
}

// What a fault of the server or the browser means, in the page's language.
export function fault(error) {
  if (error.code && texts.now.faults[error.code]) return t(`faults.${error.code}`, error);
  return error.text ? error.text : t('faults.unknown', { text: String(error.message ?? error) });
}

export class Refused extends Error {
  constructor(status, answer) {
    super(answer.error?.text ?? `status ${status}`);
    Object.assign(this, { status, missing: answer.missing, ...answer.error });
  }
}

// A request; throws Refused for an answer that says no, TypeError without a network.
export async function ask(path, { method = 'GET', json, body, signal } = {}) {
  const answer = await fetch(path, {
    method, signal, body: json ? JSON.stringify(json) : body, headers: json ? { 'content-type': 'application/json' } : {},
  });
  const told = (answer.headers.get('content-type') ?? '').includes('json') ? await answer.json() : {};
  if (!answer.ok) throw new Refused(answer.status, answer.status === 401 ? { error: { code: 'denied_token' } } : told);
  return told;
}

// A dialog with a title; `build(close)` gives what is inside. Escape closes it.
export function dialog(title, build) {
  const place = $('dialog');
  const close = () => place.close();
  place.replaceChildren(el('h2', { id: 'dialog-title' }, title), ...build(close));
  place.showModal();
}

export function commandLine(words) {
  const copied = el('button', { class: 'ghost small', type: 'button', onclick: async () => {
    await navigator.clipboard?.writeText(words);
    say(copied, t('make.copied'));
  } }, t('make.copy'));
  return el('details', { class: 'command' }, el('summary', {}, t('make.command')), el('code', { tabIndex: 0 }, words), copied);
}
