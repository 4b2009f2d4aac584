// What the apps of this directory share: an Inngest client, a store, and a mail server.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { Inngest, NonRetriableError } from "inngest";
import { serve as handler } from "inngest/node";
import nodemailer from "nodemailer";

const silent = { info() {}, warn() {}, error() {}, debug() {} };

export const inngest = new Inngest({ id: "planted", logger: silent });

// serve serves functions at /api/inngest on PORT.
export function serve(...functions) {
  http.createServer(handler({ client: inngest, functions })).listen(Number(process.env.PORT), "127.0.0.1");
}

// The store is a file in HARNESS_SCRATCH, which outlives the process. Unset, it is in memory. All of it is synchronous, so an
// update is a transaction.
const file = process.env.HARNESS_SCRATCH && path.join(process.env.HARNESS_SCRATCH, "store.json");
const stored = file && fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {};

export const store = {
  get: (key) => stored[key],
  put(key, value) {
    stored[key] = value;
    if (!file) return;
    fs.writeFileSync(`${file}.new`, JSON.stringify(stored, null, 2));
    fs.renameSync(`${file}.new`, file); // whole or not at all, also when the process is killed
  },
};

// once does a piece of work, unless it has been done. It does not begin while another attempt is at work on it, which may be one
// that the server has given up; a process that was killed is at work on nothing.
const begun = new Map();
const courtesy = 300; // milliseconds, before an attempt that waits for another one fails and is retried

export async function once(key, work) {
  while (begun.has(key)) {
    const ended = begun.get(key).then(() => true, () => true);
    if (!await Promise.race([ended, setTimeout(courtesy, false)])) throw new Error(`another attempt is at work on ${key}`);
  }
  if (store.get(`done:${key}`)) return;
  const doing = doOnce(key, work);
  begun.set(key, doing);
  try {
    await doing;
  } finally {
    begun.delete(key);
  }
}

async function doOnce(key, work) {
  await work();
  try {
    store.put(`done:${key}`, true);
  } catch {
    // The work has been done, so a store that fails does not fail it.
  }
}

const patience = 30_000; // milliseconds, with a mail server that does not answer
const mailer = nodemailer.createTransport({
  host: process.env.MAIL_HOST, port: Number(process.env.MAIL_PORT), secure: false, ignoreTLS: true,
  connectionTimeout: patience, greetingTimeout: patience, socketTimeout: patience,
});

// send hands an email of a run to the mail server. id is the local part of its Message-ID. A permanent refusal is not to be
// tried again.
export async function send(runId, { to, subject, id }) {
  try {
    await mailer.sendMail({
      from: "shop@planted.test", to, subject, text: `${subject}.\n`,
      messageId: `<${id}@planted.test>`, headers: { "X-Inngest-Run-Id": runId },
    });
  } catch (error) {
    if (error.responseCode >= 500) throw new NonRetriableError(error.message, { cause: error });
    throw error;
  }
}

export const office = "office@planted.test";
export const lee = "lee@planted.test";
