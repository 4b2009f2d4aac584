import { inngest, once, send, serve } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "send-receipt", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    await step.run("send", () => once(`receipt-${order}`, () => send(runId, { to, subject: `Receipt of order ${order}`, id: `receipt-${order}` })));
  },
));
