import { inngest, once, send, serve, store } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "book-seat", retries: 4, triggers: [{ event: "seat/wanted" }] },
  async ({ event, runId, step }) => {
    const { seat, to } = event.data;
    const mine = await step.run("take", () => {
      if (!store.get(`seat:${seat}`)) store.put(`seat:${seat}`, [to]);
      return store.get(`seat:${seat}`).includes(to);
    });
    const id = `seat-${seat}-${to.slice(0, 3)}`;
    await step.run("tell", () => once(id, () => send(runId, { to, subject: `Seat ${seat} is ${mine ? "yours" : "taken"}`, id })));
  },
));
