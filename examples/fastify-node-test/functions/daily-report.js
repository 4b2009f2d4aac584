const { inngest } = require("../client");
const { sendMail } = require("../mail");

/** dailyReport writes to the shop's owner every morning. */
exports.dailyReport = inngest.createFunction(
  { id: "daily-report", triggers: [{ cron: "TZ=Europe/Zurich 0 8 * * *" }] },
  async ({ event, runId, step }) => {
    const to = event.data.to ?? "owner@shop.test";
    await step.run("send-report", async () => {
      await sendMail(runId, { id: `report-${runId}`, to, subject: "The day at the shop", text: "All is well." });
    });
  },
);
