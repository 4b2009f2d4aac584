const { inngest } = require("../client");
const { sendMail } = require("../mail");

/** welcome greets a new user, and reminds the user who has not confirmed the address within two days. */
exports.welcome = inngest.createFunction(
  { id: "welcome", triggers: [{ event: "user/created" }] },
  async ({ event, runId, step }) => {
    const { email, name } = event.data;
    await step.run("greet", async () => {
      await sendMail(runId, { id: `greet-${runId}`, to: email, subject: "Welcome", text: `Hello ${name}, please confirm your address.` });
    });
    const confirmed = await step.waitForEvent("confirmation", { event: "user/confirmed", match: "data.email", timeout: "2d" });
    if (confirmed) return { confirmed: true };
    await step.run("remind", async () => {
      await sendMail(runId, { id: `remind-${runId}`, to: email, subject: "Still there?", text: `Hello ${name}, your address is not confirmed yet.` });
    });
    return { confirmed: false };
  },
);
