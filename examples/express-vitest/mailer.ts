// The email to a technician, as HTML and as text.
import nodemailer from "nodemailer";
import { appUrl, mail } from "./config.ts";

const transport = nodemailer.createTransport({ host: mail.host, port: mail.port, auth: mail.auth });

interface Details {
  id: string;
  subject: string;
  type: string;
  description?: string;
  equipment: string | null;
}

/**
 * sendNotification resolves when the mail server has accepted the email. The Message-ID is the request's: copies, should
 * there ever be some, are recognised by it. The header X-Inngest-Run-Id says which run has sent the email.
 */
export async function sendNotification(technician: { name: string; email: string }, request: Details, runId: string) {
  const url = `${appUrl}/requests/${request.id}`;
  const rows: [string, string][] = [["Type", request.type]];
  if (request.equipment) rows.push(["Equipment", request.equipment]);

  await transport.sendMail({
    from: mail.from,
    to: { name: technician.name, address: technician.email },
    subject: `${request.type === "corrective" ? "Corrective" : "Preventive"} maintenance: ${request.subject}`,
    messageId: `<${request.id}@maintenance.plant.test>`,
    headers: { "X-Inngest-Run-Id": runId },
    text: text(technician.name, request, rows, url),
    html: html(technician.name, request, rows, url),
  });
}

const assigned = "This maintenance request is assigned to you.";

function text(name: string, request: Details, rows: [string, string][], url: string) {
  return [
    request.subject,
    `Hello ${name},\n${assigned}`,
    rows.map(([label, value]) => `${label}: ${value}`).join("\n"),
    request.description,
    `Open the request: ${url}`,
  ].filter(Boolean).join("\n\n") + "\n";
}

function html(name: string, request: Details, rows: [string, string][], url: string) {
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${escape(request.subject)}</title></head>
<body style="margin:0;padding:24px;background:#eef1f4;font-family:sans-serif;color:#16202b">
<div style="max-width:600px;margin:auto;padding:24px 32px;background:#fff;border:1px solid #d9dfe5;border-radius:12px">
<h1 style="margin:0 0 12px;font-size:22px">${escape(request.subject)}</h1>
<p>Hello ${escape(name)},<br>${assigned}</p>
<table role="presentation">${rows.map(([label, value]) => `
<tr><td style="padding:4px 16px 4px 0;color:#4a5866">${label}</td><td>${escape(value)}</td></tr>`).join("")}
</table>
${request.description ? `<p style="padding:12px 16px;background:#f5f7f9;white-space:pre-wrap">${escape(request.description)}</p>\n` : ""}\
<p><a href="${escape(url)}" style="display:inline-block;padding:12px 24px;border-radius:8px;background:#1f5fbf;color:#fff">Open the request</a></p>
</div>
</body>
</html>`;
}

function escape(text: string) {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
