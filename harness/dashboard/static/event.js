// The page of one event: its parts are replaced as they change, and only they, so that nothing jumps and an email that
// is being read stays as it is.
'use strict';

const main = document.getElementById('trace');

// swap brings the sections in one place to those of another, by their ids and marks.
function swap(now, next) {
  const sections = root => [...root.children].filter(c => c.id);
  const known = new Map(sections(now).map(s => [s.id, s]));
  let before = sections(now)[0] || null;
  for (const section of sections(next)) {
    const old = known.get(section.id);
    known.delete(section.id);
    let stays = old;
    if (!old || old.dataset.mark !== section.dataset.mark) {
      const open = old ? [...old.querySelectorAll('details[id][open]')].map(d => d.id) : [];
      stays = document.importNode(section, true);
      for (const d of stays.querySelectorAll('details[id]')) if (open.includes(d.id)) d.open = true;
      if (old) { if (before === old) before = stays; old.replaceWith(stays); }
    }
    if (stays === before) before = before.nextElementSibling;
    else now.insertBefore(stays, before);
  }
  for (const gone of known.values()) gone.remove();
}

let loading = false, again = false;
async function load() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    const answer = await fetch(location.pathname + '?part');
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString('<main>' + await answer.text() + '</main>', 'text/html').querySelector('main');
    swap(main, next);
    const columns = main.querySelectorAll('.column');
    next.querySelectorAll('.column').forEach((column, i) => swap(columns[i], column));
  } finally {
    loading = false;
    if (again) { again = false; load(); }
  }
}

if (main.dataset.event) {
  live('/live?event=' + encodeURIComponent(main.dataset.event), c => { if (c.rows) load(); });
}
document.addEventListener('keydown', e => {
  if (e.key === 'Escape' && !e.target.matches('input, textarea') && !document.querySelector('[open].menu')) location.assign('/');
});
