import { inngest, once, send, serve } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "welcome", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    await step.run("thank", () => once(`thank-${order}`, () => send(runId, { to, subject: `Thank you for order ${order}`, id: `thanks-${order}` })));
  },
));
