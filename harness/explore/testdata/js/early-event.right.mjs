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
      const noted = () => Boolean(store.get(`paid:${order}`));
      const paid = await step.run("paid-already", noted)
        || await step.waitForEvent("payment", { event: "payment/received", match: "data.order", timeout: "1h" })
        || await step.run("paid-meanwhile", noted); // it may have arrived between the look and the wait
      const what = paid ? "shipped" : "cancelled";
      await step.run("tell", () => once(`${what}-${order}`, () => send(runId, { to, subject: `Order ${order} is ${what}`, id: `${what}-${order}` })));
    },
  ),
);
