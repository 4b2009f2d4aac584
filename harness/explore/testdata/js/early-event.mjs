// The defect: the function waits for a payment that may have arrived before the wait.
import { inngest, once, send, serve, store } from "./serve.mjs";

serve(
  inngest.createFunction(
    { id: "note-payment", retries: 4, triggers: [{ event: "payment/received" }] },
    async ({ event, step }) => {
      await step.run("note", () => store.put(`paid:${event.data.order}`, true));
    },
  ),
  inngest.createFunction(
    { id: "ship", retries: 4, triggers: [{ event: "order/placed" }] },
    async ({ event, runId, step }) => {
      const { order, to } = event.data;
      const paid = await step.waitForEvent("payment", { event: "payment/received", match: "data.order", timeout: "1h" });
      const what = paid ? "shipped" : "cancelled";
      await step.run("tell", () => once(`${what}-${order}`, () => send(runId, { to, subject: `Order ${order} is ${what}`, id: `${what}-${order}` })));
    },
  ),
);
