// The service's settings: all come from the environment.
const { MAIL_HOST, MAIL_PORT, MAIL_USER, MAIL_PASS, MAIL_FROM, MONGODB_URI, PORT, APP_URL } = process.env;

export const port = Number(PORT ?? 3000);
export const appUrl = APP_URL ?? `http://127.0.0.1:${port}`;
export const mongoUri = MONGODB_URI ?? "mongodb://127.0.0.1:27017/maintenance";
export const mail = {
  host: MAIL_HOST ?? "127.0.0.1",
  port: Number(MAIL_PORT ?? 1025),
  auth: MAIL_USER ? { user: MAIL_USER, pass: MAIL_PASS } : undefined,
  from: MAIL_FROM || "Maintenance <maintenance@plant.test>",
};
