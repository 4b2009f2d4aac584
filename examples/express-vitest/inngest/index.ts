import { sendRequestNotification } from "./functions/send-request-notification.ts";

export { inngest } from "./client.ts";
export const functions = [sendRequestNotification];
