import { eventType, Inngest, staticSchema } from "inngest";

export const inngest = new Inngest({ id: "orders" });

export const orderPlaced = eventType("shop/order.placed", {
  schema: staticSchema<{ order: string; email: string; item: string }>(),
});
export const orderReturned = eventType("shop/order.returned", { schema: staticSchema<{ order: string }>() });
