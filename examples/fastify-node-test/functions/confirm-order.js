const { inngest } = require("../client");
const { sendMail } = require("../mail");

/** confirmOrder asks the bank for a rate and emails what the order costs, with its lines as a file. */
exports.confirmOrder = inngest.createFunction(
  {
    id: "confirm-order",
    triggers: [{ event: "shop/order.placed" }],
    concurrency: { limit: 1, key: "event.data.email" },
  },
  async ({ event, runId, step }) => {
    const { order, email, lines } = event.data;
    const answer = await step.fetch("https://bank.test/rates/eur");
    if (!answer.ok) throw new Error(`the bank answered ${answer.status}`);
    const { rate } = await answer.json();

    const total = lines.reduce((sum, { price }) => sum + price, 0) * rate;
    await step.run("send-email", async () => {
      await sendMail(runId, {
        id: `order-${order}`,
        to: email,
        subject: `Order ${order}`,
        text: `Your order costs ${total.toFixed(2)} €.`,
        attachments: [{
          filename: "order.csv",
          contentType: "text/csv",
          content: ["item,price", ...lines.map(({ item, price }) => `${item},${price}`)].join("\n") + "\n",
        }],
      });
    });
    return { total };
  },
);
