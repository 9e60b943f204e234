// The avatar, live; films of sound files; its measures; a message for the web.

import { $, ask, commandLine, el, fault, notice, t } from './dom.js';

export class MeetView {
  constructor(app) { this.app = app; this.name = ''; this.shape = ''; this.command = ''; }

  async show(place, name) {
    this.place = place;
    this.shape = '';
    const made = this.app.state?.avatars.filter((one) => one.avatar) ?? [];
    this.name = made.some((one) => one.name === name) ? name : made.some((one) => one.name === this.name) ? this.name : made[0]?.name ?? '';
    place.className = 'meet';
    place.replaceChildren(el('h1', { class: 'hidden-words' }, t('meet.title')), el('section', { id: 'live', 'aria-label': t('meet.live') }, el('p', { class: 'soft opening', role: 'status' }, t(this.name ? 'meet.opening' : 'meet.none'))), el('div', { class: 'side', id: 'meet-side' }));
    if (!this.name) return;
    this.update(this.app.state);
    try {
      const { port, token, command } = await ask(`api/avatars/${this.name}/meet`, { method: 'POST' });
      this.command = command;
      if (this.place === place) {
        const url = `${location.protocol}//${location.hostname}:${port}/${token ? `?token=${token}` : ''}`;
        $('live').replaceChildren(el('iframe', { src: url, title: t('meet.live'), allow: 'microphone *; autoplay *; fullscreen *' }));
        this.shape = '';
        this.update(this.app.state);
      }
    } catch (error) { notice(fault(error)); $('live')?.replaceChildren(el('p', { class: 'soft opening' }, fault(error))); }
  }

  hide() { this.place = null; $('live')?.replaceChildren(); }

  update(state) {
    const side = $('meet-side');
    if (!this.place || !this.name || !side) return;
    const one = state.avatars.find((each) => each.name === this.name);
    const jobs = state.jobs.filter((job) => job.avatar === this.name && ['dub', 'eval', 'share'].includes(job.kind));
    const shape = JSON.stringify([this.name, this.command, state.avatars.map((each) => [each.name, each.title, each.avatar, each.measured]), jobs.map((job) => [job.number, job.state, job.error])]);
    if (shape !== this.shape && one) {
      this.shape = shape;
      const chosen = $('share-sound')?.value, open = new Set([...side.querySelectorAll('details[open]')].map((each) => each.id));
      side.replaceChildren(this.#choose(state), this.#films(jobs), this.#measure(one, jobs), this.#share(jobs));
      if (chosen) $('share-sound').value = chosen;
      for (const id of open) if (id && $(id)) $(id).open = true;
    }
    for (const job of jobs) {
      const place = $(`film-${job.number}`);
      if (place?.querySelector('progress')) place.querySelector('progress').value = job.share;
    }
  }

  #choose(state) {
    return el('section', { class: 'card' }, el('label', {}, t('meet.choose'), el('select', { id: 'who', onchange: () => this.show(this.place, $('who').value) },
      state.avatars.filter((one) => one.avatar).map((one) => el('option', { value: one.name, selected: one.name === this.name }, one.title)))),
    this.command ? Object.assign(commandLine(this.command), { id: 'command-live' }) : null);
  }

  #films(jobs) {
    const file = el('input', { type: 'file', id: 'sounds', accept: 'audio/*,video/*', multiple: true, class: 'hidden-words', onchange: () => this.#send([...file.files]) });
    const over = (event) => { event.preventDefault(); drop.classList.toggle('over', event.type === 'dragover'); };
    const drop = el('label', { class: 'drop', id: 'drop', ondragover: over, ondragleave: over, ondrop: (event) => { over(event); this.#send([...event.dataTransfer.files]); } },
      el('b', {}, t('meet.drop')), el('span', {}, t('meet.drop_or')), file);
    const films = jobs.filter((job) => job.kind === 'dub'), ahead = this.app.state.jobs.filter((job) => ['waiting', 'running'].includes(job.state));
    return el('section', { class: 'card', 'aria-labelledby': 'h-films' }, el('h2', { id: 'h-films' }, t('meet.films')), el('p', { class: 'soft' }, t('meet.drop_lead')), drop,
      el('ul', { class: 'films' }, films.map((job) => {
        const path = `api/avatars/${this.name}/files/films/${job.output.split('/').pop()}`;
        const before = ahead.filter((each) => each.number < job.number).length;
        return el('li', { id: `film-${job.number}`, 'data-state': job.state }, el('div', { class: 'row spread' }, el('b', {}, job.label),
          job.state === 'done' ? [el('a', { href: path, target: '_blank', rel: 'noopener', 'aria-label': `${t('make.watch')}: ${job.label}` }, t('make.watch')), el('a', { class: 'button small', href: `${path}?save=1` }, t('make.download'))]
            : job.state === 'waiting' ? el('span', { class: 'soft' }, before ? t('meet.queue', { n: before }) : t('make.waiting')) : null,
          ['waiting', 'running'].includes(job.state) ? this.#button(job, 'stop', 'stop') : this.#button(job, job.state === 'done' ? 'delete' : 'again', job.state === 'done' ? 'forget' : 'again')),
        job.state === 'running' ? el('progress', { max: 1, value: job.share, 'aria-label': job.label }) : null,
        job.state === 'failed' ? el('p', { class: 'bad' }, fault(job.error ?? {})) : null,
        Object.assign(commandLine(job.command), { id: `command-${job.number}` }));
      })));
  }

  #button(job, name, what) {
    return el('button', { class: 'small ghost', 'aria-label': `${t(`make.${name}`)}: ${job.label || job.kind}`, onclick: () => this.#do(`api/jobs/${job.number}/${what}`) }, t(`make.${name}`));
  }

  #measure(one, jobs) {
    const job = jobs.find((each) => each.kind === 'eval'), busy = job && ['waiting', 'running'].includes(job.state);
    return el('section', { class: 'card', 'aria-labelledby': 'h-measure' }, el('h2', { id: 'h-measure' }, t('meet.measure')), el('p', { class: 'soft' }, t('meet.measure_lead')),
      el('div', { class: 'row' }, el('button', { id: 'evaluate', disabled: busy, onclick: () => this.#do(`api/avatars/${this.name}/evaluate`) }, t('meet.measure')),
        one.measured ? el('a', { href: `api/avatars/${this.name}/measures.html`, target: '_blank', rel: 'noopener' }, t('meet.measured')) : null),
      busy ? el('div', { id: `film-${job.number}` }, el('progress', { max: 1, value: job.share, 'aria-label': t('meet.measure') })) : null,
      job?.state === 'failed' ? el('p', { class: 'bad' }, fault(job.error ?? {})) : null,
      job ? Object.assign(commandLine(job.command), { id: `command-${job.number}` }) : null);
  }

  #share(jobs) {
    const job = jobs.find((each) => each.kind === 'share'), sounds = jobs.filter((each) => each.kind === 'dub');
    const busy = job && ['waiting', 'running'].includes(job.state);
    return el('section', { class: 'card', 'aria-labelledby': 'h-share' }, el('h2', { id: 'h-share' }, t('meet.share')), el('p', { class: 'soft' }, t('meet.share_lead')),
      el('div', { class: 'row' }, el('select', { id: 'share-sound', 'aria-label': t('meet.share_lead') }, el('option', { value: '' }, t('meet.share_no')), sounds.map((each) => el('option', { value: each.label }, each.label))),
        el('button', { id: 'share', disabled: busy, onclick: () => this.#do(`api/avatars/${this.name}/export/web?sound=${encodeURIComponent($('share-sound').value)}`) }, t('meet.share_make')),
        job?.state === 'done' ? [el('a', { href: `api/avatars/${this.name}/files/share/index.html`, target: '_blank', rel: 'noopener' }, t('meet.share_open')), el('a', { href: `api/avatars/${this.name}/share.zip` }, t('meet.share_zip'))] : null),
      busy ? el('div', { id: `film-${job.number}` }, el('progress', { max: 1, value: job.share, 'aria-label': t('meet.share') })) : null,
      job?.state === 'failed' ? el('p', { class: 'bad' }, fault(job.error ?? {})) : null,
      job ? Object.assign(commandLine(job.command), { id: `command-${job.number}` }) : null);
  }

  async #send(files) {
    for (const file of files) {
      try { await ask(`api/avatars/${this.name}/dub?file=${encodeURIComponent(file.name)}`, { method: 'POST', body: file }); notice(''); } catch (error) { notice(error.status === 422 ? t('faults.not_sound', { file: file.name }) : `${file.name}: ${fault(error)}`); }
      await this.app.refresh();
    }
  }

  async #do(path) {
    try { await ask(path, { method: 'POST' }); notice(''); } catch (error) { notice(fault(error)); }
    await this.app.refresh();
  }
}
