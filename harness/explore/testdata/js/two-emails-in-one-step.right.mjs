import { inngest, lee, once, send, serve } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "announce", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    for (const recipient of [to, lee]) {
      await step.run(`announce-to-${recipient}`, () => once(`announce-${order}-${recipient}`, () =>
        send(runId, { to: recipient, subject: `Order ${order} is on its way`, id: `way-${order}-${recipient.slice(0, 3)}` })));
    }
  },
));
