import { NonRetriableError } from "inngest";
import { equipment, id, requests, users } from "../../db.ts";
import { sendNotification } from "../../mailer.ts";
import { inngest, requestCreated } from "../client.ts";

export const sendRequestNotification = inngest.createFunction(
  { id: "send-request-notification", retries: 4, triggers: [requestCreated] },
  async ({ event, runId, step }) => {
    const { requestId, technicianId } = event.data;

    const details = await step.run("fetch-request-details", async () => {
      const request = await requests.findOne({ _id: id(requestId) });
      if (!request) throw new NonRetriableError(`there is no request ${requestId}`);
      const machine = await equipment.findOne({ _id: request.equipmentId });
      return {
        id: requestId,
        subject: request.subject,
        type: request.type,
        description: request.description,
        equipment: machine && `${machine.name}, ${machine.location}`,
      };
    });

    const technician = await step.run("get-technician-email", async () => {
      const user = await users.findOne({ _id: id(technicianId) });
      if (!user) throw new NonRetriableError(`there is no technician ${technicianId}`);
      if (!user.email) throw new NonRetriableError(`technician ${user.name} has no email address`);
      return { name: user.name, email: user.email };
    });

    // A step runs again if its answer does not arrive. So it looks whether the email was sent.
    return step.run("send-email", async () => {
      const request = await requests.findOne({ _id: id(requestId) });
      if (request?.notifiedAt) return { to: technician.email, sent: false };
      await sendNotification(technician, details, runId);
      await requests.updateOne({ _id: id(requestId) }, { $set: { notifiedAt: new Date() } });
      return { to: technician.email, sent: true };
    });
  },
);
