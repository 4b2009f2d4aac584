// The defect: one step looks whether a seat is free and the next one takes it, so two runs take the same seat.
import { inngest, once, send, serve, store } from "./serve.mjs";

serve(inngest.createFunction(
  { id: "book-seat", retries: 4, triggers: [{ event: "seat/wanted" }] },
  async ({ event, runId, step }) => {
    const { seat, to } = event.data;
    const holders = () => store.get(`seat:${seat}`) ?? [];
    const mine = await step.run("look", () => holders().length === 0 || holders().includes(to));
    if (mine) await step.run("take", () => store.put(`seat:${seat}`, [...new Set([...holders(), to])]));
    const id = `seat-${seat}-${to.slice(0, 3)}`;
    await step.run("tell", () => once(id, () => send(runId, { to, subject: `Seat ${seat} is ${mine ? "yours" : "taken"}`, id })));
  },
));
