// A function of its own in place of onFailure, which the SDK retries only once.
import { NonRetriableError } from "inngest";
import { inngest, office, once, send, serve } from "./serve.mjs";

serve(
  inngest.createFunction(
    { id: "charge-card", retries: 4, triggers: [{ event: "order/placed" }] },
    async ({ step }) => {
      await step.run("charge", () => {
        throw new NonRetriableError("the card was declined");
      });
    },
  ),
  inngest.createFunction(
    { id: "charge-card-failure", retries: 4, triggers: [{ event: "inngest/function.failed", if: "event.data.function_id == 'planted-charge-card'" }] },
    async ({ event, runId, step }) => {
      const { order, to } = event.data.event.data;
      await step.run("tell-customer", () => once(`declined-${order}`, () => send(runId, { to, subject: "Your card was declined", id: `declined-${order}` })));
      await step.run("tell-office", () => once(`unpaid-${order}`, () => send(runId, { to: office, subject: `Order ${order} is not paid`, id: `unpaid-${order}` })));
    },
  ),
);
