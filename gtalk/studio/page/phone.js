// Lets a phone in: the address as a code, and what to do about its warning.

import { ask, dialog, el, fault, notice, t } from './dom.js';

export async function phoneDialog(take) {
  let told;
  try { told = await ask('api/phone', { method: 'POST', json: { take } }); } catch (error) { notice(fault(error)); return; }
  const picture = el('img', { class: 'qr', alt: t('phone.address') + ' ' + told.url, src: `data:image/svg+xml,${encodeURIComponent(told.qr)}` });
  dialog(t('phone.title'), (close) => [
    el('div', { class: 'phone' }, picture, el('ol', {}, ['one', 'two', 'three', 'four'].map((step) => el('li', {}, t(`phone.${step}`))))),
    el('p', { class: 'soft' }, `${t('phone.address')}: `, el('code', { tabIndex: 0 }, told.url)),
    el('p', { class: 'soft' }, `${t('phone.fingerprint')} (SHA-256): `, el('code', { tabIndex: 0 }, told.fingerprint)),
    el('button', { class: 'main', onclick: close }, t('phone.close'))]);
}
