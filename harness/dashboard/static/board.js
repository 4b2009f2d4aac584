// The board: thousands of rows, of which only those in sight are in the document.
'use strict';

const rows = new Map();     // id → row, as the server sent it
let order = [];             // ids that match the filter, the newest first
let dirty = true;           // order has to be made anew
let stack = null;
const shown = new Map();    // id → {element, row} in the document
const list = document.getElementById('rows');
const view = document.getElementById('events');
const filter = document.getElementById('filter');
const signs = JSON.parse(list.dataset.signs); // state → its icon and its label
let height = 0;
let current = null;         // id of the row that has, or last had, the focus

const el = (tag, className, text) => {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
};
const took = ms => ms < 1000 ? ms + 'ms' : ms < 60000 ? ms / 1000 + 's' : Math.floor(ms / 60000) + 'm' + Math.round(ms % 60000 / 1000) + 's';
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const count = (n, noun) => n + ' ' + noun + (n === 1 ? '' : 's');

function wanted(row, words, state) {
  if (state === 'mail' ? !row.mail : state === 'running' ? row.state !== 'running' && row.state !== 'waiting' : state && row.state !== state) return false;
  return words.every(w => row.text.includes(w));
}

function arrange() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const state = document.querySelector('[name=state]:checked').value;
  const counts = { '': 0, running: 0, failed: 0, mail: 0 };
  const found = [];
  for (const row of rows.values()) {
    counts['']++;
    if (row.state === 'running' || row.state === 'waiting') counts.running++;
    if (row.state === 'failed') counts.failed++;
    if (row.mail) counts.mail++;
    if (wanted(row, words, state)) found.push(row);
  }
  found.sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
  order = found;
  for (const b of document.querySelectorAll('[data-count]')) b.textContent = counts[b.dataset.count] || '';
  document.getElementById('nothing').hidden = rows.size > 0 || !stack;
  document.getElementById('nomatch').hidden = order.length > 0 || rows.size === 0;
  dirty = false;
}

function draw() {
  if (dirty) arrange();
  if (!height) height = parseFloat(getComputedStyle(list).getPropertyValue('--row')) || 76;
  list.style.height = order.length * height + 'px';
  const top = Math.max(0, scrollY - view.offsetTop);
  const first = Math.max(0, Math.floor(top / height) - 6);
  const last = Math.min(order.length, Math.ceil((top + innerHeight) / height) + 6);
  const keep = new Set();
  for (let i = first; i < last; i++) place(order[i], i, keep);
  const focused = document.activeElement?.closest?.('li')?.dataset.id;
  if (focused && !keep.has(focused)) {
    const i = order.findIndex(r => r.id === focused);
    if (i >= 0) place(order[i], i, keep);
  }
  for (const [id, s] of shown) if (!keep.has(id)) { s.element.remove(); shown.delete(id); }
  // In the document the rows stand in the order in which they are read.
  let next = list.firstElementChild;
  for (const row of order.slice(first, last)) {
    const e = shown.get(row.id).element;
    if (e !== next) list.insertBefore(e, next); else next = next.nextElementSibling;
  }
}

function place(row, i, keep) {
  keep.add(row.id);
  let s = shown.get(row.id);
  if (!s || s.row !== row) {
    const element = s ? s.element : el('li');
    fill(element, row, Boolean(s));
    s = { element, row };
    shown.set(row.id, s);
    if (!element.isConnected) list.append(element);
  }
  s.element.style.transform = `translateY(${i * height}px)`;
  s.element.setAttribute('aria-posinset', i + 1);
  s.element.setAttribute('aria-setsize', order.length);
}

function fill(element, row, again) {
  const link = element.querySelector('a') || el('a');
  element.dataset.id = row.id;
  element.dataset.state = row.state;
  link.href = row.state === 'mail' ? '/mail/' + encodeURIComponent(row.mail[0].id) : '/event/' + encodeURIComponent(row.id);
  const what = el('span', 'what');
  what.append(el('span', 'name', row.name || '(no subject)'), el('span', 'data', row.note || row.data || ''));
  if (row.note && row.state !== 'waiting') what.lastChild.classList.add('is-note');
  const when = el('span', 'when');
  when.append(el('time', '', clock.format(row.at)), el('span', '', row.state === 'mail' ? '' : row.took ? took(row.took) : ''));
  const sign = el('span', 'sign', signs[row.state].icon);
  sign.title = signs[row.state].label;
  // The link is named by its text: all of it in a sentence, instead of the columns that are seen.
  const seen = [sign, what, strip(row), when];
  for (const part of seen) part.setAttribute('aria-hidden', 'true');
  link.replaceChildren(el('span', 'hidden', spoken(row)), ...seen);
  if (!again) element.append(link);
}

// strip draws what came of an event: its runs with their steps, then its emails.
function strip(row) {
  const strip = el('span', 'strip');
  const runs = row.runs || [];
  for (const run of runs.slice(0, 2)) {
    const chip = el('span', 'chip chip-' + run.state);
    chip.append(el('span', 'chip-name', run.fn));
    const steps = el('span', 'steps');
    for (const step of (run.steps || []).slice(0, 12)) {
      const dot = el('i', 'dot-' + step.state);
      dot.title = step.id + ': ' + step.state + (step.tries ? ', attempt ' + step.tries : '');
      steps.append(dot);
    }
    chip.append(steps);
    strip.append(chip);
  }
  if (runs.length > 2) strip.append(el('span', 'more', '+' + (runs.length - 2)));
  const mail = row.mail || [];
  for (const m of mail.slice(0, 2)) {
    const chip = el('span', 'chip chip-mail');
    chip.append(el('span', 'envelope', '✉'), el('span', 'chip-name', m.to || 'no recipient'));
    if (row.state !== 'mail') chip.append(el('span', 'chip-about', m.subject));
    chip.title = m.subject;
    chip.dataset.mail = m.id;
    strip.append(chip);
  }
  if (mail.length > 2) strip.append(el('span', 'more', '+' + (mail.length - 2)));
  if (!runs.length && !mail.length && !row.note) strip.append(el('span', 'more', signs[row.state].label));
  return strip;
}

function spoken(row) {
  const parts = [row.name || '(no subject)', signs[row.state].label];
  for (const run of row.runs || []) parts.push(`run of ${run.fn}, ${run.state}, ${count((run.steps || []).length, 'step')}`);
  for (const m of row.mail || []) parts.push(`email to ${m.to}: ${m.subject}`);
  if (row.note) parts.push(row.note);
  parts.push(clock.format(row.at));
  return parts.join('; ');
}

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; draw(); });
}

function change(c) {
  if (c.reset) rows.clear();
  for (const row of c.rows || []) {
    row.text = [row.name, row.id, row.key, row.data, row.note, ...(row.runs || []).map(r => r.fn + ' ' + r.id), ...(row.mail || []).map(m => m.to + ' ' + m.subject)].join(' ').toLowerCase();
    rows.set(row.id, row);
  }
  for (const id of c.gone || []) rows.delete(id);
  if (c.stack) drawStack(c.stack);
  dirty = true;
  schedule();
}

const titles = { mongo: 'MongoDB', mailhog: 'MailHog', inngest: 'Inngest', app: 'App' };

function drawStack(s) {
  stack = s;
  document.getElementById('inbox').textContent = s.inbox;
  const ul = document.getElementById('services');
  for (const service of s.services) {
    if (service.title) titles[service.name] = service.title;
    let li = ul.querySelector(`[data-service="${service.name}"]`);
    if (!li) {
      li = el('li');
      li.dataset.service = service.name;
      const button = el('button', 'service');
      button.type = 'button';
      button.append(el('i'), el('b'), el('span', 'detail'), el('span', 'hidden'));
      button.firstChild.setAttribute('aria-hidden', 'true');
      button.addEventListener('click', () => openLog(service.name));
      li.append(button);
      ul.append(li);
    }
    li.dataset.state = service.state;
    const button = li.firstChild;
    button.children[1].textContent = titles[service.name] || service.name;
    button.children[2].textContent = service.problem || service.detail;
    button.children[3].textContent = `, ${service.state}: show its log`;
  }
  const app = document.getElementById('app');
  app.dataset.state = s.app.state;
  const n = (s.app.functions || []).length;
  app.firstElementChild.textContent = s.app.state === 'synced' ? `${s.app.detail} is synced, ${count(n, 'function')}` : s.app.state === 'none' ? s.app.detail : 'not synced: ' + s.app.detail;
  app.title = (s.app.functions || []).join('\n');
  if (logOf) describeLog();
}

// The log of a service, read again while it is open.
const dialog = document.getElementById('log');
let logOf = '', logTimer;

function describeLog() {
  const s = stack.services.find(s => s.name === logOf);
  document.getElementById('log-title').textContent = titles[logOf] + ': ' + s.state;
  const p = document.getElementById('log-detail');
  p.replaceChildren(s.detail + (s.problem ? ': ' + s.problem : ''));
  if (s.url) {
    const a = el('a', '', s.url);
    a.href = s.url; a.target = '_blank'; a.rel = 'noopener noreferrer';
    p.append(' ', a);
  }
}

async function readLog() {
  const pre = document.getElementById('log-text');
  try {
    const text = await (await fetch('/log/' + logOf)).text();
    if (text === pre.textContent) return;
    const atEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 30;
    pre.textContent = text.trim() ? text : 'It has logged nothing that is kept here.';
    if (atEnd) pre.scrollTop = pre.scrollHeight;
  } catch { /* the stream's state says that the connection is lost */ }
}

async function openLog(name) {
  logOf = name;
  document.getElementById('log-text').textContent = '';
  describeLog();
  dialog.showModal();
  await readLog();
  const pre = document.getElementById('log-text');
  pre.scrollTop = pre.scrollHeight;
  logTimer = setInterval(readLog, 1000);
}
dialog.addEventListener('close', () => { clearInterval(logTimer); logOf = ''; });
dialog.addEventListener('click', e => { if (e.target === dialog) dialog.close(); });

// The keyboard: the arrows go through the rows, also those that are not in the document yet.
function go(i) {
  i = Math.max(0, Math.min(order.length - 1, i));
  if (!order[i]) return;
  current = order[i].id;
  const y = view.offsetTop + i * height;
  const head = document.querySelector('.tools').getBoundingClientRect().bottom;
  if (y - scrollY < head) scrollTo(0, y - head - 8);
  else if (y + height - scrollY > innerHeight - 12) scrollTo(0, y + height - innerHeight + 12);
  draw();
  shown.get(current)?.element.querySelector('a').focus({ preventScroll: true });
}

document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || dialog.open || document.querySelector('details.menu[open]')) return;
  const typing = e.target.matches('input[type=search], textarea');
  if (e.key === '/' && !typing) { e.preventDefault(); filter.focus(); filter.select(); return; }
  if (e.key === 'Escape' && typing) { filter.value = ''; dirty = true; schedule(); filter.blur(); return; }
  if (e.target.matches('input[type=radio]')) return;
  const at = order.findIndex(r => r.id === current);
  const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, Home: -Infinity, End: Infinity, PageDown: 10, PageUp: -10 }[e.key];
  if (step === undefined || typing && !e.key.startsWith('Arrow')) return;
  const inList = Boolean(document.activeElement?.closest('#rows'));
  if (!inList && !['ArrowDown', 'j'].includes(e.key)) return;
  e.preventDefault();
  go(inList && at >= 0 ? at + step : 0);
});
list.addEventListener('focusin', e => { current = e.target.closest('li')?.dataset.id || current; });

filter.addEventListener('input', () => { dirty = true; scrollTo(0, Math.min(scrollY, view.offsetTop)); schedule(); });
document.getElementById('states').addEventListener('change', () => { dirty = true; schedule(); });
document.getElementById('reset').addEventListener('click', () => {
  filter.value = '';
  document.querySelector('[name=state][value=""]').checked = true;
  dirty = true;
  schedule();
});
addEventListener('scroll', schedule, { passive: true });
addEventListener('resize', () => { height = 0; schedule(); });

live('/live', change);
