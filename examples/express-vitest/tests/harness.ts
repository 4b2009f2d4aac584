// What the tests share: the stack that they run on, and technicians and requests that no other test has.
import { harnessTest } from "inngest-harness/vitest";
import { MongoClient, ObjectId } from "mongodb";

/** onServer: INNGEST=server runs the tests on the Inngest dev server instead of its simulation. */
export const onServer = process.env.INNGEST === "server";

export const test = harnessTest({
  command: ["node", "--import", "tsx", "index.ts"],
  inngest: onServer ? "server" : "sim-jump", // where no retry and no sleep takes time
  retryInterval: onServer ? "1s" : undefined,
  goldens: {
    // These differ from run to run.
    replace: [
      { pattern: "[0-9a-f]{24}", new: "{{request}}" },
      { pattern: "http://127\\.0\\.0\\.1:\\d+", new: "{{app}}" },
    ],
  },
}).extend<{ plant: Plant }>({
  plant: async ({ harness }, use) => {
    const client = await MongoClient.connect(harness.stack.env.MONGODB_URI);
    await use(new Plant(client, harness.address("kim"), harness.stack.urls.app!));
    await client.close();
  },
});

/** A plant with a technician, a machine, and a requester. */
export class Plant {
  private readonly client: MongoClient;
  readonly email: string;
  private readonly app: string;

  constructor(client: MongoClient, email: string, app: string) {
    this.client = client;
    this.email = email;
    this.app = app;
  }

  /** draft returns what is posted to create a request. */
  async draft() {
    const insert = async (collection: string, document: object) =>
      (await this.client.db().collection(collection).insertOne(document)).insertedId.toHexString();
    return {
      subject: "Belt slips under full load",
      type: "corrective",
      description: "Since Monday.\nIt smells of rubber.",
      technicianId: await insert("users", { name: "Kim Larsen", email: this.email }),
      equipmentId: await insert("equipment", { name: "Conveyor belt 3", location: "Hall A" }),
      requestedById: await insert("users", { name: "Dana Ortiz", email: "dana@plant.test" }),
    };
  }

  /** post posts a request, as the web page does. */
  async post(body: object) {
    const response = await fetch(`${this.app}/api/requests`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    return { status: response.status, ...(await response.json()) };
  }

  /** create creates a request and returns the id of its event. */
  async create(change: object = {}): Promise<string> {
    const { eventId } = await this.post({ ...(await this.draft()), ...change });
    return eventId;
  }
}

/** unknown returns an id that nothing has. */
export const unknown = () => new ObjectId().toHexString();
