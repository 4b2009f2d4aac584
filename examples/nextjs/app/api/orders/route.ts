import { randomUUID } from "node:crypto";
import { inngest, orderPlaced } from "@/inngest/client";

/** POST takes an order: {"email": …, "item": …}. */
export async function POST(request: Request) {
  const { email, item } = await request.json();
  if (typeof email !== "string" || typeof item !== "string") {
    return Response.json({ error: "an order has an email and an item" }, { status: 422 });
  }
  const order = randomUUID();
  const { ids: [eventId] } = await inngest.send(orderPlaced.create({ order, email, item }, { id: order }));
  return Response.json({ order, eventId }, { status: 201 });
}
