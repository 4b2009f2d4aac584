import { inngest, orderPlaced, orderReturned } from "@/inngest/client";
import { sendMail } from "@/lib/mail";

/** askForReview confirms an order, and asks for a review a week later, unless the order was returned. */
export const askForReview = inngest.createFunction(
  {
    id: "ask-for-review",
    triggers: [orderPlaced],
    cancelOn: [{ event: orderReturned.name, if: "event.data.order == async.data.order" }],
  },
  async ({ event, runId, step }) => {
    const { order, email, item } = event.data;
    await step.run("confirm", () =>
      sendMail(runId, { to: email, subject: "Your order", text: `You have ordered: ${item}.`, id: `${order}-confirm` }));
    await step.sleep("a-week", "7d");
    await step.run("ask", () =>
      sendMail(runId, { to: email, subject: "How do you like it?", text: `Please review: ${item}.`, id: `${order}-ask` }));
  },
);
