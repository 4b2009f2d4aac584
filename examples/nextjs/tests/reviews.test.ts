import { expect } from "vitest";
import { type Harness, harnessTest } from "inngest-harness/vitest";

const test = harnessTest({});

/** place places an order, as the shop's page does. */
async function place(harness: Harness) {
  const email = harness.address("kim");
  const response = await fetch(`${harness.stack.urls.app}/api/orders`, {
    method: "POST", body: JSON.stringify({ email, item: "a hat" }),
  });
  const { order, eventId } = (await response.json()) as { order: string; eventId: string };
  return { order, eventId, email };
}

test("a review is asked for after a week", async ({ harness }) => {
  const { eventId, email } = await place(harness);
  await expect(eventId).toLeadTo({ mail: [{ to: email, subject: "Your order", text: ["a hat"] }] });

  await harness.skip(eventId, "7d");
  await expect(eventId).toLeadTo({
    runs: [{ function: "ask-for-review", status: "COMPLETED" }],
    mail: [{ to: email, subject: "Your order" }, { to: email, subject: "How do you like it?" }],
    noOtherMail: true,
  });
});

test("no review is asked for of what was returned", async ({ harness }) => {
  const { order, eventId, email } = await place(harness);
  await expect(eventId).toLeadTo({ mail: [{ to: email, subject: "Your order" }] });

  await harness.send({ name: "shop/order.returned", data: { order } });
  await expect(eventId).toLeadTo({
    runs: [{ function: "ask-for-review", status: "CANCELLED" }],
    mail: [{ to: email, subject: "Your order", copies: 1 }],
    noOtherMail: true,
  });
});
