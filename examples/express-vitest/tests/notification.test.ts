import { expect } from "vitest";
import { onServer, test, unknown } from "./harness.ts";

const run = { function: "send-request-notification", status: "COMPLETED" } as const;

test("a created request is emailed to its technician", async ({ plant }) => {
  await expect(await plant.create()).toLeadTo({
    runs: [{ ...run, steps: [{ id: "fetch-request-details" }, { id: "get-technician-email" }, { id: "send-email", attempts: 1 }] }],
    mail: [{
      to: plant.email,
      subject: "Corrective maintenance: Belt slips under full load",
      text: ["Hello Kim Larsen", "Conveyor belt 3, Hall A"],
      golden: "corrective",
      checks: ["all"],
    }],
    noOtherRuns: true,
    noOtherMail: true,
  });
});

test("an unknown technician fails the run at once, and nothing is sent", async ({ plant }) => {
  await expect(await plant.create({ technicianId: unknown() })).toLeadTo({
    runs: [{
      ...run, status: "FAILED", error: "there is no technician",
      steps: [{ id: "get-technician-email", status: "FAILED", attempts: 1 }],
    }],
    noOtherMail: true,
  });
});

test("a mail server that refuses twice gets the email in the end, once", async ({ harness, plant }) => {
  await harness.fault({ at: "rcpt", do: "reply", code: 451, text: "busy", to: plant.email, times: 2 });
  await expect(await plant.create()).toLeadTo({
    runs: [{ ...run, steps: [{ id: "send-email", attempts: 3 }] }],
    mail: [{ to: plant.email, copies: 1 }],
    noOtherMail: true,
  });
});

test("a step that is repeated sends no second email", async ({ harness, plant }) => {
  await harness.fault({ at: "step", do: "drop-answer", step: "send-email" });
  await expect(await plant.create()).toLeadTo({
    runs: [{ ...run, output: { sent: false }, steps: [{ id: "send-email", attempts: 2 }] }],
    mail: [{ to: plant.email, copies: 1 }],
    noOtherMail: true,
  });
});

test("the same event again starts nothing", async ({ harness, plant }) => {
  const draft = await plant.draft();
  const { id, eventId } = await plant.post(draft);
  await expect(eventId).toLeadTo({ runs: [run], mail: [{ to: plant.email, copies: 1 }], noOtherMail: true });

  const again = await harness.send({ id, name: "maintenance/request.created", data: { requestId: id, ...draft } });
  await expect(again).toLeadTo({ noOtherRuns: true });
});

test("a request with errors is refused, and all errors are named", async ({ plant }) => {
  expect(await plant.post({ subject: " ", type: "urgent" })).toEqual({
    status: 422,
    errors: {
      subject: "is required",
      type: "must be corrective or preventive",
      equipmentId: "must be an id of 24 hexadecimal digits",
      technicianId: "must be an id of 24 hexadecimal digits",
      requestedById: "must be an id of 24 hexadecimal digits",
    },
  });
});

// A step can be given another result. Only the simulation can do that.
test.skipIf(onServer)("a name with HTML in it is shown as it is", async ({ harness, plant }) => {
  const technician = { name: "<b>Kim</b> & Co", email: plant.email };
  await harness.replace(run.function, "get-technician-email", { value: technician });
  await expect(await plant.create()).toLeadTo({
    runs: [run],
    mail: [{ to: plant.email, text: ["Hello <b>Kim</b> & Co"], html: ["Hello &#60;b&#62;Kim&#60;/b&#62; &#38; Co"], checks: ["all"] }],
  });
});
