// A ledger of emails, which is told of each by an event that is posted without the SDK, and so without its retries.
import { inngest, store } from "./serve.mjs";

export async function tellLedger(order, to) {
  const response = await fetch(`${process.env.INNGEST_BASE_URL}/e/${process.env.INNGEST_EVENT_KEY}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ id: `sent-${order}`, name: "mail/sent", data: { order, to } }),
  });
  if (!response.ok) throw new Error(`the ledger answered ${response.status}`);
  return (await response.json()).ids;
}

export const ledger = inngest.createFunction(
  { id: "ledger", retries: 4, triggers: [{ event: "mail/sent" }] },
  async ({ event, step }) => {
    await step.run("enter", () => store.put(`ledger:${event.data.order}`, event.data.to));
  },
);
