// Leads through a part: what to read, where to turn, which sound to hold, which face to make. It keeps its own clock,
// which stands still during a pause.

import { $, el, say, t, texts } from './dom.js';

const SPOKEN_S = { letter: 0.06, pause: 0.9, least: 2.4 };
const VOWEL_S = 2.5, SILENCE_S = 20, FACE_S = 3.5;
const TURNS = [['centre', 0, 0, 2], ['left', -1, 0, 3], ['centre', 0, 0, 2], ['right', 1, 0, 3], ['centre', 0, 0, 2], ['up', 0, -1, 2.5],
  ['centre', 0, 0, 1.5], ['down', 0, 1, 2.5], ['centre', 0, 0, 1.5], ['nod', 0, 0.7, 1], ['nod', 0, -0.4, 1], ['nod', 0, 0.7, 1], ['centre', 0, 0, 2]];
const FACES = {  // brows: height, slant (inner end up); eyes open; mouth: width, corners, open
  neutral: [0, 0, 1, 1, 0, 0], happy: [0, 0, 0.9, 1.2, 1, 0.1], laughing: [0.2, 0, 0.5, 1.3, 1, 1], surprised: [1, 0, 1.5, 0.6, 0, 1],
  sad: [0.1, 1, 0.8, 0.9, -1, 0], angry: [-0.5, -1, 0.8, 0.9, -0.5, 0], disgusted: [-0.4, -0.5, 0.5, 0.9, -0.8, 0.3], doubtful: [0.5, 0.4, 0.8, 0.8, -0.3, 0],
};

// What is shown one after the other: { seconds, words, how: draws it once, at: draws it at a share of its time }.
function steps(part, stage) {
  const big = (words) => () => stage.replaceChildren(el('p', { class: 'line' }, words));
  if (part === 'read') {
    return texts.now.script.map((words) => ({
      seconds: Math.max(SPOKEN_S.least, SPOKEN_S.letter * words.length + SPOKEN_S.pause), words, how: big(words), bar: true,
    }));
  }
  if (part === 'turn') {
    let from = [0, 0];
    return TURNS.map(([name, x, y, seconds]) => {
      const start = from;
      from = [x, y];
      return {
        seconds, words: t(`turns.${name}`),
        how: () => {
          if (!$('dot')) stage.replaceChildren(el('p', { class: 'talk' }, texts.now.talk), el('span', { id: 'dot' }), el('p', { class: 'where', id: 'where' }));
          say($('where'), t(`turns.${name}`));
        },
        at: (part) => {
          const eased = (1 - Math.cos(Math.PI * Math.min(1, part * 1.6))) / 2;
          const place = [0, 1].map((i) => start[i] + (from[i] - start[i]) * eased);
          $('dot').style.left = `${50 + 42 * place[0]}%`;
          $('dot').style.top = `${46 + 36 * place[1]}%`;
        },
      };
    });
  }
  if (part === 'vowels') return texts.now.vowels.map((words) => ({ seconds: VOWEL_S, words, how: big(words), bar: true }));
  if (part === 'silence') {
    return [{ seconds: SILENCE_S, words: t('parts.silence.how'), how: () => stage.replaceChildren(el('p', { class: 'count', id: 'count' })),
      at: (part) => say($('count'), String(Math.ceil(SILENCE_S * (1 - part)))) }];
  }
  if (part === 'faces') {
    return Object.keys(FACES).map((name) => ({ seconds: FACE_S, words: t(`faces.${name}`), label: name === 'neutral' ? null : name, bar: true,
      how: () => stage.replaceChildren(drawnFace(name), el('p', { class: 'line' }, t(`faces.${name}`))) }));
  }
  return [{ seconds: 30, words: '', how: big(t('record.say_now')) }];  // the spoken consent
}

export const seconds = (part) => steps(part, el('div')).reduce((sum, step) => sum + step.seconds, 0);

export class Prompter {
  #steps; #index = -1; #at = 0; #last = 0; #running = false; #spoken = 0; #first = 0;
  labels = [];

  // `first`: the step to begin with; `onstep` is told each one that begins.
  constructor(part, stage, spoken, { first, onstep, onend }) {
    Object.assign(this, { part, stage, spoken, onstep, onend });
    this.#steps = steps(part, stage).slice(first);
    this.#first = first;
    this.total = this.#steps.reduce((sum, step) => sum + step.seconds, 0);
  }

  start() { this.#running = true; this.#last = performance.now(); this.next(); requestAnimationFrame(() => this.#draw()); }
  pause() { this.#running = false; }
  resume() { this.#running = true; this.#last = performance.now(); requestAnimationFrame(() => this.#draw()); }
  stop() { this.#running = false; this.stage.replaceChildren(); }

  next() {
    const over = this.#steps[this.#index];
    if (over?.label) this.labels.push([this.#spoken + 0.6, this.#spoken + this.#at - 0.2, over.label]);
    this.#spoken += over ? this.#at : 0;
    this.#index += 1;
    this.#at = 0;
    const step = this.#steps[this.#index];
    if (!step) { this.stop(); this.onend(); return; }
    this.onstep(this.#first + this.#index);
    step.how();
    if (step.bar) this.stage.append(el('i', { class: 'bar' }));
    say(this.spoken, step.words);
  }

  get left() { return this.#steps.slice(this.#index).reduce((sum, step) => sum + step.seconds, -this.#at); }

  #draw() {
    if (!this.#running) return;
    const now = performance.now();
    this.#at += (now - this.#last) / 1000;
    this.#last = now;
    const step = this.#steps[this.#index];
    if (this.#at >= step.seconds) this.next();
    else {
      step.at?.(this.#at / step.seconds);
      const bar = this.stage.querySelector('.bar');
      if (bar) bar.style.width = `${100 * this.#at / step.seconds}%`;
    }
    if (this.#running) requestAnimationFrame(() => this.#draw());
  }
}

// A few lines that make a face.
function drawnFace(name) {
  const [height, slant, open, width, corners, gap] = FACES[name];
  const brow = (side) => `M${50 - side * 28} ${34 - 7 * height + 3 * slant}L${50 - side * 12} ${34 - 7 * height - 4 * slant}`;
  const eye = (side) => `<ellipse cx="${50 - side * 20}" cy="46" rx="6" ry="${5 * open}"/>`;
  const [x0, x1, y] = [50 - 16 * width, 50 + 16 * width, 72 - 4 * corners];
  const upper = 72 + 7 * corners - 3 * gap, lower = 72 + 7 * corners + 20 * gap;
  const holder = el('div', { class: 'face' });
  holder.innerHTML = `<svg viewBox="0 0 100 100" role="img" aria-label="${t(`faces.${name}`)}"><circle cx="50" cy="50" r="46"/>${eye(1)}${eye(-1)}`
    + `<path d="${brow(1)}${brow(-1)}M${x0} ${y}Q50 ${lower} ${x1} ${y}${gap ? `Q50 ${upper} ${x0} ${y}Z` : ''}"/></svg>`;
  return holder;
}

