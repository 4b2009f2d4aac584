const { harnessTest } = require("inngest-harness/jest");

const test = harnessTest({
  command: ["node", "worker.js"],
  connect: true,
  env: { NODE_OPTIONS: "--experimental-websocket" }, // of Node 20: newer ones have WebSocket
  inngest: "sim",
});

const created = (harness) => ({ name: "user/created", data: { name: "Kim", email: harness.address("kim") } });

test("a user who does not confirm the address is reminded after two days", async ({ harness }) => {
  const event = created(harness);
  const sent = await harness.send(event);
  await expect(sent).toLeadTo({ mail: [{ to: event.data.email, subject: "Welcome", text: ["Hello Kim"] }] });

  await harness.skip(sent, "2d");
  await expect(sent).toLeadTo({
    runs: [{ function: "welcome", status: "COMPLETED", output: { confirmed: false } }],
    mail: [{ to: event.data.email, subject: "Welcome" }, { to: event.data.email, subject: "Still there?" }],
    noOtherMail: true,
  });
});

test("a user who confirms the address is not reminded", async ({ harness }) => {
  const event = created(harness);
  const sent = await harness.send(event);
  await expect(sent).toLeadTo({ runs: [{ function: "welcome", steps: [{ id: "confirmation", status: "RUNNING" }] }] });

  await harness.send({ name: "user/confirmed", data: { email: event.data.email } });
  await expect(sent).toLeadTo({
    runs: [{ function: "welcome", status: "COMPLETED", output: { confirmed: true } }],
    mail: [{ to: event.data.email, subject: "Welcome" }],
    noOtherMail: true,
  });
});
