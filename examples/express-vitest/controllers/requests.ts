import type { Request, Response } from "express";
import { id, requests } from "../db.ts";
import { inngest, requestCreated } from "../inngest/client.ts";

/** createRequest answers POST /api/requests: it stores the request and sends its event. */
export async function createRequest(req: Request, res: Response) {
  const { subject, type, description, equipmentId, technicianId, requestedById } = req.body ?? {};
  const errors: Record<string, string> = {};
  if (typeof subject !== "string" || !subject.trim()) errors.subject = "is required";
  if (type !== "corrective" && type !== "preventive") errors.type = "must be corrective or preventive";
  if (description !== undefined && typeof description !== "string") errors.description = "must be a text";
  const ids = { equipmentId: id(equipmentId), technicianId: id(technicianId), requestedById: id(requestedById) };
  for (const [field, value] of Object.entries(ids)) {
    if (!value) errors[field] = "must be an id of 24 hexadecimal digits";
  }
  const { equipmentId: machine, technicianId: technician, requestedById: requester } = ids;
  if (Object.keys(errors).length > 0 || !machine || !technician || !requester) {
    return void res.status(422).json({ errors });
  }

  const { insertedId } = await requests.insertOne({
    subject, type, description, equipmentId: machine, technicianId: technician, requestedById: requester, createdAt: new Date(),
  });
  const requestId = insertedId.toHexString();
  // The request's id is the event's: sending it again starts no second run.
  const event = requestCreated.create({ requestId, technicianId, requestedById, subject, type, equipmentId }, { id: requestId });
  const { ids: [eventId] } = await inngest.send(event);
  res.status(201).json({ id: requestId, eventId });
}

/** showRequest answers GET /requests/:id, to which the email links. */
export async function showRequest(req: Request, res: Response) {
  const request = await requests.findOne({ _id: id(req.params.id) });
  if (!request) return void res.status(404).type("text").send("There is no such request.");
  res.type("text").send(`${request.subject}\n\n${request.description ?? ""}\n`);
}
