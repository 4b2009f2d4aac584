const assert = require("node:assert/strict");
const { test } = require("../harness");

const order = (harness) => ({
  name: "shop/order.placed",
  data: { order: harness.id("order"), email: harness.address("kim"), lines: [{ item: "hat", price: 20 }, { item: "scarf", price: 15 }] },
});

test("an order is confirmed with its price in euros, and its lines as a file", async ({ harness }) => {
  await harness.stub({ url: "https://bank.test/*", body: { rate: 1.1 } });
  const event = order(harness);
  const { trace } = await harness.expect(event, {
    runs: [{ function: "confirm-order", status: "COMPLETED" }],
    mail: [{
      to: event.data.email,
      subject: { matches: "^Order order-" },
      text: ["38.50 €"],
      attachments: [{ name: "order.csv", type: "text/csv", text: ["hat,20", "scarf,15"] }],
      noOtherFiles: true,
    }],
    noOtherMail: true,
  });
  assert.equal(trace.mail[0].attachments[0].data.toString(), "item,price\nhat,20\nscarf,15\n");
});

test("a bank that cannot be reached is asked again until it answers", async ({ harness }) => {
  await harness.stub(
    { url: "https://bank.test/*", error: "connection refused", times: 2 },
    { url: "https://bank.test/*", body: { rate: 2 } },
  );
  const event = order(harness);
  const sent = await harness.send(event);
  await harness.skip(sent, "1h"); // all that is retried within an hour
  await harness.expect(sent, {
    runs: [{ function: "confirm-order", status: "COMPLETED" }],
    mail: [{ to: event.data.email, text: ["70.00 €"], copies: 1 }],
    noOtherMail: true,
  });
});

test("the daily report is sent", async ({ harness }) => {
  const to = harness.address("owner");
  const invoked = await harness.stack.invoke("daily-report", { to });
  await harness.expect(invoked, {
    runs: [{ function: "daily-report", status: "COMPLETED" }],
    mail: [{ to, subject: "The day at the shop" }],
    noOtherMail: true,
  });
});

test("the daily report is due at 8 in Zurich", async ({ harness }) => {
  const due = async () => {
    const events = await harness.stack.events({ all: true, limit: 100 });
    return events.filter(({ name }) => name === "inngest/scheduled.timer").length;
  };
  const before = await due();
  let now;
  for (let hours = 0; hours < 24 && (await due()) === before; hours++) now = await harness.stack.skip("1h");
  assert.equal(await due(), before + 1);
  assert.equal(now.toLocaleTimeString("en-GB", { timeZone: "Europe/Zurich", hour: "2-digit" }), "08");
});
