import { eventType, Inngest, staticSchema } from "inngest";

export const inngest = new Inngest({ id: "odoo-maintenance" });

export const requestCreated = eventType("maintenance/request.created", {
  schema: staticSchema<{
    requestId: string;
    technicianId: string;
    requestedById: string;
    subject: string;
    type: "corrective" | "preventive";
    equipmentId: string;
  }>(),
});
