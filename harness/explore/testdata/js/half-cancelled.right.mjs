import { serve } from "./serve.mjs";
import { cleanUpAfter, sell } from "./sell.mjs";

serve(sell, cleanUpAfter("inngest/function.failed", "inngest/function.cancelled"));
