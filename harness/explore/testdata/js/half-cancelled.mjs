// The defect: a run that is cancelled after it reserved something leaves it reserved, because only failed runs are cleaned up.
import { serve } from "./serve.mjs";
import { cleanUpAfter, sell } from "./sell.mjs";

serve(sell, cleanUpAfter("inngest/function.failed"));
