// The defect: a step sends an event without an id, so a retry of the step starts a second run, which sends a second email.
import { inngest, once, send, serve } from "./serve.mjs";

serve(
  inngest.createFunction(
    { id: "bill-order", retries: 4, triggers: [{ event: "order/placed" }] },
    async ({ event, step }) => {
      const { order, to } = event.data;
      await step.run("bill", () => inngest.send({ name: "invoice/wanted", data: { order, to } }));
    },
  ),
  inngest.createFunction(
    { id: "send-invoice", retries: 4, triggers: [{ event: "invoice/wanted" }] },
    async ({ event, runId, step }) => {
      const { order, to } = event.data;
      await step.run("send", () => once(`invoice-${event.id}`, () => send(runId, { to, subject: `Invoice of order ${order}`, id: `invoice-${order}` })));
    },
  ),
);
