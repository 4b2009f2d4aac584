const nodemailer = require("nodemailer");

const transport = nodemailer.createTransport({
  host: process.env.MAIL_HOST ?? "127.0.0.1",
  port: Number(process.env.MAIL_PORT ?? 1025),
});

/** sendMail sends an email of a run. Its id becomes the Message-ID, by which copies are recognised. */
exports.sendMail = (runId, { id, ...mail }) => transport.sendMail({
  from: "Shop <shop@shop.test>",
  messageId: `<${id}@shop.test>`,
  headers: { "X-Inngest-Run-Id": runId },
  ...mail,
});
