// Decodes the emails whose files are named on standard input, one a line, and prints each as a line of JSON.
//
//	node parse.cjs FOLDER mailparser|postal-mime	FOLDER has node_modules
const { createHash } = require('node:crypto');
const { createRequire } = require('node:module');
const fs = require('node:fs');
const path = require('node:path');

const load = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const sha256 = data => createHash('sha256').update(data).digest('hex');
const seconds = date => { const t = Math.floor(new Date(date).getTime() / 1000); return Number.isFinite(t) ? t : 0; };
const flat = list => (list || []).flatMap(a => (a.group ? flat(a.group) : [[a.name || '', a.address || '']]));

const parsers = {
  async mailparser(raw) {
    const m = await load('mailparser').simpleParser(raw, {
      skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true, skipTextLinks: true, keepCidLinks: true,
    });
    const list = value => [value].flat().filter(Boolean).flatMap(v => flat(v.value));
    return {
      subject: m.subject || '', messageID: m.messageId || '', date: m.headers.get('date') ? seconds(m.date) : 0,
      from: list(m.from), to: list(m.to), cc: list(m.cc), replyTo: list(m.replyTo),
      text: m.text || '', html: m.html || '',
      files: m.attachments.map(a => ({ name: a.filename || '', type: a.contentType || '', id: a.contentId || '', sha256: sha256(a.content) })),
    };
  },
  async 'postal-mime'(raw) {
    const m = await load('postal-mime').parse(raw, { forceRfc822Attachments: true });
    return {
      subject: m.subject || '', messageID: m.messageId || '', date: m.date ? seconds(m.date) : 0,
      from: flat(m.from && [m.from]), to: flat(m.to), cc: flat(m.cc), replyTo: flat(m.replyTo),
      text: m.text || '', html: m.html || '',
      files: m.attachments.map(a => ({ name: a.filename || '', type: a.mimeType || '', id: a.contentId || '', sha256: sha256(Buffer.from(a.content)) })),
    };
  },
};

(async () => {
  for (const file of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    let result;
    try {
      result = await parsers[process.argv[3]](fs.readFileSync(file));
    } catch (e) {
      result = { error: String(e) };
    }
    console.log(JSON.stringify(result));
  }
})();
