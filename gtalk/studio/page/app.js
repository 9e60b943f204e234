// The page: three screens, one state that is asked for each second, one language.

import { $, ask, el, fault, notice, say, size, t, texts } from './dom.js';
import { MakeView } from './make.js';
import { MeetView } from './meet.js';
import { RecordView, setTake } from './record.js';
import { outbox } from './store.js';

const LANGUAGES = ['en', 'de'], SCREENS = ['record', 'make', 'meet'];
const ASK_MS = 1000;

class App {
  state = null;
  screen = '';
  #asked = null;

  async start() {
    const known = localStorage.getItem('gtalk-language') ?? navigator.language.slice(0, 2);
    await this.#speak(LANGUAGES.includes(known) ? known : 'en');
    const hash = new URLSearchParams(location.hash.slice(1));
    if (hash.get('take')) setTake(hash.get('take'));
    this.views = { record: new RecordView(this), make: new MakeView(this), meet: new MeetView(this) };
    outbox.addEventListener('change', () => this.#status());
    outbox.addEventListener('trouble', ({ detail }) => { if (detail && detail.code !== 'offline') notice(fault(detail)); else if (!detail) notice(''); this.#status(); });
    outbox.addEventListener('refused', ({ detail: { item, error } }) => notice(item.path.includes('/upload/') ? t('faults.not_video') : fault(error)));
    await outbox.open();
    await this.refresh();
    window.addEventListener('hashchange', () => this.#go());
    window.addEventListener('beforeunload', (event) => { if (this.views.record.stretch || (!outbox.durable && outbox.waiting)) event.preventDefault(); });
    this.#go();
    if (!outbox.durable) notice(t('faults.storage'));
    else if (this.state && !this.state.disk.enough) notice(t('faults.disk_low', { free: size(this.state.disk.free) }));
    setInterval(() => this.refresh(), ASK_MS);
  }

  // Another screen, at its own address.
  open(screen, name = '') {
    this.name = name;
    const hash = screen === 'meet' && name ? `#meet=${name}` : `#${screen}`;
    if (location.hash === hash) this.#go(); else location.hash = hash;
  }

  // The recording screen with one person's recording, at the part that is to be done again.
  record(name, part = '') {
    setTake(name);
    const view = this.views.record;
    view.checks.take = name;
    if (part) view.part = part;
    this.open('record');
    if (part) notice(t('record.retake', { part: t(`parts.${part}.name`) }), 'info');
  }

  refresh() {
    this.#asked ??= (async () => {
      try {
        this.state = await ask('api/state', { signal: AbortSignal.timeout(8000) });
        this.lost = false;
      } catch (error) {
        if (error.code === 'denied_token') notice(fault(error));
        this.lost = true;
      }
      this.#asked = null;
      this.#status();
      if (this.state) for (const view of Object.values(this.views)) view.update(this.state);
    })();
    return this.#asked;
  }

  #go() {
    const [screen, name = ''] = location.hash.slice(1).split('=');
    const next = this.state?.only_records ? 'record' : SCREENS.includes(screen) ? screen : this.state?.avatars.some((one) => one.avatar) && !location.hash.includes('take=') ? 'make' : 'record';
    if (next !== 'record' && this.views.record.stretch) this.views.record.finish();
    this.views[this.screen]?.hide();
    this.screen = next;
    document.title = `${t(`nav.${next}`)} · gtalk studio`;
    $('tabs').replaceChildren(...(this.state?.only_records ? ['record'] : SCREENS).map((each) => el('a', { href: `#${each}`, id: `tab-${each}`, 'aria-current': each === next ? 'page' : null }, t(`nav.${each}`))));
    this.views[next].show($('main'), name);
    this.views[next].update(this.state ?? { avatars: [], jobs: [] });
  }

  #status() {
    const place = $('status'), troubled = this.lost || outbox.trouble;
    place.dataset.state = troubled ? 'lost' : 'live';
    const parts = [this.lost ? t('status.offline') : null, outbox.waiting ? t('status.saving', { n: outbox.waiting }) : this.lost ? null : t('status.saved'),
      this.state && !this.lost ? t('status.disk', { free: size(this.state.disk.free) }) : null];
    say($('status-text'), parts.filter(Boolean).join(' · '));
    if (this.lost && !this.wasLost) notice(t('faults.offline'));
    if (!this.lost && this.wasLost) notice('');
    this.wasLost = this.lost;
  }

  async #speak(code) {
    texts.now = await ask(`texts/${code}.json`);
    document.documentElement.lang = code;
    localStorage.setItem('gtalk-language', code);
    $('tabs').setAttribute('aria-label', t('nav.label'));
    const choose = $('language');
    choose.setAttribute('aria-label', t('nav.language'));
    choose.replaceChildren(...LANGUAGES.map((each) => el('option', { value: each, selected: each === code }, each.toUpperCase())));
    choose.onchange = async () => { await this.#speak(choose.value); this.#go(); this.#status(); };
  }
}

const app = new App();
window.studio = Object.assign(app, { outbox });
app.start();
