import { inngest, once, send, serve, store } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "book-seat", retries: 4, triggers: [{ event: "seat/wanted" }] },
  async ({ event, runId, step }) => {
    const { seat, to } = event.data;
    const holders = () => store.get(`seat:${seat}`) ?? [];
    const free = await step.run("look", () => holders().length === 0 || holders().includes(to));
    const mine = free && await step.run("take", () => {
      if (holders().length === 0) store.put(`seat:${seat}`, [to]);
      return holders().includes(to);
    });
    const id = `seat-${seat}-${to.slice(0, 3)}`;
    await step.run("tell", () => once(id, () => send(runId, { to, subject: `Seat ${seat} is ${mine ? "yours" : "taken"}`, id })));
  },
));
