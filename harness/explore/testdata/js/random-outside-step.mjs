// The defect: the code of a voucher is made outside a step, so a retry emails another code than the one that was stored.
import { randomUUID } from "node:crypto";
import { inngest, once, send, serve, store } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "give-voucher", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    const code = randomUUID();
    await step.run("issue", () => store.put(`issued:${order}`, code));
    await step.run("send", () => once(`voucher-${order}`, async () => {
      await send(runId, { to, subject: `Your voucher ${code}`, id: `voucher-${order}` });
      store.put(`sent:${order}`, code);
    }));
  },
));
