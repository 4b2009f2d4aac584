import { inngest, office, once, send, serve, store } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "confirm-order", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    await step.run("save", () => store.put(`order:${order}`, to));
    await step.run("confirm", () => once(`confirm-${order}`, () => send(runId, { to, subject: `Order ${order} is confirmed`, id: `confirmed-${order}` })));
    await step.run("notify-office", () => once(`notify-${order}`, () => send(runId, { to: office, subject: `New order ${order}`, id: `new-${order}` })));
  },
));
