// Pieces of a recording on their way to the server. Each is kept (IndexedDB; memory where there is none) until the server
// says that it has it, through reloads, crashes and lost networks; then it goes. Sent twice, it is held once.

import { ask } from './dom.js';

const WAIT_MS = [500, 1000, 2000, 4000];

class Memory {
  items = new Map();
  next = 1;
  async add(item) { this.items.set(this.next, { ...item, key: this.next }); this.next += 1; }
  async first() { return this.items.values().next().value; }
  async remove(key) { this.items.delete(key); }
  async count() { return this.items.size; }
}

class Disk {
  constructor(database) { this.database = database; }
  static open() {
    return new Promise((done, failed) => {
      const asked = indexedDB.open('gtalk-studio', 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore('pieces', { keyPath: 'key', autoIncrement: true });
      asked.onsuccess = () => done(new Disk(asked.result));
      asked.onerror = () => failed(asked.error);
    });
  }
  #ask(mode, what) {
    return new Promise((done, failed) => {
      const deal = this.database.transaction('pieces', mode, { durability: 'relaxed' });
      const asked = what(deal.objectStore('pieces'));
      deal.oncomplete = () => done(asked.result);
      deal.onerror = deal.onabort = () => failed(deal.error);
    });
  }
  add(item) { return this.#ask('readwrite', (store) => store.add(item)); }
  async first() { return (await this.#ask('readonly', (store) => store.getAll(null, 1)))[0]; }
  remove(key) { return this.#ask('readwrite', (store) => store.delete(key)); }
  count() { return this.#ask('readonly', (store) => store.count()); }
}

export class Outbox extends EventTarget {
  waiting = 0;
  trouble = null;
  durable = true;
  #kept = new Memory();
  #running = false;
  #tries = 0;
  #order = Promise.resolve();

  async open() {
    try {
      this.#kept = await Disk.open();
      this.waiting = await this.#kept.count();
    } catch { this.durable = false; }
    window.addEventListener('online', () => this.#wake());
    this.#run();
  }

  // A piece: path (where it goes), number, blob. Or the end of a stretch: path, close.
  put(item) {
    this.waiting += 1;
    this.#tell();
    this.#order = this.#order.then(async () => {
      try { await this.#kept.add(item); } catch {  // the browser's own quota
        this.durable = false;
        const memory = new Memory();
        for (let old; (old = await this.#kept.first().catch(() => null));) { await memory.add(old); await this.#kept.remove(old.key); }
        this.#kept = memory;
        await memory.add(item);
      }
      this.#run();
    });
    return this.#order;
  }

  // Until everything that was put so far is held; rejects with what the server refused for good.
  settled() {
    return new Promise((done) => {
      const look = () => { if (!this.waiting) { this.removeEventListener('change', look); done(); } };
      this.addEventListener('change', look);
      look();
    });
  }

  #tell() { this.dispatchEvent(new Event('change')); }
  #wake = () => {};

  async #run() {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let item; (item = await this.#kept.first());) {
        if (await this.#send(item)) {
          await this.#kept.remove(item.key);
          this.waiting = await this.#kept.count();
          this.#tries = 0;
          this.#trouble(null);
        } else {
          const wait = WAIT_MS[Math.min(this.#tries++, WAIT_MS.length - 1)];
          await new Promise((done) => { this.#wake = done; setTimeout(done, wait); });
        }
      }
    } finally { this.#running = false; }
    this.#tell();
  }

  // Whether it need not be sent again.
  async #send(item) {
    try {
      if (item.close) await ask(`${item.path}/close`, { method: 'POST', json: item.close });
      else await ask(`${item.path}/${item.number}`, { method: 'PUT', body: item.blob });
      if (item.close) this.dispatchEvent(new CustomEvent('closed', { detail: item }));
      return true;
    } catch (error) {
      const lasting = error.status >= 400 && error.status < 500 && ![401, 403, 408, 429].includes(error.status);
      if (lasting) {
        this.dispatchEvent(new CustomEvent('refused', { detail: { item, error } }));
        return true;
      }
      this.#trouble(error.status ? error : { code: 'offline' });
      return false;
    }
  }

  #trouble(error) {
    if ((this.trouble?.code ?? null) !== (error?.code ?? null)) this.dispatchEvent(new CustomEvent('trouble', { detail: error }));
    this.trouble = error;
    this.#tell();
  }
}

export const outbox = new Outbox();
