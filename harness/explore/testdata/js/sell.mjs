// A function that reserves stock and then sells it, and one that releases what a run has reserved that ended otherwise.
import { NonRetriableError } from "inngest";
import { inngest, store } from "./serve.mjs";

// move changes the state of an order, unless another attempt has. An order that was closed stays so: a step that was under way
// when its run was cancelled goes on.
function move(order, from, to) {
  const state = store.get(`stock:${order}`) ?? "";
  if (state === from) store.put(`stock:${order}`, to);
  else if (state !== to && state !== "sold") throw new NonRetriableError(`order ${order} is ${state}`);
}

export const sell = inngest.createFunction(
  { id: "sell", retries: 4, checkpointing: false, triggers: [{ event: "order/placed" }], cancelOn: [{ event: "order/cancelled", match: "data.order" }] },
  async ({ event, step }) => {
    await step.run("reserve", () => move(event.data.order, "", "reserved"));
    await step.run("sell", () => move(event.data.order, "reserved", "sold"));
  },
);

export const cleanUpAfter = (...ends) => inngest.createFunction(
  { id: "clean-up", retries: 4, triggers: ends.map((event) => ({ event, if: "event.data.function_id == 'planted-sell'" })) },
  async ({ event, step }) => {
    const { order } = event.data.event.data;
    await step.run("release", () => {
      if (store.get(`stock:${order}`) !== "sold") store.put(`stock:${order}`, "closed");
    });
  },
);
