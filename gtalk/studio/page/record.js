// The screen where one records: camera and checks, consent, the parts of the script, a film instead, a phone instead.

import { Camera } from './camera.js';
import { CHECKS, Checks } from './checks.js';
import { $, ask, clock, commandLine, dialog, el, fault, notice, say, share, size, t } from './dom.js';
import { phoneDialog } from './phone.js';
import { Prompter, seconds } from './prompter.js';
import { sendFile, Stretch } from './recorder.js';
import { outbox } from './store.js';

export const PARTS = ['read', 'turn', 'vowels', 'silence', 'faces'];
const PIECE_BYTES = 4 << 20;
const TELL_AFTER = 3;  // looks in a row that show somebody else
const DEAF_MS = 4000;

const kept = {  // what a reload finds again
  get take() { return localStorage.getItem('gtalk-take') || ''; },
  set take(name) { name ? localStorage.setItem('gtalk-take', name) : localStorage.removeItem('gtalk-take'); },
  place: (part) => `gtalk-at-${kept.take}-${part}`,
  broken: (part) => localStorage.getItem(kept.place(part)) !== null,
  at: (part) => Number(localStorage.getItem(kept.place(part))) || 0,  // the step at which a part was broken off
  reach: (part, step) => PARTS.includes(part) && localStorage.setItem(kept.place(part), String(step)),
  end: (part) => localStorage.removeItem(kept.place(part)),
};
export const setTake = (name) => { kept.take = name; };

export class RecordView {
  camera = new Camera();
  part = 'read';
  stretch = null;
  prompter = null;
  state = null;
  #wrong = 0;
  #deaf = 0;
  #counting = 0;
  #found = [[], []];

  constructor(app) {
    this.app = app;
    this.video = el('video', { muted: true, autoplay: true, playsInline: true, 'aria-label': t('record.preview') });
    this.checks = new Checks(this.camera, this.video);
    this.checks.addEventListener('change', () => this.#checked());
    this.checks.addEventListener('level', () => { const bar = $('level'); if (bar) bar.style.width = `${100 * this.checks.level}%`; });
    this.camera.addEventListener('lost', () => { this.finish(); this.camera.close(); notice(t('faults.lost_camera')); this.draw(); });
    this.camera.addEventListener('mute', () => { if (this.camera.muted && this.stretch) this.#muted(); });
    outbox.addEventListener('closed', () => this.app.refresh());
    document.addEventListener('keydown', (event) => {
      if (event.code !== 'Space' || !this.prompter || /BUTTON|INPUT|SELECT|TEXTAREA|SUMMARY|A/.test(event.target.tagName)) return;
      event.preventDefault();
      this.prompter.next();
    });
  }

  get entry() { return this.state?.avatars.find((one) => one.name === kept.take && one.recorded); }
  get on() { return this.camera.stream !== null; }

  // The screen anew: after what changes its shape. `update` changes words only.
  show(place) {
    this.place = place;
    this.draw();
    if (this.on) this.checks.start();
  }

  hide() { if (!this.stretch) this.checks.stop(); this.place = null; }

  draw() {
    if (!this.place) return;
    this.place.className = 'record';
    this.place.replaceChildren(
      this.on ? el('h1', { class: 'hidden-words' }, t('record.title')) : '',
      el('section', { id: 'stage', 'aria-label': t('record.preview') }, this.video,
        el('div', { id: 'prompt' }), el('p', { id: 'spoken', class: 'hidden-words', 'aria-live': 'polite' }),
        this.on ? null : el('div', { class: 'off' },
          el('h1', {}, t('record.title')), el('p', {}, t('record.lead')),
          el('button', { class: 'main', id: 'camera-on', onclick: () => this.turnOn() }, t('record.start'))),
        el('div', { id: 'recording', hidden: true }), this.#ready()),
      el('div', { class: 'side' }, this.on ? this.#setup() : null, this.#consent(), this.#parts(), this.#others()));
    this.#words();
    this.#listDevices();
    for (const name of CHECKS) this.#drawCheck(name);
  }

  // What comes next, over the picture, so that nobody has to look for it.
  #ready() {
    if (!this.on || !this.entry || this.stretch || this.#counting) return null;
    const has = (part) => this.entry.parts[part]?.stretches > 0, all = PARTS.every((part) => part === 'faces' || has(part));
    const record = has(this.part) ? null : el('button', { class: all ? '' : 'main', id: 'ready-record', 'aria-label': `${t('record.begin')}: ${t(`parts.${this.part}.name`)}`,
      onclick: () => this.begin(this.part, false) }, all ? t(`parts.${this.part}.name`) : t('record.begin'));
    if (all) return el('div', { id: 'ready' }, el('p', {}, t('record.all_done')), record,
      this.state.only_records ? null : el('button', { class: 'main', id: 'ready-make', onclick: () => this.#make() }, t('record.make')));
    return record && el('div', { id: 'ready' }, el('div', {}, el('b', {}, t(`parts.${this.part}.name`)), el('p', {}, t(`parts.${this.part}.how`))), record);
  }

  update(state) {
    const shape = JSON.stringify([this.entry?.parts, this.entry?.statement]);
    this.state = state;
    if (JSON.stringify([this.entry?.parts, this.entry?.statement]) !== shape && !this.stretch) this.draw();
  }

  async turnOn(camera = '', microphone = '') {
    try {
      await this.camera.open(camera, microphone);
    } catch (error) { notice(fault(error)); this.draw(); return; }
    notice('');
    this.video.srcObject = this.camera.stream;
    this.checks.take = this.entry?.name ?? '';
    this.#found = await Promise.all(['videoinput', 'audioinput'].map((kind) => this.camera.devices(kind)));
    this.draw();
    this.checks.start();
  }

  // Parts --------------------------------------------------------------------------------------------------------------

  async begin(part, fresh) {
    this.part = part;
    if (!this.on) await this.turnOn();
    if (!this.on || this.stretch || this.#counting) return;
    this.#counting = part === 'consent' ? 0 : 3;
    this.draw();
    for (; this.#counting > 0; this.#counting -= 1) {
      $('prompt').replaceChildren(el('p', { class: 'count' }, String(this.#counting)));
      say($('spoken'), t('record.countdown', { n: this.#counting }));
      await new Promise((done) => setTimeout(done, 800));
      if (!this.place || !this.on) { this.#counting = 0; return; }
    }
    const next = this.entry?.parts[part]?.next ?? 0;
    this.stretch = new Stretch(this.camera.stream, { take: this.entry.name, part, stretch: next, fresh, pieceS: this.state.piece_s });
    this.stretch.addEventListener('asleep', ({ detail }) => notice(t('faults.asleep', { time: clock(detail) })));
    this.stretch.addEventListener('stop', () => this.#stopped());
    this.prompter = new Prompter(part, $('prompt'), $('spoken'), {
      first: fresh ? 0 : kept.at(part), onstep: (step) => kept.reach(part, step), onend: () => { kept.end(part); this.finish(); },
    });
    this.#wrong = 0;
    this.#deaf = performance.now();
    notice('');
    this.stretch.start();
    this.prompter.start();
    this.#words();
    $('stage').scrollIntoView?.({ block: 'nearest' });
  }

  pause() { this.stretch?.pause(); this.prompter?.pause(); this.#words(); }
  resume() { this.#wrong = 0; notice(''); this.stretch?.resume(); this.prompter?.resume(); this.#words(); }

  finish() {
    if (!this.stretch) return;
    this.stretch.labels = this.prompter.labels;
    this.prompter.stop();
    this.stretch.stop();
  }

  #stopped() {
    const { part } = this.stretch;
    this.stretch = this.prompter = null;
    const at = PARTS.indexOf(part);
    const next = PARTS.find((name, i) => i > at && !this.entry?.parts[name]);
    if (next && !kept.broken(part)) this.part = next;
    say($('spoken') ?? el('p'), t('record.part_done', { part: t(`parts.${part}.name`) }));
    this.draw();
    outbox.settled().then(() => this.app.refresh());
  }

  #checked() {
    for (const name of CHECKS) this.#drawCheck(name);
    if (!this.stretch || this.stretch.state !== 'recording') return;
    const [word] = this.checks.words.face ?? ['good'];
    this.#wrong = word === 'two' || word === 'other' ? this.#wrong + 1 : 0;
    if (this.#wrong >= TELL_AFTER) {
      this.pause();
      notice(t(word === 'two' ? 'faults.two_faces' : 'faults.other_person'));
    }
    if (this.checks.words.clip?.[0] !== 'muted' || this.stretch.part === 'faces') this.#deaf = performance.now();
    else if (performance.now() - this.#deaf > DEAF_MS) this.#muted();
  }

  #muted() { this.pause(); notice(t('faults.muted')); }

  // Cards --------------------------------------------------------------------------------------------------------------

  #setup() {
    return el('section', { class: 'card', 'aria-labelledby': 'h-setup' }, el('h2', { id: 'h-setup' }, t('record.setup')),
      el('div', { class: 'pair' },
        el('label', {}, t('record.camera'), el('select', { id: 'videoinput', onchange: () => this.#devices() })),
        el('label', {}, t('record.microphone'), el('select', { id: 'audioinput', onchange: () => this.#devices() }))),
      el('div', { class: 'meter', role: 'img', 'aria-label': t('record.level') }, el('i', { id: 'level' })),
      el('ul', { class: 'checks', 'aria-label': t('record.checks') }, CHECKS.map((name) => el('li', { id: `check-${name}` },
        el('i'), el('span', {}, t(`checks.${name}.name`)), el('b', {}, t('checks.wait')), el('small')))));
  }

  #devices() { if (!this.stretch) this.turnOn($('videoinput').value, $('audioinput').value); }

  #listDevices() {
    ['videoinput', 'audioinput'].forEach((kind, which) => $(kind)?.replaceChildren(...this.#found[which].map((device, i) => el('option',
      { value: device.deviceId, selected: device.deviceId === this.camera.chosen(kind) },
      device.label || `${t(which ? 'record.microphone' : 'record.camera')} ${i + 1}`))));
  }

  #drawCheck(name) {
    const row = $(`check-${name}`), [word, values] = this.checks.words[name] ?? [null];
    if (!row || !word) return;
    row.dataset.state = word === 'good' ? 'good' : 'amber';
    say(row.querySelector('b'), t(`checks.${name}.${word}`, values));
    say(row.querySelector('small'), word === 'good' ? '' : t(`checks.${name}.${word}_do`));
  }

  #consent() {
    const known = this.entry;
    const head = el('h2', { id: 'h-consent' }, t('record.consent'));
    if (known) {
      return el('section', { class: 'card', 'aria-labelledby': 'h-consent' }, head,
        el('p', { class: 'quote' }, t('record.known', { name: known.person, statement: known.statement })),
        el('div', { class: 'row' },
          el('button', { class: 'ghost', id: 'say-consent', disabled: this.stretch !== null, onclick: () => this.begin('consent', true) },
            known.parts.consent ? t('record.said') : t('record.say_it')),
          el('button', { class: 'ghost', id: 'somebody-else', disabled: this.stretch !== null, onclick: () => { kept.take = ''; this.checks.take = ''; this.draw(); } }, t('record.new'))));
    }
    const person = el('input', { id: 'person', name: 'person', autocomplete: 'name', maxLength: 80, required: true, oninput: () => {
      if (!statement.dataset.own) statement.value = person.value.trim() ? t('record.sentence', { name: person.value.trim() }) : '';
    } });
    const statement = el('textarea', { id: 'statement', rows: 2, maxLength: 2000, required: true, oninput: () => { statement.dataset.own = '1'; } });
    return el('section', { class: 'card', 'aria-labelledby': 'h-consent' }, head, el('p', { class: 'soft' }, t('record.consent_lead')),
      el('form', { id: 'consent', onsubmit: (event) => { event.preventDefault(); this.#agree(person.value, statement.value); } },
        el('label', {}, t('record.person'), person), el('label', {}, t('record.statement'), statement),
        el('button', { class: 'main', id: 'agree' }, t('record.agree'))));
  }

  async #agree(person, statement) {
    try {
      const { name } = await ask('api/takes', { method: 'POST', json: { person, statement, language: document.documentElement.lang } });
      kept.take = this.checks.take = name;
      notice('');
      await this.app.refresh();
      this.draw();
    } catch (error) { notice(fault(error)); }
  }

  #parts() {
    const known = this.entry, parts = known?.parts ?? {};
    const rows = PARTS.map((part) => {
      const there = parts[part]?.stretches > 0;
      const broken = there && kept.broken(part);
      return el('li', { class: part === this.part ? 'chosen' : '', 'data-state': there ? 'good' : 'open' }, el('i'),
        el('div', {}, el('b', {}, t(`parts.${part}.name`)), el('small', {}, there ? t('record.done', { time: clock(parts[part].seconds) })
          : `${part === 'faces' ? t('record.optional') : t('record.open')} · ${clock(seconds(part))}`),
        part === this.part ? el('p', { class: 'soft' }, t(`parts.${part}.how`)) : null),
        broken ? el('button', { class: 'main', id: `go-on-${part}`, 'aria-label': `${t('record.resume')}: ${t(`parts.${part}.name`)}`, onclick: () => this.begin(part, false) }, t('record.resume')) : null,
        el('button', { class: part === this.part && !there ? 'main' : '', id: `part-${part}`, disabled: !known,
          'aria-label': `${t(there ? 'record.redo' : 'record.begin')}: ${t(`parts.${part}.name`)}`,
          onclick: () => this.begin(part, there) }, t(there ? 'record.redo' : 'record.begin')));
    });
    const total = ['read', 'turn', 'vowels', 'silence', 'upload'].reduce((sum, part) => sum + (parts[part]?.seconds ?? 0), 0);
    const enough = parts.read?.stretches > 0 || parts.upload?.stretches > 0;
    return el('section', { class: 'card', 'aria-labelledby': 'h-parts' }, el('h2', { id: 'h-parts' }, t('record.parts')),
      el('ul', { class: 'parts' }, rows),
      total ? el('p', { class: 'soft' }, t('record.total', { time: clock(total) })) : null,
      parts.upload?.stretches ? el('p', { class: 'soft' }, `${t('parts.upload.name')} · ${size(parts.upload.bytes)}`) : null,
      this.state?.only_records ? el('p', { class: 'soft' }, t('record.make_there'))
        : el('button', { class: 'main wide', id: 'make', disabled: !enough, onclick: () => this.#make() }, t('record.make')),
      enough || this.state?.only_records ? null : el('p', { class: 'soft' }, t('record.make_needs')));
  }

  async #make() {
    try {
      await outbox.settled();
      await ask(`api/avatars/${this.entry.name}/make`, { method: 'POST' });
      this.camera.close();
      this.app.open('make');
    } catch (error) { notice(fault(error)); }
  }

  #others() {
    const file = el('input', { type: 'file', accept: 'video/*', id: 'film', class: 'hidden-words', disabled: !this.entry, onchange: () => this.#upload(file.files[0]) });
    return el('section', { class: 'card', 'aria-labelledby': 'h-others' }, el('h2', { id: 'h-others' }, t('record.upload')),
      el('p', { class: 'soft' }, t('record.upload_lead')),
      el('div', { class: 'row' }, el('label', { class: 'button', 'aria-disabled': String(!this.entry) }, t('record.upload'), file), el('span', { id: 'sent', role: 'status' }),
        this.state?.phone ? el('button', { class: 'ghost', id: 'phone', onclick: () => phoneDialog(kept.take) }, t('record.phone')) : null));
  }

  async #upload(file) {
    if (!file) return;
    if (file.size > this.state.most_upload) {
      notice(t('faults.too_large', { size: size(file.size) }));
      dialog(t('record.upload'), (close) => [el('p', {}, t('faults.too_large', { size: size(file.size) })),
        Object.assign(commandLine(`gtalk train ${/^[\w.-]+$/.test(file.name) ? file.name : `'${file.name}'`} -o ${this.entry.name} --person '${this.entry.person}' --consent '${this.entry.statement}'`), { open: true }),
        el('button', { class: 'main', onclick: close }, t('phone.close'))]);
      return;
    }
    notice('');
    const stretch = this.entry.parts.upload?.next ?? 0;
    await sendFile(file, { take: this.entry.name, stretch, pieceBytes: PIECE_BYTES, onshare: (part) => say($('sent') ?? el('p'), t('record.uploading', { share: share(part) })) });
    await outbox.settled();
    say($('sent') ?? el('p'), '');
    await this.app.refresh();
  }

  // The bar over the picture while something is recorded.
  #words() {
    const bar = $('recording');
    if (!bar) return;
    bar.hidden = !this.stretch;
    clearInterval(this.timer);
    if (!this.stretch) return;
    const paused = this.stretch.state === 'paused';
    const time = el('span', { class: 'time', role: 'timer' });
    const tick = () => say(time, `${clock(this.stretch?.seconds ?? 0)} / ${clock(this.prompter?.total ?? 0)}`);
    tick();
    this.timer = setInterval(tick, 500);
    bar.replaceChildren(el('i', { class: paused ? 'still' : '' }), time,
      el('button', { id: 'pause', onclick: () => (paused ? this.resume() : this.pause()) }, t(paused ? 'record.resume' : 'record.pause')),
      this.part === 'consent' ? null : el('button', { id: 'next', onclick: () => this.prompter?.next() }, t('record.next')),
      el('button', { id: 'stop', onclick: () => this.finish() }, t('record.stop')));
  }
}
