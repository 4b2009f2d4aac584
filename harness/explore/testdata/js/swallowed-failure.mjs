// The defect: the function catches the failure of a step and returns as if it had succeeded.
import { inngest, once, send, serve } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "welcome", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, logger, runId, step }) => {
    const { order, to } = event.data;
    try {
      await step.run("thank", () => once(`thank-${order}`, () => send(runId, { to, subject: `Thank you for order ${order}`, id: `thanks-${order}` })));
    } catch (error) {
      logger.error("no thanks", error);
    }
  },
));
