// The database: users, equipment and maintenance requests.
import { MongoClient, ObjectId } from "mongodb";
import { mongoUri } from "./config.ts";

export interface User { name: string; email?: string }
export interface Equipment { name: string; location: string }
export interface MaintenanceRequest {
  subject: string;
  type: "corrective" | "preventive";
  description?: string;
  equipmentId: ObjectId;
  technicianId: ObjectId;
  requestedById: ObjectId;
  createdAt: Date;
  notifiedAt?: Date; // when the mail server accepted the email to the technician
}

export const client = new MongoClient(mongoUri);
const db = client.db();
export const users = db.collection<User>("users");
export const equipment = db.collection<Equipment>("equipment");
export const requests = db.collection<MaintenanceRequest>("requests");

/** id reads an id of the API or of an event. What is no id becomes undefined. */
export function id(text: unknown): ObjectId | undefined {
  return typeof text === "string" && /^[0-9a-f]{24}$/.test(text) ? new ObjectId(text) : undefined;
}
