// What every page shares: actions without a reload, and the state of the live stream.
'use strict';

const toast = (() => {
  let timer;
  return (text, bad) => {
    const p = document.getElementById('toast');
    p.textContent = text;
    p.classList.toggle('bad', Boolean(bad));
    p.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => { p.hidden = true; }, bad ? 9000 : 3500);
  };
})();

document.addEventListener('submit', async e => {
  const form = e.target;
  if (!form.matches('[data-action]')) return;
  e.preventDefault();
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) return;
  const button = e.submitter;
  if (button) button.disabled = true;
  form.closest('details')?.removeAttribute('open');
  try {
    const body = new URLSearchParams(new FormData(form));
    if (button?.name) body.set(button.name, button.value);
    const answer = await fetch(form.action, { method: 'POST', body, headers: { Accept: 'application/json' } });
    const said = await answer.json();
    toast(said.said, !answer.ok);
    if (answer.ok && said.event && form.dataset.action === 'open') location.assign('/event/' + said.event);
  } catch (err) {
    toast('The dashboard does not answer: is the stack still up?', true);
  } finally {
    if (button) button.disabled = false;
  }
});

// A menu closes when something else is touched or gets the focus, which it may cover, and on Escape.
for (const event of ['click', 'focusin']) document.addEventListener(event, e => {
  for (const menu of document.querySelectorAll('details.menu[open]')) if (!menu.contains(e.target)) menu.open = false;
});
document.addEventListener('keydown', e => {
  const menu = e.key === 'Escape' && document.querySelector('details.menu[open]');
  if (menu) { menu.open = false; menu.querySelector('summary').focus(); }
});

// live calls change with every message of the stream, which connects again by itself and then begins anew. A page in the
// background has none: a browser opens six connections to one server, and no more.
function live(url, change) {
  const link = document.getElementById('link');
  const say = (state, text) => {
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.lastElementChild.textContent = text;
  };
  let stream = null;
  const open = () => {
    if (stream) return;
    stream = new EventSource(url);
    stream.onopen = () => say('live', 'live');
    stream.onerror = () => say('lost', 'connection lost, trying again');
    stream.onmessage = e => change(JSON.parse(e.data));
  };
  const close = () => { stream?.close(); stream = null; };
  document.addEventListener('visibilitychange', () => document.hidden ? close() : open());
  addEventListener('pagehide', close);
  addEventListener('pageshow', open);
  open();
}
