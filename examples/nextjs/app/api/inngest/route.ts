import { serve } from "inngest/next";
import { askForReview } from "@/inngest/functions/ask-for-review";
import { inngest } from "@/inngest/client";

export const { GET, POST, PUT } = serve({ client: inngest, functions: [askForReview] });
