// The defect: an email is sent and then recorded, and a record that fails makes the step send the email again.
import { inngest, send, serve, store } from "./serve.mjs";
import { ledger, tellLedger } from "./ledger.mjs";

serve(
  inngest.createFunction(
    { id: "remind", retries: 4, triggers: [{ event: "order/placed" }] },
    async ({ event, runId, step }) => {
      const { order, to } = event.data;
      await step.run("remind", async () => {
        const recorded = store.get(`reminded:${order}`);
        if (recorded) return recorded;
        await send(runId, { to, subject: `Order ${order} is not paid`, id: `unpaid-${order}` });
        const ids = await tellLedger(order, to);
        store.put(`reminded:${order}`, ids);
        return ids;
      });
    },
  ),
  ledger,
);
