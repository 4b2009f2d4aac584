import nodemailer from "nodemailer";

const transport = nodemailer.createTransport({
  host: process.env.MAIL_HOST ?? "127.0.0.1",
  port: Number(process.env.MAIL_PORT ?? 1025),
});

interface Mail { to: string; subject: string; text: string; id: string }

/** sendMail sends an email of a run. Copies, as of a step that is retried, have one Message-ID. */
export async function sendMail(runId: string, { to, subject, text, id }: Mail) {
  await transport.sendMail({
    from: "Shop <shop@shop.test>", to, subject, text,
    messageId: `<${id}@shop.test>`, headers: { "X-Inngest-Run-Id": runId },
  });
}
