// The defect: onFailure sends two emails outside steps, so a retry sends the first one again. The card is always declined, so the
// first run fails without any fault.
import { NonRetriableError } from "inngest";
import { inngest, office, send, serve } from "./serve.mjs";

serve(inngest.createFunction(
  {
    id: "charge-card", retries: 4, triggers: [{ event: "order/placed" }],
    onFailure: async ({ event, runId }) => {
      const { order, to } = event.data.event.data;
      await send(runId, { to, subject: "Your card was declined", id: `declined-${order}` });
      await send(runId, { to: office, subject: `Order ${order} is not paid`, id: `unpaid-${order}` });
    },
  },
  async ({ step }) => {
    await step.run("charge", () => {
      throw new NonRetriableError("the card was declined");
    });
  },
));
