import { inngest, once, send, serve } from "./serve.mjs";
import { ledger, tellLedger } from "./ledger.mjs";

serve(
  inngest.createFunction(
    { id: "remind", retries: 4, triggers: [{ event: "order/placed" }] },
    async ({ event, runId, step }) => {
      const { order, to } = event.data;
      await step.run("remind", () => once(`remind-${order}`, () => send(runId, { to, subject: `Order ${order} is not paid`, id: `unpaid-${order}` })));
      await step.run("record", () => tellLedger(order, to));
    },
  ),
  ledger,
);
