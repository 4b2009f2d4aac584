// The defect: one step sends two emails, so a temporary refusal of the second sends the first again.
import { inngest, lee, once, send, serve } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "announce", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    await step.run("announce", () => once(`announce-${order}`, async () => {
      for (const recipient of [to, lee]) {
        await send(runId, { to: recipient, subject: `Order ${order} is on its way`, id: `way-${order}-${recipient.slice(0, 3)}` });
      }
    }));
  },
));
