import { randomUUID } from "node:crypto";
import { inngest, once, send, serve, store } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "give-voucher", retries: 4, triggers: [{ event: "order/placed" }] },
  async ({ event, runId, step }) => {
    const { order, to } = event.data;
    const code = await step.run("issue", () => {
      if (!store.get(`issued:${order}`)) store.put(`issued:${order}`, randomUUID());
      return store.get(`issued:${order}`);
    });
    await step.run("send", () => once(`voucher-${order}`, async () => {
      await send(runId, { to, subject: `Your voucher ${code}`, id: `voucher-${order}` });
      store.put(`sent:${order}`, code);
    }));
  },
));
