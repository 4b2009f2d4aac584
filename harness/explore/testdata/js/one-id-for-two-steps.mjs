// The defect: the steps of a loop have one id, and a retry leaves out who has been told already, so the next one's step has the
// place of the first, and is taken for done.
import { inngest, lee, once, send, serve, store } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "tell-all", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    for (const recipient of [to, lee].filter((r) => !store.get(`done:told-${order}-${r}`))) {
      await step.run("tell", () => once(`told-${order}-${recipient}`, () =>
        send(runId, { to: recipient, subject: `Order ${order} is packed`, id: `packed-${order}-${recipient.slice(0, 3)}` })));
    }
  },
));
