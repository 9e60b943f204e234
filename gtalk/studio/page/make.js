// The library: what was recorded and made, the job that runs, the report and what to record again.

import { $, ask, clock, commandLine, dialog, el, fault, notice, say, share, size, t, texts } from './dom.js';

const left = (seconds) => (seconds === null || seconds === undefined ? t('make.left_unknown') : seconds < 8 ? t('make.left_soon') : t('make.left', { time: clock(seconds) }));

export class MakeView {
  constructor(app) { this.app = app; this.shape = ''; }

  show(place) { this.place = place; this.shape = ''; if (this.app.state) this.update(this.app.state); }
  hide() { this.place = null; }

  update(state) {
    if (!this.place) return;
    const jobs = state.jobs.filter((job) => job.kind === 'train' || job.kind === 'export');
    const shape = JSON.stringify([state.avatars.map((one) => ({ ...one, bytes: 0 })), jobs.map((job) => [job.number, job.state, job.error, job.picture > 0]), document.documentElement.lang]);
    if (shape !== this.shape) { this.shape = shape; this.#draw(state, jobs); }
    for (const job of jobs) this.#progress(job);
    for (const one of state.avatars) { const place = $(`size-${one.name}`); if (place) say(place, t('make.size', { size: size(one.bytes) })); }
  }

  #draw(state, jobs) {
    const open = new Set([...this.place.querySelectorAll('details[open]')].map((one) => one.id));
    this.place.className = 'make';
    this.place.replaceChildren(el('div', { class: 'head' }, el('h1', {}, t('make.title')), el('p', { class: 'soft' }, t('make.lead'))),
      state.avatars.length ? el('ul', { class: 'library' }, state.avatars.map((one) => this.#card(one, jobs.filter((job) => job.avatar === one.name))))
        : el('div', { class: 'card empty' }, el('p', {}, t('make.empty')), el('button', { class: 'main', onclick: () => this.app.open('record') }, t('make.go_record'))));
    for (const id of open) if (id && $(id)) $(id).open = true;
  }

  #card(one, jobs) {
    const job = jobs.find((each) => each.kind === 'train'), busy = job && ['waiting', 'running'].includes(job.state);
    const exported = jobs.find((each) => each.kind === 'export' && each.state === 'done');
    const recorded = ['read', 'turn', 'vowels', 'silence', 'upload'].reduce((sum, part) => sum + (one.parts[part]?.seconds ?? 0), 0);
    const picture = one.seen ? el('img', { class: 'seen', src: `api/avatars/${one.name}/preview.jpg?${one.seen}`, alt: '' })
      : el('div', { class: 'seen nobody', 'aria-hidden': 'true' }, one.title.slice(0, 1).toUpperCase());
    const button = (name, onclick, kind = '') => el('button', { class: kind, id: `${name}-${one.name}`, 'aria-label': `${t(`make.${name}`)}: ${one.title}`, onclick }, t(`make.${name}`));
    const begun = job && ['stopped', 'failed'].includes(job.state) && job.output === one.to_make;  // "Go on" does it
    const makes = one.recorded && one.new_clips && !busy && !begun;
    return el('li', { class: 'card avatar', id: `avatar-${one.name}` },
      el('div', { class: 'top' }, picture, el('div', {}, el('h2', {}, one.title),
        el('p', { class: 'soft' }, [one.avatar ? t('make.ready') : t('make.recorded', { time: clock(recorded) }), el('span', { id: `size-${one.name}` })].flatMap((part, i) => (i ? [' · ', part] : [part]))))),
      el('div', { class: 'row' },
        one.avatar ? button('meet', () => this.app.open('meet', one.name), 'main') : null,
        makes ? button(one.avatar ? 'again' : 'make', () => this.#do(`api/avatars/${one.name}/make`), one.avatar ? '' : 'main') : null,
        one.recorded ? button('more', () => this.app.record(one.name)) : null,
        button('rename', () => this.#rename(one)),
        one.avatar ? button('export', () => this.#export(one)) : null,
        exported ? el('a', { class: 'button', href: `api/avatars/${one.name}/files/exports/${exported.output.split('/').pop()}?save=1` }, `${t('make.download')} ${exported.label}`) : null,
        button('delete', () => this.#delete(one), 'ghost')),
      job ? this.#job(job) : null,
      one.report ? this.#report(one) : null);
  }

  #job(job) {
    const over = ['failed', 'stopped'].includes(job.state);
    const act = (name, what) => el('button', { class: name === 'go_on' ? 'main' : '', id: `job-${what}-${job.number}`, onclick: () => this.#do(`api/jobs/${job.number}/${what}`) }, t(`make.${name}`));
    return el('div', { class: 'job', 'data-state': job.state, id: `job-${job.number}` },
      job.state === 'done' ? el('p', { class: 'soft' }, t('make.done_in', { time: clock(job.seconds) })) : [
        el('progress', { max: 1, value: 0, 'aria-label': t('make.making', { share: '' }) }),
        el('div', { class: 'row spread' }, el('span', { class: 'stage-words', role: 'status' }), el('span', { class: 'left' }),
          over ? act('go_on', 'again') : act('stop', 'stop'))],
      job.state === 'failed' ? el('p', { class: 'bad', title: job.error?.text ?? '' }, fault(job.error ?? {})) : null,
      job.picture ? el('figure', {}, el('img', { class: 'pair-picture', alt: t('make.picture'), src: `api/jobs/${job.number}/picture.jpg?${job.picture}` }),
        el('figcaption', {}, el('span', {}, t('make.truth')), el('span', {}, t('make.render')))) : null,
      Object.assign(commandLine(job.command), { id: `command-${job.number}` }));
  }

  // What changes each second.
  #progress(job) {
    const place = $(`job-${job.number}`);
    if (!place?.querySelector('progress')) return;
    place.querySelector('progress').value = job.share;
    const words = texts.now.stages[job.stage] ?? '';
    const at = { waiting: t('make.waiting'), failed: t('make.failed'), stopped: `${share(job.share)} · ${t('make.stopped')}` }[job.state] ?? `${share(job.share)} · ${words}`;
    say(place.querySelector('.stage-words'), at);
    say(place.querySelector('.left'), job.state === 'running' ? left(job.left_s) : '');
    const picture = place.querySelector('.pair-picture');
    if (picture && !picture.src.endsWith(`?${job.picture}`)) picture.src = `api/jobs/${job.number}/picture.jpg?${job.picture}`;
  }

  #report(one) {
    const { word, problems } = one.report;
    return el('details', { class: 'report', id: `report-${one.name}`, open: word !== 'good' },
      el('summary', {}, `${t('make.report')}: `, el('b', { 'data-state': word === 'good' ? 'good' : 'amber' }, t(`make.${word}`))),
      problems.length ? el('ul', {}, problems.map((problem) => el('li', {}, el('span', { title: problem.text }, problem.name ? t(`advice.${problem.name}`) : problem.text),
        problem.redo && one.recorded ? el('button', { class: 'small', 'data-redo': problem.redo, onclick: () => this.app.record(one.name, problem.redo) }, t(one.parts[problem.redo] ? 'make.redo' : 'make.do', { part: t(`parts.${problem.redo}.name`) })) : null)))
        : el('p', {}, t('make.nothing')),
      el('a', { href: `api/avatars/${one.name}/report.html`, target: '_blank', rel: 'noopener' }, t('make.report_full')));
  }

  #rename(one) {
    const name = el('input', { value: one.title, maxLength: 60, id: 'new-name' });
    dialog(t('make.rename'), (close) => [el('form', { onsubmit: async (event) => {
      event.preventDefault();
      close();
      await this.#do(`api/avatars/${one.name}/title`, { method: 'POST', json: { title: name.value } });
    } }, el('label', {}, t('make.new_name'), name), el('div', { class: 'row' }, el('button', { class: 'main', id: 'save-name' }, t('make.save')),
      el('button', { type: 'button', onclick: close }, t('make.cancel'))))]);
  }

  #delete(one) {
    dialog(t('make.sure', { name: one.title }), (close) => [el('p', {}, t('make.sure_lead', { size: size(one.bytes) })), el('div', { class: 'row' },
      el('button', { class: 'danger', id: 'really', onclick: async () => {
        close();
        await this.#do(`api/avatars/${one.name}`, { method: 'DELETE', json: { confirm: one.name } });
      } }, t('make.delete')), el('button', { onclick: close }, t('make.cancel')))]);
  }

  #export(one) {
    dialog(t('make.export'), (close) => [...['glb', 'ply'].map((kind) => el('div', { class: 'row' }, el('button', { id: `export-as-${kind}`, onclick: async () => {
      close();
      await this.#do(`api/avatars/${one.name}/export/${kind}`);
    } }, kind.toUpperCase()), el('span', {}, t(`make.as_${kind}`)), el('code', {}, `gtalk export ${one.path} --format ${kind} -o ${one.name}.${kind}`))), el('button', { class: 'ghost', onclick: close }, t('make.cancel'))]);
  }

  async #do(path, options = { method: 'POST' }) {
    try { await ask(path, options); notice(''); } catch (error) { notice(fault(error)); }
    await this.app.refresh();
  }
}
